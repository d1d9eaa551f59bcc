//! `manual DIRECTORY`: writes man pages and shell completions beneath it, laid out
//! as beneath a prefix's `share/`.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let mut words = std::env::args_os().skip(1);
    let (Some(directory), None) = (words.next().map(PathBuf::from), words.next()) else {
        return Err(io::Error::other("give one directory"));
    };
    for (path, text) in manual::files() {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
