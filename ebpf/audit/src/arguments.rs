//! The command line.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Component, PathBuf};
use std::time::Duration;

use lexopt::{Arg, ValueExt as _};

use crate::cgroups::Name;
use crate::commands::{self, COMMANDS, Command, Report, Selftest, Tree, Verify};
use crate::container;
use crate::filter::{Filter, TYPES};
use crate::judge::Class;
use crate::output;
use crate::programs::Backend;
use crate::rules::RULES;
use crate::watch::OnLoss;

/// How often a line of health is written where nothing is said.
pub const HEALTH: Duration = Duration::from_secs(60);

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

/// What is printed for `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("nsexec-audit [OPTION...] [-- PROGRAM [ARGUMENT...]]\n");
    text.extend(COMMANDS.iter().map(Command::synopsis));
    text.push_str(
        "Tells every join, creation and refusal of namespaces on this machine, until ^C;\n\
         with a program, what it and all that comes from it do, until it ends. tree\n\
         draws which processes are in which namespaces and containers now. verify\n\
         says whether files of JSON lines are what was written: 0 they are, 1 they are\n\
         not, 2 they cannot be read. selftest makes events, finds each of them, and\n\
         measures: 0 what happened is what is reported, 1 it is not. report makes a\n\
         page of HTML from files of JSON lines, on standard output or as --output.\n\
         A program of such a name stands after --.\n\n",
    );
    for flag in &FLAGS {
        let letter = flag
            .letter
            .map_or_else(String::new, |letter| format!("-{letter}, "));
        let synopsis = format!("{letter}{}", flag.synopsis());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {synopsis:<18} {}", flag.help);
        for words in flag.words.chunks(4) {
            let _ = writeln!(text, "  {:<18}   {}", "", words.join(" "));
        }
    }
    text.push_str("\nOptions of commands:\n");
    for command in COMMANDS {
        for flag in command.options {
            let synopsis = format!("{} {}", command.name, flag.synopsis());
            let _ = writeln!(text, "  {synopsis:<26} {}", flag.help);
        }
    }
    text.push_str(
        "\nExit status: the program's own; without one, 3 after an alert (--alert-status),\n\
         4 after a loss (--on-loss alert). With --on-loss fail, 4 after a loss, and the\n\
         program goes on. 125 nsexec-audit failed, 126 the program cannot be executed,\n\
         127 it was not found.\n",
    );
    text
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `verify`: whether these are what was written, each after the one before.
    Verify(Verify),
    /// To draw what is there.
    Tree(Tree),
    /// To find out whether what happens is what is reported.
    Selftest(Selftest),
    /// A page of what was written.
    Report(Report),
    /// To watch.
    Run(Box<Run>),
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What is watched, and how it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Where the probes are; none: those that were built in.
    pub probes: Option<PathBuf>,
    /// What sees the calls; none: the best that loads.
    pub backend: Option<Backend>,
    /// Only the tasks that are there.
    pub snapshot: bool,
    pub format: Option<Format>,
    /// The file that lines go to; none: standard output.
    pub output: Option<PathBuf>,
    /// The size at which a file is full, in bytes.
    pub rotate: Option<u64>,
    /// How many full files are kept; none: [`output::KEPT`].
    pub keep: Option<u16>,
    pub duration: Option<Duration>,
    pub filter: Filter,
    /// With a program: what others do as well.
    pub all: bool,
    /// An alert is an exit status.
    pub alert_status: bool,
    pub on_loss: OnLoss,
    /// How often a line of health; none: every [`HEALTH`].
    pub health: Option<Duration>,
    /// Of the ring of namespaces, in bytes.
    pub ring: Option<u32>,
    /// Rules that are switched off.
    pub no_rules: Vec<String>,
    /// Files that are nsexec.
    pub nsexec: Vec<PathBuf>,
    /// The program and its arguments; empty: until it is interrupted.
    pub program: Vec<OsString>,
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some((first, rest)) = words.split_first()
        && let Some(asked) = commands::read(first, rest)
    {
        return asked;
    }
    let mut parser = lexopt::Parser::from_args(words);
    let mut run = Run::default();
    let mut given: Vec<String> = Vec::new();
    let text = |error: lexopt::Error| error.to_string();
    while let Some(word) = next(&mut parser, &mut given)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
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
                run.filter.classes = list(&value(&mut parser)?, "--class", |name| {
                    Class::ALL.into_iter().find(|class| class.name() == name)
                })?;
            }
            Arg::Long("type") => {
                run.filter.slots = list(&value(&mut parser)?, "--type", |name| {
                    let known = TYPES.iter().any(|(known, _)| *known == name);
                    known.then(|| name.to_owned())
                })?;
            }
            Arg::Long("no-rule") => {
                run.no_rules = list(&value(&mut parser)?, "--no-rule", |name| {
                    let known = RULES.iter().any(|rule| rule.name == name);
                    known.then(|| name.to_owned())
                })?;
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
    Ok(Asked::Run(Box::new(run)))
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

fn duration(option: &str, text: &str) -> Result<Duration, String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse()
        .ok()
        .filter(|_| plain)
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{option} {text:?}: a number of seconds above 0"))
}

/// Bytes, or with K, M or G as many times 1024, and so on.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1_u64 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    number(digits.unwrap_or_default()).and_then(|count: u64| count.checked_mul(unit))
}

fn size(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|size| *size >= output::LEAST_SIZE)
        .ok_or_else(|| {
            format!("--rotate {text:?}: a number of bytes, or with K, M or G; at least 4K")
        })
}

pub(crate) fn backend(text: &str) -> Result<Backend, String> {
    Backend::named(text).ok_or_else(|| {
        let names = Backend::ALL.map(Backend::name).join(" or ");
        format!("--backend {text:?}: {names}")
    })
}

/// As the kernel takes it.
pub(crate) fn ring(text: &str) -> Result<u32, String> {
    bytes(text)
        .filter(|size| size.is_power_of_two() && (4 << 10..=1 << 30).contains(size))
        .and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| format!("--ring {text:?}: a power of two from 4K to 1G"))
}

fn keep(text: &str) -> Result<u16, String> {
    number(text)
        .filter(|count| (1..=output::MOST_KEPT).contains(count))
        .ok_or_else(|| format!("--keep {text:?}: a number from 1 to {}", output::MOST_KEPT))
}

/// A number, or a path with nothing to be resolved in it.
fn cgroup(text: &str) -> Result<Name, String> {
    let path = PathBuf::from(text);
    let plain = path
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && plain {
        return Ok(Name::Path(path));
    }
    let number = number(text).filter(|id| *id > 0);
    number
        .map(Name::Id)
        .ok_or_else(|| format!("--cgroup {text:?}: a path from / on without .., or a number"))
}

/// What can be the beginning of one.
fn container(text: &str) -> Result<String, String> {
    if container::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "--container {text:?}: an id or a name, or at least 4 characters that it begins \
             with: letters, digits and +-._"
        ))
    }
}

/// Digits and nothing else.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Names with commas between them, each once.
fn list<T: PartialEq>(
    text: &str,
    option: &str,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for name in text.split(',') {
        let one = of(name).ok_or_else(|| {
            format!("{option} {name:?}: there is none; --help names what there is")
        })?;
        if all.contains(&one) {
            return Err(format!("{option}: {name:?} stands twice"));
        }
        all.push(one);
    }
    Ok(all)
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
