//! Why files cannot be read.

use std::fmt;
use std::io;

use crate::output::event_json::LineError;
use crate::output::hash_chain::Wrong;

/// Longest line, in bytes: 20 times what the longest texts of an event take when
/// each of their bytes is escaped.
pub const MAX_LINE: usize = 1 << 20;

/// Files that cannot be read.
#[derive(Debug)]
pub struct ReadError {
    /// The name of the file.
    pub file: String,
    /// From 1; 0: the file as a whole.
    pub line: u64,
    pub kind: ReadErrorKind,
}

/// The reason.
#[derive(Debug)]
pub enum ReadErrorKind {
    /// The file cannot be read.
    Io(io::Error),
    /// All files are empty.
    Empty,
    /// The line is longer than [`MAX_LINE`].
    TooLong,
    /// It is not a line of the schema.
    Line(LineError),
    /// The first line has to be a start.
    NoStart,
    /// A start of another boot: its times cannot be compared with these.
    OtherBoot,
}

/// The place where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainBreak {
    pub file: String,
    pub line: u64,
    pub wrong: Wrong,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.kind),
            line => write!(f, "{}:{line}: {}", self.file, self.kind),
        }
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Empty => f.write_str("there is no line; give files that --format json wrote"),
            Self::TooLong => write!(f, "it has {MAX_LINE} bytes or more; no event is as long"),
            Self::Line(error) => error.fmt(f),
            Self::NoStart => f.write_str(
                "the first line is not a start; give the files from the first one that was written",
            ),
            Self::OtherBoot => f.write_str(
                "it begins another boot of a machine; a page is of one boot, make one for each",
            ),
        }
    }
}
