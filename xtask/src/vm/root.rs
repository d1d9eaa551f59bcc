//! The machine's root: the tests, and the programs that they execute.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BACKENDS, Built, Run};
use crate::{cargo, install, setup};

/// Programs of this machine that the tests execute. Tests skip themselves if one
/// is missing.
const PROGRAMS: &[&str] = &[
    "cat", "false", "mkdir", "nsenter", "perl", "seq", "sh", "sleep", "true", "unshare",
];

/// Changes namespaces in every possible way, for the tests.
const DRIVER: &str = "ebpf/audit/tests/data/namespaces.c";

/// The programs for mounting and power-off, and the other applets that [`fill`]
/// uses.
///
/// # Errors
/// A requirement is missing.
pub(super) fn busybox() -> io::Result<PathBuf> {
    let missing = setup::tools(&[setup::BUSYBOX, setup::GCC, setup::OBJCOPY])?;
    if let Some(tool) = missing.first() {
        return Err(io::Error::other(format!("there is no {}", tool.program)));
    }
    let found = setup::find(setup::BUSYBOX.program);
    found.ok_or_else(|| io::Error::other("there is no busybox"))
}

pub(super) fn fill(root: &Path, busybox: &Path, built: &[Built], runs: &[Run]) -> io::Result<()> {
    for directory in [
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "etc",
        "dev",
        "proc",
        "sys",
        "tmp",
    ] {
        fs::create_dir_all(root.join(directory))?;
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    let init = root.join("init");
    fs::write(&init, include_str!("init.sh"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    for program in PROGRAMS.iter().filter_map(|name| setup::find(name)) {
        let name = program.file_name().unwrap_or_default();
        fs::copy(&program, root.join("usr/bin").join(name))?;
        for library in libraries(&program)? {
            fs::copy(&library, beneath(root, &library)?)?;
        }
    }
    let driver = cargo::root().join(DRIVER);
    if driver.exists() {
        let mut gcc = Command::new("gcc");
        gcc.args([
            "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o",
        ])
        .arg(root.join("driver"))
        .arg(driver);
        install::done(&mut gcc)?;
    }
    // The tests use the path at which cargo put the program.
    for program in built.iter().map(|built| &built.program) {
        // Debug information is most of the file, and the whole root is in the
        // machine's memory.
        let mut strip = Command::new("objcopy");
        strip.arg("--strip-all").arg(program);
        install::done(strip.arg(beneath(root, program)?))?;
    }
    let lines = runs
        .iter()
        .map(|run| format!("{} {}\n", run.backend, run.program.display()));
    fs::write(root.join("tests"), lines.collect::<String>())?;
    let auditors = built.iter().filter(|built| !built.is_test);
    let lines = auditors.flat_map(|built| {
        let path = built.program.display();
        BACKENDS
            .iter()
            .map(move |backend| format!("{backend} {path}\n"))
    });
    fs::write(root.join("auditors"), lines.collect::<String>())
}

/// The shared objects of a program; a static one has none.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(library).collect())
}

/// `name => /path (0x1)`, or `/path (0x1)`.
fn library(line: &str) -> Option<PathBuf> {
    let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
    Some(PathBuf::from(path))
}

/// Creates the same path there, with its directories.
fn beneath(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let place = root.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_program_come_from_ldd() {
        let of = |line| library(line).map(|path| path.display().to_string());
        assert_eq!(
            of("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f16a1e000)"),
            Some("/lib/x86_64-linux-gnu/libc.so.6".to_owned())
        );
        assert_eq!(
            of("\t/lib64/ld-linux-x86-64.so.2 (0x00007f68170b7000)"),
            Some("/lib64/ld-linux-x86-64.so.2".to_owned())
        );
        assert_eq!(of("\tlinux-vdso.so.1 (0x00007f68170b5000)"), None);
        assert_eq!(of("\tnot a dynamic executable"), None);
    }
}
