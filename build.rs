//! Compiles the policies that ship, with the code that compiles any policy.
//!
//! A policy that is missing or wrong ends the build with the compiler's words.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use policy::capability::CapabilitySet;
use policy::encode::encode;
use policy::manifest::FileName;
use policy::resolve::{FileFault, Files, compile};
use seccomp::oci::Context;
use seccomp::profile::{Action, Profile, Rule, When};
use seccomp::table::Arch;

#[expect(dead_code, reason = "the library uses what compiling alone does not")]
#[expect(unreachable_pub, reason = "public in the library")]
#[path = "src/error.rs"]
mod error;

#[expect(dead_code, reason = "the library uses what compiling alone does not")]
#[expect(unreachable_pub, reason = "public in the library")]
#[path = "src/json.rs"]
mod json;

#[expect(dead_code, reason = "the library uses what compiling alone does not")]
#[path = "src/printable.rs"]
mod printable;

#[expect(dead_code, reason = "the library uses what compiling alone does not")]
#[expect(unreachable_pub, reason = "public in the library")]
#[path = "src/policy"]
mod policy {
    pub mod capability;
    pub mod encode;
    pub mod landlock_file;
    pub mod manifest;
    pub mod needs;
    pub mod resolve;
    pub mod resolved;
}

#[path = "src/stage/own_calls.rs"]
mod own_calls;

#[expect(dead_code, reason = "the library uses what compiling alone does not")]
#[expect(unreachable_pub, reason = "public in the library")]
#[path = "src/seccomp"]
mod seccomp {
    mod assemble;
    mod clone3;
    pub mod compile;
    pub mod errno;
    mod foreign;
    mod machine;
    pub mod meaning;
    pub mod oci;
    mod operation;
    pub mod partial;
    pub mod profile;
    pub mod program;
    pub mod table;
    mod width;
}

/// The policies that ship: each a manifest in `policies/`, and no manifest
/// there is another.
const NAMES: [&str; 6] = [
    "default",
    "net",
    "strict",
    "admin",
    "libcontainer",
    "libcontainer-privileged",
];

/// The oldest kernel that nsexec works on decides `minKernel`: the binary may
/// meet any newer one.
const OLDEST_KERNEL: (u32, u32) = (5, 10);

fn main() -> Result<ExitCode, io::Error> {
    match build() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            writeln!(io::stderr(), "{error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    // What this file includes, Cargo knows already.
    writeln!(io::stdout(), "cargo::rerun-if-changed=policies")?;

    let directory = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("policies");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = env::var("CARGO_CFG_TARGET_ARCH")?;
    let arch = Arch::from_rust_name(&target)
        .ok_or_else(|| format!("nsexec runs on x86_64 and aarch64, not on {target}"))?;
    refuse_strays(&directory)?;

    let mut constants = format!("const ENCODED: [(&str, &[u8]); {}] = [\n", NAMES.len());
    for name in NAMES {
        let bytes = compiled(&directory, name, arch)
            .map_err(|fault| format!("policies/{name}.toml: {fault}"))?;
        let file = format!("{name}.json");
        fs::write(out.join(&file), bytes)?;
        writeln!(constants, "    ({name:?}, include_bytes!({file:?})),")?;
    }
    constants.push_str("];\n");
    let texts = texts(&directory)?;
    writeln!(
        constants,
        "const TEXTS: [(&str, &str); {}] = [",
        texts.len()
    )?;
    for path in &texts {
        let file = directory.join(path);
        writeln!(constants, "    ({path:?}, include_str!({file:?})),")?;
    }
    writeln!(
        constants,
        "];\nconst OLDEST_KERNEL: (u32, u32) = {OLDEST_KERNEL:?};"
    )?;
    fs::write(out.join("builtin.rs"), constants)?;
    fs::write(out.join("filters.rs"), filters(arch)?)?;
    Ok(())
}

/// The filters of the helper's own processes.
fn filters(arch: Arch) -> Result<String, Box<dyn Error>> {
    let mut constants = String::new();
    for (name, calls) in [
        ("SUPERVISOR", own_calls::SUPERVISOR),
        ("POLICY_CHILD", own_calls::POLICY_CHILD),
        ("EXPLAINER", own_calls::EXPLAINER),
        ("VERIFIER", own_calls::VERIFIER),
    ] {
        let rules = calls.iter().filter_map(|call| arch.number(call));
        let profile = Profile {
            // EPERM
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: rules
                .map(|syscall| Rule {
                    syscall,
                    when: When::Always,
                    action: Action::Allow,
                })
                .collect(),
        };
        let program = seccomp::compile::compile(&profile, arch)?;
        let instructions = program.instructions();
        let count = instructions.len();
        writeln!(
            constants,
            "const {name}: [Instruction; {count}] = {instructions:?};"
        )?;
    }
    Ok(constants)
}

fn compiled(directory: &Path, name: &str, arch: Arch) -> Result<Vec<u8>, Box<dyn Error>> {
    let manifest = fs::read(directory.join(format!("{name}.toml")))?;
    let context = Context {
        arch,
        // A shipped policy that leaves capabilities to the caller has no entry
        // that depends on them: a test holds it to that.
        bounding: CapabilitySet::EMPTY,
        kernel: OLDEST_KERNEL,
    };
    let mut files = Directory(directory.to_owned());
    let policy = compile(name, &manifest, &mut files, context)?;
    Ok(encode(&policy)?)
}

/// The manifests that ship and the files that they name, by their paths in
/// `directory`.
fn texts(directory: &Path) -> io::Result<Vec<String>> {
    let mut paths: Vec<String> = NAMES.iter().map(|name| format!("{name}.toml")).collect();
    for kind in ["landlock", "seccomp"] {
        for entry in fs::read_dir(directory.join(kind))? {
            let name = entry?.file_name();
            let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
            paths.push(format!("{kind}/{name}"));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// A manifest that is not on the list would ship to nobody.
fn refuse_strays(directory: &Path) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let is_manifest = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        if is_manifest && !name.is_some_and(|name| NAMES.contains(&name)) {
            return Err(format!("{} is not on the list in build.rs", path.display()).into());
        }
    }
    Ok(())
}

struct Directory(PathBuf);

impl Files for Directory {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        fs::read(self.0.join(name.as_str())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FileFault::Missing,
            _ => FileFault::Unreadable(error.to_string()),
        })
    }
}
