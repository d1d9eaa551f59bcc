//! The commands, a module for each.

pub mod audit;
pub mod exit_status;
mod probes;
pub mod report;
pub mod selftest;
pub mod tree;
pub mod verify;

use std::error::Error;
use std::io;

use serde::Serialize;

use crate::cli::options::CommandOptions;
use crate::output::escape;

/// Runs a command; returns the exit status.
///
/// # Errors
/// The command fails.
pub fn run(command: &CommandOptions, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    match command {
        CommandOptions::Tree(options) => tree::run(options, out),
        CommandOptions::Verify(options) => Ok(verify::run(options, out)?),
        CommandOptions::Selftest(options) => selftest::run(options, out),
        CommandOptions::Report(options) => report::run(options, out),
    }
}

/// Writes a value as one line of JSON.
fn write_json(value: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = Vec::new();
    escape::write(value, &mut line)?;
    line.push(b'\n');
    out.write_all(&line)
}
