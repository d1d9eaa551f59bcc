//! The options, and the command line without a command.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, ValueExt as _};

use super::commands;
use super::request::{AuditOptions, Request};
use super::values::{backend, cgroup, container, duration, keep, list, number, ring, size};
use crate::config::{Format, OnLoss};
use crate::model::event::Class;
use crate::model::names::Name as _;
use crate::model::namespaces::NamespaceType;
use crate::rules::Rule;

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its letter.
    pub letter: Option<char>,
    /// Its long name, without `--`.
    pub long: &'static str,
    /// The name of its value; `None`: it has none.
    pub value: Option<&'static str>,
    /// Words that the value can be, of a list each; empty: any text.
    pub words: &'static [&'static str],
    /// What it does, in a few words.
    pub help: &'static str,
}

pub(crate) const fn flag(
    long: &'static str,
    value: Option<&'static str>,
    words: &'static [&'static str],
    help: &'static str,
) -> Flag {
    Flag {
        letter: None,
        long,
        value,
        words,
        help,
    }
}

impl Flag {
    /// Its long name, and its value's.
    pub(crate) fn synopsis(&self) -> String {
        let value = self
            .value
            .map_or_else(String::new, |value| format!(" {value}"));
        format!("--{}{value}", self.long)
    }
}

const fn letter(letter: char, flag: Flag) -> Flag {
    Flag {
        letter: Some(letter),
        ..flag
    }
}

/// The words of `--format` and of `--backend`.
pub(crate) const FORMATS: &[&str] = &["text", "json"];
pub(crate) const BACKENDS: &[&str] = &["fentry", "tracepoint"];

/// Every option, in the order of `--help`: the help, the manual and the completions
/// come from it.
pub const FLAGS: [Flag; 24] = [
    flag(
        "format",
        Some("FORMAT"),
        FORMATS,
        "lines for people (left out), or one JSON object a line",
    ),
    flag(
        "output",
        Some("FILE"),
        &[],
        "write to this file; one that is there becomes FILE.1",
    ),
    flag(
        "rotate",
        Some("SIZE"),
        &[],
        "begin another file before it gets larger (4K, 100M, 1G)",
    ),
    flag(
        "keep",
        Some("N"),
        &[],
        "of the files before, keep so many (left out: 5)",
    ),
    flag("duration", Some("SECONDS"), &[], "end by itself"),
    flag(
        "class",
        Some("LIST"),
        &[
            "join_host",
            "join_other",
            "create",
            "nested",
            "denied",
            "noop",
        ],
        "only what came to this, with commas",
    ),
    flag(
        "type",
        Some("LIST"),
        &["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"],
        "only these types of namespaces",
    ),
    flag(
        "pid",
        Some("PID"),
        &[],
        "what this process does, and what comes from it",
    ),
    flag(
        "exe",
        Some("PATH"),
        &[],
        "programs of this path, or of this name",
    ),
    flag(
        "cgroup",
        Some("PATH|ID"),
        &[],
        "only in this cgroup, and all below it",
    ),
    flag(
        "container",
        Some("ID"),
        &[],
        "what is in it or enters it; its first 4 characters will do",
    ),
    flag("lineage", None, &[], "forks, execs and exits as well"),
    flag("all", None, &[], "with a program: what others do as well"),
    flag(
        "no-rule",
        Some("LIST"),
        &[
            "join-host",
            "pidfd-of-init",
            "join-container",
            "compat-call",
            "unseen-change",
            "denied-then-in",
            "user-and-net",
            "nested-user",
            "false-name",
            "time-namespace",
        ],
        "switch alerts off",
    ),
    flag(
        "alert-status",
        None,
        &[],
        "without a program: end with 3 when there was an alert",
    ),
    flag(
        "on-loss",
        Some("WORD"),
        &["mark", "alert", "fail"],
        "of lost events: tell (left out), raise an alert, end",
    ),
    flag(
        "health",
        Some("SECONDS"),
        &[],
        "of JSON, how often a line with every counter (left out: 60)",
    ),
    flag(
        "ring",
        Some("SIZE"),
        &[],
        "kernel memory for events: a power of two (left out: 2M)",
    ),
    flag(
        "nsexec",
        Some("FILE"),
        &[],
        "this file is nsexec, by its inode (more than once)",
    ),
    flag(
        "snapshot",
        None,
        &[],
        "print every task that there is as JSON, and end",
    ),
    flag(
        "probes",
        Some("FILE"),
        &[],
        "load these probes, not those that were built in",
    ),
    flag(
        "backend",
        Some("NAME"),
        BACKENDS,
        "see calls with this one (left out: the best that loads)",
    ),
    letter('h', flag("help", None, &[], "print this")),
    letter('V', flag("version", None, &[], "print the version")),
];

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some((first, rest)) = words.split_first()
        && let Some(asked) = commands::read(first, rest)
    {
        return asked;
    }
    let mut parser = lexopt::Parser::from_args(words);
    let mut run = AuditOptions::default();
    let mut given: Vec<String> = Vec::new();
    let text = |error: lexopt::Error| error.to_string();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Request::Version),
            Arg::Long("probes") => run.probes = Some(file(&mut parser)?),
            Arg::Long("backend") => run.backend = Some(backend(&value(&mut parser)?)?),
            Arg::Long("nsexec") => run.nsexec.push(file(&mut parser)?),
            Arg::Long("snapshot") => run.snapshot = true,
            Arg::Long("lineage") => run.filter.lineage = true,
            Arg::Long("all") => run.all = true,
            Arg::Long("format") => {
                run.format = Some(format(&mut parser)?);
            }
            Arg::Long("output") => run.output = Some(file(&mut parser)?),
            Arg::Long("rotate") => run.rotate = Some(size(&value(&mut parser)?)?),
            Arg::Long("keep") => run.keep = Some(keep(&value(&mut parser)?)?),
            Arg::Long("duration") => {
                run.duration = Some(duration("--duration", &value(&mut parser)?)?);
            }
            Arg::Long("health") => run.health = Some(duration("--health", &value(&mut parser)?)?),
            Arg::Long("ring") => run.ring = Some(ring(&value(&mut parser)?)?),
            Arg::Long("alert-status") => run.alert_status = true,
            Arg::Long("on-loss") => {
                run.on_loss = match value(&mut parser)?.as_str() {
                    "mark" => OnLoss::Mark,
                    "alert" => OnLoss::Alert,
                    "fail" => OnLoss::Fail,
                    other => return Err(format!("--on-loss {other:?}: mark, alert or fail")),
                }
            }
            Arg::Long("class") => {
                run.filter.classes = list(&value(&mut parser)?, "--class", Class::from_name)?;
            }
            Arg::Long("type") => {
                run.filter.types = list(&value(&mut parser)?, "--type", NamespaceType::from_name)?;
            }
            Arg::Long("no-rule") => {
                run.no_rules = list(&value(&mut parser)?, "--no-rule", Rule::named)?;
            }
            Arg::Long("pid") => {
                let pid = value(&mut parser)?;
                let number = number(&pid).filter(|pid| *pid > 0);
                run.filter.root = Some(number.ok_or_else(|| format!("--pid {pid:?}: no pid"))?);
            }
            Arg::Long("exe") => {
                let exe = value(&mut parser)?;
                if exe.is_empty() {
                    return Err("--exe is empty; give a path or a name".to_owned());
                }
                run.filter.exe = Some(exe);
            }
            Arg::Long("cgroup") => run.filter.cgroup = Some(cgroup(&value(&mut parser)?)?),
            Arg::Long("container") => {
                run.filter.container = Some(container(&value(&mut parser)?)?);
            }
            Arg::Value(program) => {
                run.program.push(program);
                run.program.extend(parser.raw_args().map_err(text)?);
            }
            other => {
                return Err(format!(
                    "{}; --help names what there is",
                    other.unexpected()
                ));
            }
        }
    }
    if run.filter.root.is_some() && !run.program.is_empty() {
        return Err("--pid and a program exclude each other".to_owned());
    }
    if run.all && run.program.is_empty() {
        return Err("--all means nothing without a program".to_owned());
    }
    if run.output.is_none() && (run.rotate.is_some() || run.keep.is_some()) {
        return Err("--rotate and --keep mean nothing without --output FILE".to_owned());
    }
    Ok(Request::Audit(Box::new(run)))
}

/// The next word; an option that stands in `given` already is refused, but for
/// `--nsexec`.
pub(crate) fn next<'a>(
    parser: &'a mut lexopt::Parser,
    given: &mut Vec<String>,
) -> Result<Option<Arg<'a>>, String> {
    let word = parser.next().map_err(|error| error.to_string())?;
    if let Some(Arg::Long(name)) = word {
        if name != "nsexec" && given.iter().any(|one| one == name) {
            return Err(format!("--{name} is given twice; give it once"));
        }
        given.push(name.to_owned());
    }
    Ok(word)
}

pub(crate) fn format(parser: &mut lexopt::Parser) -> Result<Format, String> {
    match value(parser)?.as_str() {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => Err(format!("--format {other:?}: text or json")),
    }
}

/// A path, which need not be UTF-8.
pub(crate) fn file(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    Ok(value.into())
}

pub(crate) fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.string().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
