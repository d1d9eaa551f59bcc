//! argv: words -> [`arguments::Written`] -> [`Command`].
//!
//! The letters and meanings are those of nsenter(1) from util-linux 2.42.
//! Long options are not abbreviated: what an abbreviation means would change
//! with the next option.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod fault;
mod help;
pub mod meaning;
pub mod number;
pub mod options;

use std::ffi::OsString;

use nsexec_request::Request;

pub use fault::UsageFault;
pub use help::help;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--features`
    Features,
    /// `--dry-run`
    DryRun(Box<Request>),
    /// Anything else.
    Run(Box<Request>),
}

/// Reads the words after the program's name.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Command, UsageFault> {
    meaning::command(arguments::split(words)?)
}
