//! `cargo xtask aarch64`: builds everything for the other architecture, and runs
//! the helper and libnsexec on an emulated machine of it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::{self, AARCH64};
use crate::{cargo, install, no_arguments, progress, setup};

const TRIPLE: &str = "aarch64-unknown-linux-gnu";
const GCC: &str = "aarch64-linux-gnu-gcc";
/// The package that depends on the newest kernel.
const KERNEL: &str = "linux-image-cloud-arm64:arm64";

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    check().map(drop)
}

/// The number of checks that passed on the emulated machine; `None` if its
/// requirements are missing here, which was printed.
pub(crate) fn check() -> io::Result<Option<usize>> {
    let Some(compiler) = setup::cross_compiler(TRIPLE)? else {
        return Ok(None);
    };
    let target = cargo::root().join("target/cross");
    let cross = |arguments: &[&str]| {
        let mut command = cargo::cargo(arguments);
        command
            .args(["--target", TRIPLE, "--locked"])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", GCC);
        if let Some(rustc) = &compiler {
            command.env("RUSTC", rustc);
        }
        command
    };
    progress::quietly(
        "cargo build for aarch64",
        &mut cross(&[
            "build",
            "--package",
            "nsexec",
            "--package",
            "nsexec-policy",
            "--bins",
        ]),
    )?;
    progress::quietly(
        "libnsexec for aarch64",
        &mut cross(&[
            "rustc",
            "--package",
            "capi",
            "--lib",
            "--crate-type",
            "staticlib",
        ]),
    )?;
    let built = target.join(TRIPLE).join("debug");
    let scratch = cargo::scratch()?;
    let prefix = scratch.join("aarch64");
    install::library_from(
        &built.join("libnsexec_capi.a"),
        &prefix,
        "aarch64-linux-gnu-",
    )?;
    let runtime = compile("runtime.c", &prefix, &scratch)?;
    let init = compile("guest.c", &prefix, &scratch)?;
    let root = guest::empty(&scratch)?;
    std::fs::copy(init, root.join("init"))?;
    std::fs::copy(runtime, root.join("runtime"))?;
    std::fs::copy(built.join("nsexec"), root.join("nsexec"))?;
    let mut shown = String::new();
    AARCH64.fetch(KERNEL)?.run(&root, &scratch, |line| {
        shown.push_str(line);
        shown.push('\n');
    })?;
    count_checks(&shown).map(Some)
}

fn compile(source: &str, prefix: &Path, scratch: &Path) -> io::Result<PathBuf> {
    let output = scratch.join(source.replace(".c", "-aarch64"));
    let mut gcc = Command::new(GCC);
    gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-I"])
        .arg(prefix.join("include"))
        .arg("-o")
        .arg(&output)
        .arg(cargo::root().join("tests/runtime").join(source))
        .arg(prefix.join("lib/libnsexec.a"));
    install::done(&mut gcc)?;
    Ok(output)
}

/// Each line of the guest is a check; the last line reports the end.
fn count_checks(shown: &str) -> io::Result<usize> {
    let held = shown.lines().filter(|line| line.starts_with("ok ")).count();
    let failed = shown.lines().any(|line| line.starts_with("FAILED "));
    let ended = shown.lines().any(|line| line == "done");
    for line in shown.lines().filter(|line| line.starts_with("ok ")) {
        println!("{line}");
    }
    if failed || !ended || held == 0 {
        return Err(io::Error::other(format!("on aarch64:\n{shown}")));
    }
    println!("aarch64: all {held} checks held on the emulated machine");
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_fails_or_stops_early_is_no_success() {
        assert_eq!(count_checks("ok a\nok b\ndone\n").ok(), Some(2));
        for wrong in [
            "",
            "done\n",
            "ok a\n",
            "ok a\nFAILED b\ndone\n",
            "ok a\nnot done\n",
        ] {
            assert!(count_checks(wrong).is_err(), "{wrong:?}");
        }
    }
}
