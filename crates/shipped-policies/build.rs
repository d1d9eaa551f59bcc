//! Compiles the shipped policies with the compiler that nsexec uses for any
//! policy.
//!
//! A missing or invalid policy fails the build with the compiler's message.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::policy::encode::encode;
use nsexec_policy_engine::policy::manifest::FileName;
use nsexec_policy_engine::policy::resolve::{FileFault, Files, compile};
use nsexec_policy_engine::seccomp::oci::Context;
use nsexec_policy_engine::seccomp::table::Arch;

/// The shipped policies: each is a manifest in `policies/`, which contains no
/// other manifest.
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
    let directory = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../policies");
    let watched = directory.display();
    writeln!(io::stdout(), "cargo::rerun-if-changed={watched}")?;
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
    Ok(())
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

/// Rejects a manifest that is not on the list: it would not be compiled in.
fn refuse_strays(directory: &Path) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let is_manifest = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        if is_manifest && !name.is_some_and(|name| NAMES.contains(&name)) {
            return Err(format!(
                "{} is not on the list in crates/shipped-policies/build.rs",
                path.display()
            )
            .into());
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
