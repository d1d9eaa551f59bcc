//! Man pages and shell completions of nsexec's programs.
//!
//! The lists of options come from the tables that the programs parse with; the
//! rest of each page is in `pages/`.
#![forbid(unsafe_code)]

mod bash;
mod completion;
mod fish;
mod page;
mod values;
mod zsh;

use std::path::PathBuf;

/// Every file, by its path beneath a prefix's `share/`, and its text.
#[must_use]
pub fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for (name, text) in page::all() {
        files.push((PathBuf::from("man/man1").join(format!("{name}.1")), text));
    }
    for mut command in completion::all() {
        for (shell, directory) in completion::SHELLS {
            let (name, text) = completion::script(shell, &mut command);
            files.push((PathBuf::from(directory).join(name), text));
        }
    }
    files
}
