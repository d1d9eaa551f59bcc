//! `cargo xtask probes`: builds the eBPF programs of the auditor, as one object.
//!
//! The BPF target has no prebuilt core, so core is built with it. This needs a
//! toolchain with the sources of its library, and bpf-linker with an LLVM at
//! least as new as the compiler's. The workspace's own toolchain may have
//! neither.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::setup::Tool;
use crate::{cargo, no_arguments, progress, setup};

const TARGET: &str = "bpfel-unknown-none";
/// The version of the instruction set: atomic additions that return a value need
/// Linux 5.12 and v3.
const CPU: &str = "v3";

/// The version of bpf-linker.
const LINKER: &str = "0.13.0";
const LLVM: u32 = 22;
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
const LLVM_TOOLS: [Tool; 2] = [setup::CXX, setup::LLVM_DEV];
/// Debian 12 has no other compiler that is new enough.
const DEBIAN: [Tool; 3] = [setup::DEBIAN_RUSTC, setup::DEBIAN_CARGO, setup::RUST_SRC];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The workspace's own rust-version.
const OLDEST: (u32, u32) = (1, 95);

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    let object = build()?;
    let bytes = std::fs::metadata(&object)?.len();
    println!("{}: {bytes} bytes", object.display());
    Ok(())
}

/// The path of the built object, which the build of nsexec-audit reads.
pub(crate) fn object() -> PathBuf {
    cargo::root().join("target/probes/nsexec-probes.o")
}

/// Builds the object, after installing its requirements.
pub(crate) fn build() -> io::Result<PathBuf> {
    let toolchain = toolchain()?;
    let linker = linker()?;
    let root = cargo::root();
    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
        format!("-Ctarget-cpu={CPU}"),
        format!("-Clinker={}", linker.display()),
        // The kernel needs the BTF types of the programs to check them, and
        // prints their source lines in its messages.
        "-Clink-arg=--btf".to_owned(),
    ];
    let mut command = Command::new(&toolchain.cargo);
    command
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(root.join("target/probes"))
        .current_dir(root.join("ebpf/probes"))
        // Remove the variables that the outer cargo set: the inner build uses
        // another toolchain.
        .env_remove("CARGO")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTC", &toolchain.rustc)
        // A stable compiler builds core and accepts inline assembly for this
        // target only with this variable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    progress::quietly(&format!("probes, with {toolchain}"), &mut command)?;
    let built = root
        .join("target/probes")
        .join(TARGET)
        .join("release/nsexec-probes");
    keep(&built, &object())?;
    Ok(object())
}

/// Copies the object without debug sections, unless the existing copy is equal:
/// an unchanged file avoids a rebuild of the programs that embed it.
fn keep(built: &Path, object: &Path) -> io::Result<()> {
    let new = object.with_extension("new");
    let strip = Path::new(LLVM_PREFIX).join("bin/llvm-strip");
    if strip.exists() {
        let mut command = Command::new(strip);
        let status = command.args(["--strip-debug", "-o"]).arg(&new).arg(built);
        if !status.status()?.success() {
            return Err(io::Error::other("llvm-strip could not read the probes"));
        }
    } else {
        std::fs::copy(built, &new)?;
    }
    let same = std::fs::read(object).is_ok_and(|old| std::fs::read(&new).is_ok_and(|n| n == old));
    if same {
        std::fs::remove_file(&new)
    } else {
        std::fs::rename(&new, object)
    }
}

/// A compiler, and a cargo, of one release.
#[derive(Debug)]
struct Toolchain {
    name: String,
    rustc: PathBuf,
    cargo: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.rustc.display())
    }
}

/// One that is there, else one that can be installed.
fn toolchain() -> io::Result<Toolchain> {
    let mut unfit = Vec::new();
    for (name, rustc) in rustup() {
        match Toolchain::new(&name, &rustc) {
            Ok(toolchain) => return Ok(toolchain),
            Err(reason) => unfit.push(format!("{name}: {reason}")),
        }
    }
    let distribution = || Toolchain::new("the distribution's", Path::new(DEBIAN_RUSTC));
    if let Ok(toolchain) = distribution() {
        return Ok(toolchain);
    }
    setup::tools(&DEBIAN)?;
    distribution().map_err(|reason| {
        unfit.push(format!("{DEBIAN_RUSTC}: {reason}"));
        io::Error::other(format!(
            "no toolchain here builds the probes ({}); install one: `rustup component add \
             rust-src`, or on Debian 12 `apt-get install -y rustc-web cargo-web rust-web-src`",
            unfit.join("; ")
        ))
    })
}

/// The toolchains of rustup, and their compilers.
fn rustup() -> Vec<(String, PathBuf)> {
    let Some(rustup) = setup::find("rustup") else {
        return Vec::new();
    };
    let list = first_line(Command::new(&rustup).args(["toolchain", "list"])).unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|name| {
            let which = ["which", "--toolchain", name, "rustc"];
            let rustc = first_line(Command::new(&rustup).args(which))?;
            Some((name.to_owned(), PathBuf::from(rustc.trim_end())))
        })
        .collect()
}

impl Toolchain {
    fn new(name: &str, rustc: &Path) -> Result<Self, String> {
        if !rustc.exists() {
            return Err("not there".to_owned());
        }
        let version = first_line(Command::new(rustc).arg("-vV")).ok_or("it does not run")?;
        fits(&version)?;
        let root = first_line(Command::new(rustc).args(["--print", "sysroot"]));
        let root = PathBuf::from(root.ok_or("it has no sysroot")?.trim_end());
        let source = root.join("lib/rustlib/src/rust/library/Cargo.lock");
        if !source.exists() {
            return Err("no rust-src".to_owned());
        }
        let cargo = rustc.with_file_name("cargo");
        if !cargo.exists() {
            return Err("no cargo".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            rustc: rustc.to_owned(),
            cargo,
        })
    }
}

/// Whether the version in `rustc -vV` is new enough for the sources, and old
/// enough for the linker.
fn fits(version: &str) -> Result<(), String> {
    let line = |name: &str| {
        let found = version.lines().find_map(|line| line.strip_prefix(name));
        found.ok_or_else(|| format!("it does not name its {name}"))
    };
    let release = line("release: ")?;
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().ok());
    let (major, minor) = numbers
        .next()
        .flatten()
        .zip(numbers.next().flatten())
        .ok_or_else(|| format!("release {release} is not a version"))?;
    if (major, minor) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(format!(
            "release {release}; at least {major}.{minor} is needed"
        ));
    }
    let llvm = line("LLVM version: ")?;
    let newest: Option<u32> = llvm.split('.').next().and_then(|major| major.parse().ok());
    match newest {
        Some(major) if major <= LLVM => Ok(()),
        _ => Err(format!("LLVM {llvm}; bpf-linker has {LLVM}")),
    }
}

/// bpf-linker, kept in cargo's own home.
fn linker() -> io::Result<PathBuf> {
    if let Some(linker) = there() {
        return Ok(linker);
    }
    if let Some(missing) = setup::tools(&LLVM_TOOLS)?.first() {
        return Err(io::Error::other(format!(
            "no bpf-linker here, and without {} it cannot be built; install llvm-{LLVM}-dev and g++",
            missing.program
        )));
    }
    progress::quietly(
        &format!("cargo install bpf-linker {LINKER}, 1 minute"),
        Command::new("cargo")
            .args(["install", "--locked", "bpf-linker", "--version", LINKER])
            .args(["--no-default-features", "--features"])
            .arg(format!("llvm-{LLVM}"))
            .env("LLVM_PREFIX", LLVM_PREFIX)
            // In the root directory, so that the workspace's crt-static does not
            // apply.
            .current_dir("/"),
    )?;
    there().ok_or_else(|| {
        io::Error::other("cargo installed bpf-linker, and it is not in cargo's own home")
    })
}

/// Cargo's home need not be in PATH.
fn there() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.map(|home| home.join("bin/bpf-linker"))
        .filter(|linker| linker.exists())
        .or_else(|| setup::find("bpf-linker"))
}

/// The output of a successful command.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .env_remove("RUSTUP_TOOLCHAIN")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::fits;

    fn version(release: &str, llvm: &str) -> String {
        format!("rustc {release}\nrelease: {release}\nLLVM version: {llvm}\n")
    }

    #[test]
    fn a_toolchain_is_neither_too_old_nor_too_new() {
        for (release, llvm) in [
            ("1.95.0", "22.1.2"),
            ("1.97.0-nightly", "22.1.8"),
            ("1.96.0", "21.0"),
        ] {
            assert_eq!(fits(&version(release, llvm)), Ok(()));
        }
        let wrong = |release, llvm| fits(&version(release, llvm)).unwrap_err();
        assert_eq!(
            wrong("1.94.1", "22.1.2"),
            "release 1.94.1; at least 1.95 is needed"
        );
        assert_eq!(wrong("1.99.0", "23.1.0"), "LLVM 23.1.0; bpf-linker has 22");
        assert!(wrong("new", "22.1.0").contains("not a version"));
        assert!(fits("release: 1.95.0\n").is_err());
    }
}
