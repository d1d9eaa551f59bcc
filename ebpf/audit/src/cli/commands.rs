//! What else it does than watch: a word each, before all options.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use lexopt::Arg;

use super::options::{BACKENDS, FORMATS, Flag, file, flag, format, next, value};
use super::request::{ReportOptions, Request, SelftestOptions, TreeOptions, VerifyOptions};
use super::values::{backend, number, ring};
use crate::config::{MAX_SELFTEST_EVENTS, SELFTEST_CALLS, SELFTEST_EVENTS};
use crate::output::hash_chain;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What stands behind its options; empty: nothing.
    pub operands: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    /// Its options, but for `--help`.
    pub options: &'static [Flag],
}

const FORMAT: Flag = flag(
    "format",
    Some("FORMAT"),
    FORMATS,
    "for people (left out), or one JSON object",
);
const PROBES: Flag = flag("probes", Some("FILE"), &[], "load these probes");

/// Every command, in the order of `--help`: the help, the manual and the completions
/// come from it.
pub const COMMANDS: [Command; 4] = [
    Command {
        name: "tree",
        operands: "",
        help: "draw which processes are in which namespaces and containers now",
        options: &[FORMAT, PROBES],
    },
    Command {
        name: "verify",
        operands: "FILE...",
        help: "say whether files of JSON lines are what was written",
        options: &[flag(
            "after",
            Some("VALUE"),
            &[],
            "the chain value that the first one continues",
        )],
    },
    Command {
        name: "selftest",
        operands: "",
        help: "make events, find each of them, and measure what that costs",
        options: &[
            flag(
                "events",
                Some("N"),
                &[],
                "so many, a multiple of 4 (left out: 1000)",
            ),
            flag(
                "ring",
                Some("SIZE"),
                &[],
                "kernel memory for them (left out: 2M)",
            ),
            flag(
                "backend",
                Some("NAME"),
                BACKENDS,
                "see calls with this one (left out: the best)",
            ),
            FORMAT,
            PROBES,
        ],
    },
    Command {
        name: "report",
        operands: "FILE...",
        help: "make a page of HTML from files of JSON lines",
        options: &[flag(
            "output",
            Some("FILE"),
            &[],
            "write there, not to standard output",
        )],
    },
];

/// Longest line of help, in characters.
pub(crate) const COLUMNS: usize = 80;

impl Command {
    /// How it is called, a line or more with their ends.
    pub(crate) fn synopsis(&self) -> String {
        let mut text = format!("nsexec-audit {}", self.name);
        let options = self.options.iter();
        let mut words: Vec<String> = options
            .map(|flag| format!("[{}]", flag.synopsis()))
            .collect();
        words.extend((!self.operands.is_empty()).then(|| self.operands.to_owned()));
        let mut width = text.len();
        for word in words {
            if width + 1 + word.len() > COLUMNS {
                text.push_str("\n   ");
                width = 3;
            }
            // Writing to a String cannot fail.
            let _ = write!(text, " {word}");
            width += 1 + word.len();
        }
        text.push('\n');
        text
    }
}

/// Reads what stands behind a command's name; none: it is not the name of one.
pub(crate) fn read(name: &OsStr, rest: &[OsString]) -> Option<Result<Request, String>> {
    let read = match name.to_str()? {
        "tree" => tree,
        "verify" => verify,
        "selftest" => selftest,
        "report" => report,
        _ => return None,
    };
    Some(read(lexopt::Parser::from_args(rest)))
}

/// What is said of a word that the command does not have.
fn refused(name: &str, word: Arg<'_>) -> String {
    let own = COMMANDS.iter().find(|command| command.name == name);
    let options = own.into_iter().flat_map(|command| command.options);
    let mut has: Vec<String> = options.map(|flag| format!("--{}", flag.long)).collect();
    let operands = own.is_some_and(|command| !command.operands.is_empty());
    has.extend(operands.then(|| "files".to_owned()));
    let last = has.pop().unwrap_or_default();
    let others = match has.as_slice() {
        [] => String::new(),
        others => format!("{} and ", others.join(", ")),
    };
    format!("{name}: {}; it has {others}{last}", word.unexpected())
}

/// What stands after `verify`.
fn verify(mut parser: lexopt::Parser) -> Result<Request, String> {
    let (mut after, mut files) = (None, Vec::new());
    let mut given = Vec::new();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("after") => {
                let text = value(&mut parser)?;
                let value = hash_chain::parse(&text).ok_or_else(|| {
                    format!("--after {text:?}: a chain value, 64 digits of 0-9 and a-f")
                })?;
                after = Some(value);
            }
            Arg::Value(file) => files.push(file.into()),
            other => return Err(refused("verify", other)),
        }
    }
    if files.is_empty() {
        return Err("verify: give one file or more".to_owned());
    }
    Ok(Request::Verify(VerifyOptions {
        after: after.unwrap_or(hash_chain::BEGINNING),
        files,
    }))
}

/// What stands after `tree`.
fn tree(mut parser: lexopt::Parser) -> Result<Request, String> {
    let (mut probes, mut shown) = (None, None);
    let mut given = Vec::new();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("probes") => probes = Some(file(&mut parser)?),
            Arg::Long("format") => shown = Some(format(&mut parser)?),
            other => return Err(refused("tree", other)),
        }
    }
    Ok(Request::Tree(TreeOptions {
        probes,
        format: shown.unwrap_or_default(),
    }))
}

/// What stands after `selftest`.
fn selftest(mut parser: lexopt::Parser) -> Result<Request, String> {
    let (mut probes, mut shown, mut memory, mut events) = (None, None, None, None);
    let mut asked = None;
    let mut given = Vec::new();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("probes") => probes = Some(file(&mut parser)?),
            Arg::Long("format") => shown = Some(format(&mut parser)?),
            Arg::Long("backend") => asked = Some(backend(&value(&mut parser)?)?),
            Arg::Long("ring") => memory = Some(ring(&value(&mut parser)?)?),
            Arg::Long("events") => {
                let text = value(&mut parser)?;
                let count = number(&text).filter(|count: &u32| {
                    (1..=MAX_SELFTEST_EVENTS).contains(count)
                        && count.is_multiple_of(SELFTEST_CALLS)
                });
                events = Some(count.ok_or_else(|| {
                    format!("--events {text:?}: a multiple of {SELFTEST_CALLS}, up to {MAX_SELFTEST_EVENTS}")
                })?);
            }
            other => return Err(refused("selftest", other)),
        }
    }
    Ok(Request::Selftest(SelftestOptions {
        probes,
        format: shown.unwrap_or_default(),
        backend: asked,
        ring: memory,
        events: events.unwrap_or(SELFTEST_EVENTS),
    }))
}

/// What stands after `report`.
fn report(mut parser: lexopt::Parser) -> Result<Request, String> {
    let mut report = ReportOptions::default();
    let mut given = Vec::new();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("output") => report.output = Some(file(&mut parser)?),
            Arg::Value(file) => report.files.push(PathBuf::from(file)),
            other => return Err(refused("report", other)),
        }
    }
    if report.files.is_empty() {
        return Err("report: give one file or more, which --format json wrote".to_owned());
    }
    Ok(Request::Report(report))
}

#[cfg(test)]
mod tests;
