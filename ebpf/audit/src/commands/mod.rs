//! The commands, a module for each.

pub mod audit;
pub mod exit_status;
mod probes;
pub mod report;
pub mod selftest;
pub mod tree;
pub mod verify;

use std::io;

use serde::Serialize;

use crate::output::escape;

/// Writes a value as one line of JSON.
fn write_json(value: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = Vec::new();
    escape::write(value, &mut line)?;
    line.push(b'\n');
    out.write_all(&line)
}
