//! `nsexec-audit verify`: checks the hash chain of files of JSON lines.

use std::fs::File;
use std::io::{self, BufReader};

use super::exit_status;
use crate::cli::options::VerifyOptions;
use crate::log::log_stderr;
use crate::output::hash_chain;

/// Verifies the files, each of which continues the one before. Returns the exit status.
///
/// # Errors
/// The result cannot be written.
pub fn run(options: &VerifyOptions, out: &mut dyn io::Write) -> io::Result<u8> {
    let mut last = options.after.unwrap_or(hash_chain::BEGINNING);
    for path in &options.files {
        let name = path.display();
        let read =
            File::open(path).and_then(|file| hash_chain::verify(&mut BufReader::new(file), last));
        match read {
            Ok(Ok((lines, value))) => {
                let chain = hash_chain::hex(value);
                writeln!(out, "{name}: {lines} lines, whole; chain {chain}")?;
                last = value;
            }
            Ok(Err(found)) => {
                writeln!(out, "{name}:{}: {}", found.line, found.wrong)?;
                return Ok(exit_status::NOT_VERIFIED);
            }
            Err(error) => {
                log_stderr(&format!("{name}: {error}"));
                return Ok(exit_status::UNREADABLE);
            }
        }
    }
    Ok(0)
}
