//! `cargo xtask dist`: the programs, each one static file, their man pages and
//! completions.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{cargo, elf, no_arguments, probes};

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    no_arguments(arguments)?;
    build().map(drop)
}

/// Builds the release, proves that each program is static, and puts them into
/// `dist/`, with `dist/share` laid out as beneath a prefix. The helper's file.
pub(crate) fn build() -> io::Result<PathBuf> {
    let directory = cargo::root().join("dist");
    std::fs::create_dir_all(&directory)?;
    let helper = program("nsexec", &directory)?;
    program("nsexec-policy", &directory)?;
    // Without embedded probes it would need a path to an object file.
    if probes::object().is_file() {
        program("nsexec-audit", &directory)?;
    } else {
        println!("dist/nsexec-audit: left out: its probes are missing; run `cargo xtask probes`");
    }
    share(&directory.join("share"))?;
    Ok(helper)
}

/// A program and its package have one name.
fn program(name: &str, directory: &Path) -> io::Result<PathBuf> {
    let built = executable(name)?;
    if !elf::is_static(&built)? {
        return Err(io::Error::other(format!(
            "{} names a dynamic linker: it was built without .cargo/config.toml's crt-static",
            built.display()
        )));
    }
    let file = directory.join(name);
    // A running file cannot be overwritten, but it can be replaced.
    let new = directory.join(format!(".{name}.new"));
    std::fs::copy(&built, &new)?;
    std::fs::rename(&new, &file)?;
    let sum = Command::new("sha256sum").arg(&file).output()?;
    let sum = String::from_utf8_lossy(&sum.stdout);
    println!(
        "dist/{name}: static, {} bytes, sha256 {}",
        std::fs::metadata(&file)?.len(),
        sum.split_whitespace().next().unwrap_or("unknown")
    );
    Ok(file)
}

/// Writes man pages and completions, and removes those of an older build.
fn share(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let status = cargo::cargo(&["run", "--quiet", "--package", "manual", "--"])
        .arg(directory)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("manual: {status}")));
    }
    println!("dist/share: man pages, completions for bash, zsh, fish");
    Ok(())
}

/// The path of a release executable from cargo's messages: the triple and the
/// target directory depend on cargo's configuration.
pub(crate) fn executable(name: &str) -> io::Result<PathBuf> {
    let output = cargo::cargo(&["build", "--release", "--package", name, "--bin", name])
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
