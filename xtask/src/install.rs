//! `cargo xtask install [PREFIX]`: libnsexec, its header and its pkg-config file,
//! the programs, their man pages and completions.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{cargo, dist, setup};

/// The exported symbols of libnsexec, one per line: no other symbol of it can
/// collide with another library in the same program.
const EXPORTS: &str = include_str!("../../capi/exports");

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let mut library_alone = false;
    let mut prefix = None;
    for argument in arguments {
        match argument.to_str() {
            Some("--library") => library_alone = true,
            Some(option) if option.starts_with('-') => {
                return Err(io::Error::other(format!(
                    "unknown option {option}; --library leaves the programs out"
                )));
            }
            _ if prefix.is_none() => prefix = Some(PathBuf::from(argument)),
            _ => return Err(io::Error::other("more than one PREFIX")),
        }
    }
    let prefix = std::path::absolute(prefix.unwrap_or_else(|| "/usr/local".into()))?;
    library(&prefix)?;
    if !library_alone {
        programs(&prefix)?;
    }
    println!("installed below {}", prefix.display());
    Ok(())
}

/// Builds libnsexec and installs it, with its header and its pkg-config file.
pub(crate) fn library(prefix: &Path) -> io::Result<()> {
    if let Some(tool) = setup::tools(&[setup::OBJCOPY])?.first() {
        return Err(io::Error::other(format!("{} is needed", tool.program)));
    }
    library_from(&built()?, prefix, "")
}

/// Installs the build output, with the binary utilities of this prefix.
pub(crate) fn library_from(built: &Path, prefix: &Path, binutils: &str) -> io::Result<()> {
    let scratch = cargo::scratch()?;
    let (joined, kept) = (scratch.join("joined.o"), scratch.join("nsexec.o"));
    let names: Vec<&str> = EXPORTS.lines().collect();
    // Links all objects into one, so that internal symbols can become local. The
    // link dissolves section groups: a linker keeps one group of each name in a
    // program, and would bind another Rust library's DW.ref.rust_eh_personality
    // to this one, whose symbol is local.
    let mut link = Command::new(format!("{binutils}ld"));
    link.args(["-r", "--force-group-allocation", "--gc-sections"])
        .arg("--whole-archive")
        .arg(built)
        .arg("-o")
        .arg(&joined);
    link.args(names.iter().map(|name| format!("--undefined={name}")));
    done(&mut link)?;
    let mut keep = Command::new(format!("{binutils}objcopy"));
    // Removes the compiler's own sections.
    keep.args(["--strip-unneeded", "-R", ".llvmbc", "-R", ".llvmcmd"]);
    keep.args(
        names
            .iter()
            .map(|name| format!("--keep-global-symbol={name}")),
    );
    done(keep.arg(&joined).arg(&kept))?;

    let lib = prefix.join("lib");
    fs::create_dir_all(lib.join("pkgconfig"))?;
    let archive = lib.join("libnsexec.a");
    match fs::remove_file(&archive) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    done(
        Command::new(format!("{binutils}ar"))
            .arg("rcsD")
            .arg(&archive)
            .arg(&kept),
    )?;
    fs::write(
        lib.join("pkgconfig/nsexec.pc"),
        format!(
            "prefix={}\n\
             libdir=${{prefix}}/lib\n\
             includedir=${{prefix}}/include\n\n\
             Name: nsexec\n\
             Description: joins namespaces before a container runtime starts\n\
             Version: {}\n\
             Libs: -L${{libdir}} -lnsexec -static-libgcc\n\
             Cflags: -I${{includedir}}\n",
            prefix.display(),
            env!("CARGO_PKG_VERSION")
        ),
    )?;
    let include = prefix.join("include");
    fs::create_dir_all(&include)?;
    fs::copy(
        cargo::root().join("capi/include/nsexec.h"),
        include.join("nsexec.h"),
    )?;
    Ok(())
}

/// The archive that cargo makes. With the Rust library of the package built
/// beside it, it would not be optimised as a whole.
fn built() -> io::Result<PathBuf> {
    let output = cargo::cargo(&["rustc", "--release", "--package", "capi", "--lib"])
        .args(["--crate-type", "staticlib", "--locked"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo rustc: {}", output.status)));
    }
    let is_archive = |path: &&str| path.ends_with(".a");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "nsexec_capi")
        .find_map(|message| {
            let files = message["filenames"].as_array()?;
            let mut files = files.iter().filter_map(Value::as_str);
            files.find(is_archive).map(PathBuf::from)
        })
        .ok_or_else(|| io::Error::other("cargo rustc named no archive"))
}

fn programs(prefix: &Path) -> io::Result<()> {
    dist::build()?;
    let from = cargo::root().join("dist");
    let bin = prefix.join("bin");
    fs::create_dir_all(&bin)?;
    for name in ["nsexec", "nsexec-policy", "nsexec-audit"] {
        if !from.join(name).is_file() {
            continue;
        }
        let new = bin.join(format!(".{name}.new"));
        fs::copy(from.join(name), &new)?;
        fs::rename(&new, bin.join(name))?;
    }
    let share = prefix.join("share");
    fs::create_dir_all(&share)?;
    done(
        Command::new("cp")
            .arg("-R")
            .arg(from.join("share/."))
            .arg(&share),
    )
}

/// Runs it, and makes its failure an error.
pub(crate) fn done(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        let name = command.get_program().to_string_lossy().into_owned();
        Err(io::Error::other(format!("{name}: {status}")))
    }
}
