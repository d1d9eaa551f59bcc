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

use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;

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
/// `Usage`: what is wrong, and what would be right.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command> {
    read(words).map_err(|fault| {
        let error = Error::new(ErrorKind::Usage, fault.to_string());
        match fault.right() {
            Some(right) => error.right(right),
            None => error,
        }
    })
}

/// As [`parse`], with the fault itself.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(words: impl IntoIterator<Item = OsString>) -> std::result::Result<Command, UsageFault> {
    meaning::command(arguments::split(words)?)
}
