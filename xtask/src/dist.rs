//! `cargo xtask dist`: dist/nsexec, one static file.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{cargo, elf, no_arguments};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    build().map(drop)
}

/// Builds the release, proves that it is static, and puts it into `dist/`.
pub(crate) fn build() -> io::Result<PathBuf> {
    let built = executable()?;
    if !elf::is_static(&built)? {
        return Err(io::Error::other(format!(
            "{} names a dynamic linker: it was built without .cargo/config.toml's crt-static",
            built.display()
        )));
    }
    let directory = cargo::root().join("dist");
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("nsexec");
    // A file that runs cannot be written to, but its name can be given away.
    let new = directory.join(".nsexec.new");
    std::fs::copy(&built, &new)?;
    std::fs::rename(&new, &file)?;
    let sum = Command::new("sha256sum").arg(&file).output()?;
    let sum = String::from_utf8_lossy(&sum.stdout);
    println!(
        "dist/nsexec: static, {} bytes, sha256 {}",
        std::fs::metadata(&file)?.len(),
        sum.split_whitespace().next().unwrap_or("unknown")
    );
    Ok(file)
}

/// Where cargo says that it put the release: the triple and the target
/// directory are its own affair.
fn executable() -> io::Result<PathBuf> {
    let output = cargo::cargo(&[
        "build",
        "--release",
        "--package",
        "nsexec",
        "--bin",
        "nsexec",
    ])
    .arg("--message-format=json-render-diagnostics")
    .stderr(Stdio::inherit())
    .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo build: {}", output.status)));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .ok_or_else(|| io::Error::other("cargo build named no executable"))
}
