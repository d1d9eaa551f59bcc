//! `cargo xtask probes`: the eBPF programs of the auditor, as one object.
//!
//! The kernel's target has no core of its own, so core is built with it: that
//! takes a toolchain with the sources of its library, and bpf-linker, whose LLVM
//! is at least as new as the compiler's. The workspace's own toolchain need not
//! have either.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::setup::Tool;
use crate::{cargo, no_arguments, progress, setup};

const TARGET: &str = "bpfel-unknown-none";
/// Kernels take atomic additions that return something since Linux 5.12, which
/// is this version of the instruction set.
const CPU: &str = "v3";

/// What bpf-linker is built with.
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

/// Where the object lies once it is built: the build of nsexec-audit takes it
/// from there.
pub(crate) fn object() -> PathBuf {
    cargo::root().join("target/probes/nsexec-probes.o")
}

/// Builds the object, having set up what that takes.
pub(crate) fn build() -> io::Result<PathBuf> {
    let toolchain = toolchain()?;
    let linker = linker()?;
    let root = cargo::root();
    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
        format!("-Ctarget-cpu={CPU}"),
        format!("-Clinker={}", linker.display()),
        // The types of the programs themselves: the kernel wants those of what it
        // checks, and names lines of Rust with them.
        "-Clink-arg=--btf".to_owned(),
    ];
    let mut command = Command::new(&toolchain.cargo);
    command
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(root.join("target/probes"))
        .current_dir(root.join("ebpf/probes"))
        // What the cargo that runs this has told it is for the other toolchain.
        .env_remove("CARGO")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTC", &toolchain.rustc)
        // A stable compiler does not build core, nor take inline assembly for
        // this target, unless it is told to.
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

/// Copies the object without what only a debugger reads, if it is not the one
/// that is there: nothing that embeds it is to be built again for nothing.
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
    let list = said(Command::new(&rustup).args(["toolchain", "list"])).unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|name| {
            let which = ["which", "--toolchain", name, "rustc"];
            let rustc = said(Command::new(&rustup).args(which))?;
            Some((name.to_owned(), PathBuf::from(rustc.trim_end())))
        })
        .collect()
}

impl Toolchain {
    fn new(name: &str, rustc: &Path) -> Result<Self, String> {
        if !rustc.exists() {
            return Err("not there".to_owned());
        }
        let version = said(Command::new(rustc).arg("-vV")).ok_or("it does not run")?;
        fits(&version)?;
        let root = said(Command::new(rustc).args(["--print", "sysroot"]));
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

/// Whether what `rustc -vV` says is new enough for the sources, and old enough
/// for the linker.
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
        .ok_or_else(|| format!("release {release} is no version"))?;
    if (major, minor) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(format!(
            "release {release}; it takes {major}.{minor} at least"
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
            // From the root directory: the workspace's crt-static is not for it.
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

/// What a command that succeeds prints.
fn said(command: &mut Command) -> Option<String> {
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
            "release 1.94.1; it takes 1.95 at least"
        );
        assert_eq!(wrong("1.99.0", "23.1.0"), "LLVM 23.1.0; bpf-linker has 22");
        assert!(wrong("new", "22.1.0").contains("no version"));
        assert!(fits("release: 1.95.0\n").is_err());
    }
}
