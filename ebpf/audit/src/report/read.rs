//! Reads files of lines, strictly, into what the page is made of.

use std::fmt;
use std::io::{self, BufRead, Read as _};

use crate::chain::{self, Break, Wrong};
use crate::schema::{Schema, Unfit};

use super::line::Line;
use super::run::Run;

/// Longest line, in bytes: 20 times what the longest texts of an event take when
/// each of their bytes is escaped.
pub const MAX_LINE: usize = 1 << 20;

/// Why files are not read.
#[derive(Debug)]
pub struct Refused {
    /// The name of the file.
    pub file: String,
    /// From 1; 0: the file as a whole.
    pub line: u64,
    pub why: Why,
}

/// What is wrong there.
#[derive(Debug)]
pub enum Why {
    /// It cannot be read.
    Io(io::Error),
    /// There is nothing in any file.
    Empty,
    /// The line is longer than [`MAX_LINE`].
    TooLong,
    /// It is no line of the schema.
    Unfit(Unfit),
    /// It is one that this program does not know, or a number does not fit.
    Unread(serde_json::Error),
    /// The first line has to be a start.
    NoStart,
    /// A start of another boot: its times cannot be put on one line with these.
    OtherBoot,
    /// The schema that was built in is no JSON.
    Schema(serde_json::Error),
}

/// Where the chain is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub file: String,
    pub line: u64,
    pub wrong: Wrong,
}

/// Reads files by their names, each of which continues the one before.
///
/// # Errors
/// The first line that is none, and why. A chain that is broken is no error: the
/// page says so.
pub fn read<F: BufRead>(files: impl IntoIterator<Item = (String, F)>) -> Result<Run, Refused> {
    let refuse = |file: &str, line, why| Refused {
        file: file.to_owned(),
        line,
        why,
    };
    let schema = Schema::ours().map_err(|error| refuse("", 0, Why::Schema(error)))?;
    let mut run = Run::default();
    let mut last = chain::BEGINNING;
    let mut text = Vec::new();
    for (name, mut file) in files {
        run.open(&name);
        for number in 1.. {
            text.clear();
            let bound = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            (&mut file)
                .take(bound)
                .read_until(b'\n', &mut text)
                .map_err(|error| refuse(&name, number, Why::Io(error)))?;
            if text.is_empty() {
                break;
            }
            if text.len() == MAX_LINE {
                return Err(refuse(&name, number, Why::TooLong));
            }
            let verify = |last| {
                let chained = chain::verify(&mut text.as_slice(), last);
                chained.map_err(|error| refuse(&name, number, Why::Io(error)))
            };
            let mut chained = verify(last)?;
            // Files before the first one may be gone: it says itself what it continues.
            if let Err(Break {
                wrong: Wrong::After(before),
                ..
            }) = chained
                && run.continues_after(number)
            {
                chained = verify(before)?;
            }
            match chained {
                Ok((_, value)) => last = value,
                Err(found) => run.breaks(&name, number, found.wrong),
            }
            // What was cut off cannot be told.
            if let Some(whole) = text.strip_suffix(b"\n") {
                let line = schema.line(whole);
                let line = line.map_err(|unfit| refuse(&name, number, Why::Unfit(unfit)))?;
                let line =
                    Line::from(line).map_err(|error| refuse(&name, number, Why::Unread(error)))?;
                run.take(number, line)
                    .map_err(|why| refuse(&name, number, why))?;
            }
        }
    }
    let name = run.first_file().to_owned();
    run.end(last).map_err(|why| refuse(&name, 0, why))
}

impl Line {
    fn from(line: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(line)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.why),
            line => write!(f, "{}:{line}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Empty => f.write_str("there is no line; give what --format json wrote"),
            Self::TooLong => write!(f, "it has {MAX_LINE} bytes or more; no event is as long"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Unread(error) => write!(f, "it is not read here: {error}"),
            Self::NoStart => f.write_str(
                "the first line is no start; give the files from the first one that was written",
            ),
            Self::OtherBoot => f.write_str(
                "it begins another boot of a machine; a page is of one boot, make one for each",
            ),
            Self::Schema(error) => write!(f, "the schema that was built in: {error}"),
        }
    }
}
