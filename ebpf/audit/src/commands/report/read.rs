//! Reads files of lines, strictly.

use std::io::{BufRead, Read as _};

use super::error::{MAX_LINE, ReadError, ReadErrorKind};
use super::history::History;
use crate::output::event_json::Line;
use crate::output::hash_chain::{self, Break, Wrong};

/// Reads files by their names, each of which continues the one before.
///
/// # Errors
/// The first line that cannot be read, and why. A broken chain is no error: the page
/// reports it.
pub fn read<F: BufRead>(
    files: impl IntoIterator<Item = (String, F)>,
) -> Result<History, ReadError> {
    let mut history = History::default();
    let mut last = hash_chain::BEGINNING;
    for (name, mut file) in files {
        history.open(&name);
        for number in 1.. {
            let read = read_line(&mut history, &mut file, &name, number, &mut last);
            let more = read.map_err(|kind| ReadError {
                file: name.clone(),
                line: number,
                kind,
            })?;
            if !more {
                break;
            }
        }
    }
    let file = history.first_file().to_owned();
    history.end(last).map_err(|kind| ReadError {
        file,
        line: 0,
        kind,
    })
}

/// Reads one line and checks its chain value; false: the file has ended.
fn read_line(
    history: &mut History,
    file: &mut impl BufRead,
    name: &str,
    number: u64,
    last: &mut hash_chain::Value,
) -> Result<bool, ReadErrorKind> {
    let mut text = Vec::new();
    let bound = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    file.take(bound)
        .read_until(b'\n', &mut text)
        .map_err(ReadErrorKind::Io)?;
    if text.is_empty() {
        return Ok(false);
    }
    if text.len() == MAX_LINE {
        return Err(ReadErrorKind::TooLong);
    }
    let verify = |last| hash_chain::verify(&mut text.as_slice(), last).map_err(ReadErrorKind::Io);
    let mut chained = verify(*last)?;
    // Files before the first one may be gone: its first line names the value that it
    // continues.
    if let Err(Break {
        wrong: Wrong::After(before),
        ..
    }) = chained
        && history.continues_after(number)
    {
        chained = verify(before)?;
    }
    match chained {
        Ok((_, value)) => *last = value,
        Err(found) => history.breaks(name, number, found.wrong),
    }
    // A line that was cut is not readable.
    if let Some(whole) = text.strip_suffix(b"\n") {
        let line = Line::parse(whole).map_err(ReadErrorKind::Line)?;
        history.take(number, line)?;
    }
    Ok(true)
}
