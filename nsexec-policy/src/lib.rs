//! Checks, shows, compares and imports the policies of nsexec.
#![forbid(unsafe_code)]

pub mod arguments;
mod assembly;
mod check;
pub mod commands;
mod convert;
mod diff;
pub mod import;
mod input;
mod show;
mod words;

use std::ffi::OsString;

use arguments::Invocation;

/// The exit status of a failure: an invalid command line, or a missing file.
pub const FAILED: u8 = 2;

/// The output of a run, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// 0 valid, or equal; 1 invalid, or different; [`FAILED`].
    pub status: u8,
}

/// Runs a command line.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Done {
    let done = arguments::read(words).and_then(|options| match options {
        Invocation::Help(None) => Ok(success(commands::help())),
        Invocation::Help(Some(command)) => Ok(success(command.help_text())),
        Invocation::Version => Ok(success(format!(
            "nsexec-policy {}\n",
            env!("CARGO_PKG_VERSION")
        ))),
        Invocation::Run(words) => match words.command.name {
            "check" => check::run(&words),
            "show" => show::run(&words),
            "diff" => diff::run(&words),
            _ => convert::run(&words),
        },
    });
    done.unwrap_or_else(|wrong| Done {
        stdout: String::new(),
        stderr: format!("nsexec-policy: {wrong}\n"),
        status: FAILED,
    })
}

fn success(stdout: String) -> Done {
    Done {
        stdout,
        ..Done::default()
    }
}
