//! Cargo and the tree that it builds.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The cargo that runs this, in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// A directory for files that can be deleted at any time.
pub(crate) fn scratch() -> io::Result<PathBuf> {
    let directory = root().join("target/xtask");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Every file below `directory` whose name ends in `.extension`, except build
/// output (a directory that cargo tagged) and git's own files.
pub(crate) fn files(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        if next.ends_with(".git") || next.join("CACHEDIR.TAG").exists() {
            continue;
        }
        for entry in std::fs::read_dir(&next)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
