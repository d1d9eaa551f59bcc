//! argv: words -> [`arguments::RawArguments`] -> [`Command`].
//!
//! The letters and meanings follow nsenter(1) from util-linux 2.42. Long options
//! cannot be abbreviated: a new option would change the meaning of an
//! abbreviation.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod fault;
mod help;
pub mod number;
pub mod options;
pub mod resolve;
pub mod value;

use std::ffi::OsString;

use nsexec_request::Request;

pub use fault::UsageFault;
pub use help::help;

/// A parsed command line.
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
/// The first error.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Command, UsageFault> {
    resolve::command(arguments::split(words)?)
}
