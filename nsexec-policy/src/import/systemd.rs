//! The system call filter of a systemd unit, systemd.exec(5).
//!
//! The importer reads `SystemCallFilter=`, `SystemCallErrorNumber=`,
//! `SystemCallLog=` and `SystemCallArchitectures=` in the sections that run
//! programs, and in lines before any section, so that a few lines are a valid
//! input. It skips all other settings. Where systemd logs a warning and
//! continues (an unknown name), the import fails: users would not read such a
//! warning here.

use std::collections::BTreeMap;
use std::ops::Range;

use nsexec_policy_engine::seccomp::profile::Action;
use nsexec_policy_engine::seccomp::table::is_known_somewhere;

use super::systemd_groups;
use super::{Entry, Fault, ImportErrorKind, Imported, MAX_ENTRIES, Note, text_of};

/// The sections with the settings of systemd.exec(5).
const SECTIONS: [&str; 4] = ["Service", "Socket", "Mount", "Swap"];

/// The policy of a unit.
///
/// # Errors
/// The first invalid part, or a missing filter.
pub fn read(text: &[u8]) -> Result<Imported, Fault> {
    let text = text_of(text)?;
    let lines = logical_lines(text);
    let mut unit = Unit::default();
    let mut runs_programs = true;
    for (number, start, line) in &lines {
        let trimmed = line.trim();
        if let Some(section) = trimmed.strip_prefix('[') {
            runs_programs = SECTIONS.contains(&section.trim_end_matches(']'));
        } else if let (true, Some((key, value))) = (runs_programs, line.split_once('=')) {
            let value = Value {
                line: *number,
                start: start + key.len() + 1,
                text: value,
            };
            unit.assign(key.trim(), &value)?;
        }
    }
    unit.imported(text.len())
}

/// The lines without comments, each with its number and offset. A continued line
/// is one line with blanks in place of the joint, so that offsets in it are
/// offsets in the text.
fn logical_lines(text: &str) -> Vec<(usize, usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    let mut at = 0;
    for (before, physical) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += physical.len();
        if physical.trim_start().starts_with(['#', ';']) {
            if let Some((_, _, joined)) = &mut open {
                joined.push_str(&" ".repeat(physical.len()));
            }
            continue;
        }
        let body = physical.trim_end_matches(['\n', '\r']);
        let backslashes = body.len() - body.trim_end_matches('\\').len();
        let continued = backslashes % 2 == 1;
        let kept = body.len() - usize::from(continued);
        let (_, _, joined) = open.get_or_insert_with(|| (before + 1, start, String::new()));
        joined.push_str(body.get(..kept).unwrap_or(body));
        joined.push_str(&" ".repeat(physical.len() - kept));
        if !continued {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
}

/// The text after an `=`.
struct Value<'a> {
    line: usize,
    start: usize,
    text: &'a str,
}

/// A word and its place.
#[derive(Clone, Copy)]
struct Word<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Value<'a> {
    /// The words, and whether they start with a `~`.
    fn words(&self) -> (bool, Vec<Word<'a>>) {
        let mut start = self.start + (self.text.len() - self.text.trim_start().len());
        let (inverted, text) = match self.text.trim().strip_prefix('~') {
            Some(text) => (true, text),
            None => (false, self.text.trim()),
        };
        start += usize::from(inverted);
        let mut words = Vec::new();
        for text in text.split(|c: char| c.is_ascii_whitespace()) {
            if !text.is_empty() {
                words.push(Word { start, text });
            }
            start += text.len() + 1;
        }
        (inverted, words)
    }

    /// The value without the blanks around it.
    fn whole(&self) -> Word<'a> {
        Word {
            start: self.start + (self.text.len() - self.text.trim_start().len()),
            text: self.text.trim(),
        }
    }
}

impl Word<'_> {
    fn span(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn fault(self, reason: ImportErrorKind) -> Fault {
        Fault {
            span: self.span(),
            reason,
        }
    }
}

/// A call of a list.
#[derive(Clone, Copy)]
struct Listed {
    /// The answer for this call instead of the list's.
    answer: Option<Action>,
    /// Which of [`List::origins`].
    origin: usize,
}

/// `SystemCallFilter=` or `SystemCallLog=`: its first line decides the kind.
struct List<'a> {
    /// Whether the list names the allowed (or logged) calls, or the others.
    positive: bool,
    calls: BTreeMap<&'a str, Listed>,
    origins: Vec<String>,
}

impl<'a> List<'a> {
    /// Applies a line: a line of the list's own kind adds calls, the other kind
    /// removes them.
    fn line(
        &mut self,
        inverted: bool,
        words: &[Word<'a>],
        number: usize,
        answers: bool,
        work: &mut usize,
    ) -> Result<(), Fault> {
        for word in words {
            let (name, answer) = match word.text.split_once(':') {
                Some((name, rest)) if answers => (name, Some(answer(*word, name, rest)?)),
                _ => (word.text, None),
            };
            if answer.is_some() && !inverted {
                // systemd ignores the whole word, with a warning.
                return Err(word.fault(ImportErrorKind::Unsupported(
                    "only a line that begins with ~ accepts error numbers",
                )));
            }
            let named = Word {
                start: word.start,
                text: name,
            };
            let calls = if name.starts_with('@') {
                let unknown = || named.fault(ImportErrorKind::Undefined(name.to_owned()));
                systemd_groups::calls(name).ok_or_else(unknown)?
            } else if is_known_somewhere(name) {
                vec![name]
            } else {
                return Err(named.fault(ImportErrorKind::UnknownCall(name.to_owned())));
            };
            *work = work.saturating_add(calls.len());
            if *work > 64 * MAX_ENTRIES {
                return Err(named.fault(ImportErrorKind::TooManyEntries));
            }
            let origin = self.origins.len();
            self.origins.push(if name.starts_with('@') {
                format!("line {number}: {name}")
            } else {
                format!("line {number}")
            });
            // A call that is removed with its own answer keeps that answer.
            if inverted != self.positive || answer.is_some() {
                self.add(&calls, answer, origin);
            } else {
                for call in calls {
                    self.calls.remove(call);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, calls: &[&'a str], answer: Option<Action>, origin: usize) {
        for call in calls {
            self.calls.insert(call, Listed { answer, origin });
        }
    }
}

/// The settings of a unit so far.
#[derive(Default)]
struct Unit<'a> {
    filter: Option<List<'a>>,
    log: Option<List<'a>>,
    /// The answer to denied calls; `None`: they kill the process.
    errno: Option<u16>,
    notes: Vec<Note>,
    /// How many names were gone through.
    work: usize,
}

impl<'a> Unit<'a> {
    fn assign(&mut self, key: &str, value: &Value<'a>) -> Result<(), Fault> {
        match key {
            "SystemCallFilter" => self.list(value, true),
            "SystemCallLog" => self.list(value, false),
            "SystemCallErrorNumber" => {
                let word = value.whole();
                self.errno = match word.text {
                    "" | "kill" => None,
                    "0" => return Err(word.fault(ImportErrorKind::Number("0".to_owned()))),
                    text => Some(errno(word, text)?),
                };
                Ok(())
            }
            "SystemCallArchitectures" => {
                let (_, words) = value.words();
                let foreign = words.iter().filter(|word| word.text != "native");
                let foreign = foreign.map(|word| word.text.escape_debug().to_string());
                let foreign: Vec<String> = foreign.collect();
                if !foreign.is_empty() {
                    self.notes.push(Note {
                        line: value.line,
                        text: format!(
                            "SystemCallArchitectures= lets {} in; \
                             architectures other than the native one are denied instead",
                            foreign.join(", ")
                        ),
                    });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn list(&mut self, value: &Value<'a>, is_filter: bool) -> Result<(), Fault> {
        let list = if is_filter {
            &mut self.filter
        } else {
            &mut self.log
        };
        let (inverted, words) = value.words();
        if words.is_empty() && !inverted {
            *list = None;
            return Ok(());
        }
        if words.is_empty() {
            return Err(value
                .whole()
                .fault(ImportErrorKind::Empty("a list of calls")));
        }
        let list = list.get_or_insert_with(|| {
            let mut list = List {
                positive: !inverted,
                calls: BTreeMap::new(),
                origins: Vec::new(),
            };
            // execve, exit, sigreturn and others that every program needs.
            if is_filter && !inverted {
                list.origins.push("always allowed: @default".to_owned());
                list.add(
                    &systemd_groups::calls("@default").unwrap_or_default(),
                    None,
                    0,
                );
            }
            list
        });
        list.line(inverted, &words, value.line, is_filter, &mut self.work)
    }

    /// The native form. systemd installs a second filter for the log; its answer
    /// applies where the first filter allows the call.
    fn imported(self, length: usize) -> Result<Imported, Fault> {
        let empty = || Fault {
            span: 0..length,
            reason: ImportErrorKind::Empty("SystemCallFilter="),
        };
        let log = self.log;
        let is_logged = |call: Option<&str>| match (&log, call) {
            (None, _) => false,
            (Some(log), Some(call)) => log.calls.contains_key(call) == log.positive,
            (Some(log), None) => !log.positive,
        };
        let seen = |action, call| match action {
            Action::Allow if is_logged(call) => Action::Log,
            action => action,
        };
        let denied = self.errno.map_or(Action::KillProcess, Action::Errno);
        let (default, listed) = match &self.filter {
            Some(filter) if filter.positive => (denied, Action::Allow),
            _ => (Action::Allow, denied),
        };
        let mut parts: BTreeMap<(usize, usize, u8, u16), Entry> = BTreeMap::new();
        let mut put = |list: usize, from: &List<'_>, call: &str, at: usize, action: Action| {
            let errno = match action {
                Action::Errno(errno) => errno,
                _ => 0,
            };
            let part = (list, at, action.strictness(), errno);
            let part = parts.entry(part).or_insert_with(|| Entry {
                names: Vec::new(),
                action,
                conditions: Vec::new(),
                comment: from.origins.get(at).cloned(),
            });
            part.names.push(call.to_owned());
        };
        let filtered = |call: &str| {
            let filter = self.filter.as_ref()?;
            filter.calls.get(call)
        };
        if let Some(filter) = &self.filter {
            for (call, one) in &filter.calls {
                let action = seen(one.answer.unwrap_or(listed), Some(call));
                put(0, filter, call, one.origin, action);
            }
        }
        // The log only matters where unlisted calls are allowed.
        if let (Some(log), Action::Allow) = (&log, default) {
            for (call, one) in log
                .calls
                .iter()
                .filter(|(call, _)| filtered(call).is_none())
            {
                put(1, log, call, one.origin, seen(Action::Allow, Some(call)));
            }
        }
        if parts.is_empty() {
            return Err(empty());
        }
        Ok(Imported {
            default: seen(default, None),
            entries: parts.into_values().collect(),
            notes: self.notes,
        })
    }
}

/// The text after the colon of `name:EPERM`.
fn answer(word: Word<'_>, name: &str, text: &str) -> Result<Action, Fault> {
    let word = Word {
        start: word.start + name.len() + 1,
        text,
    };
    Ok(match text {
        "kill" => Action::KillProcess,
        text => Action::Errno(errno(word, text)?),
    })
}

/// A number up to 4095, or a name of errno(3).
fn errno(word: Word<'_>, text: &str) -> Result<u16, Fault> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().ok().filter(|number| *number <= 4095);
        return number.ok_or_else(|| word.fault(ImportErrorKind::Number(text.to_owned())));
    }
    let known = ERRNOS.iter().find(|(name, _)| *name == text);
    let unknown = || word.fault(ImportErrorKind::UnknownConstant(text.to_owned()));
    known.map(|(_, number)| *number).ok_or_else(unknown)
}

/// errno(3) on x86-64 and Arm, where they are the same.
#[rustfmt::skip]
const ERRNOS: &[(&str, u16)] = &[
    ("EPERM", 1), ("ENOENT", 2), ("ESRCH", 3), ("EINTR", 4), ("EIO", 5), ("ENXIO", 6),
    ("E2BIG", 7), ("ENOEXEC", 8), ("EBADF", 9), ("ECHILD", 10), ("EAGAIN", 11),
    ("EWOULDBLOCK", 11), ("ENOMEM", 12), ("EACCES", 13), ("EFAULT", 14), ("ENOTBLK", 15),
    ("EBUSY", 16), ("EEXIST", 17), ("EXDEV", 18), ("ENODEV", 19), ("ENOTDIR", 20),
    ("EISDIR", 21), ("EINVAL", 22), ("ENFILE", 23), ("EMFILE", 24), ("ENOTTY", 25),
    ("ETXTBSY", 26), ("EFBIG", 27), ("ENOSPC", 28), ("ESPIPE", 29), ("EROFS", 30),
    ("EMLINK", 31), ("EPIPE", 32), ("EDOM", 33), ("ERANGE", 34), ("EDEADLK", 35),
    ("ENAMETOOLONG", 36), ("ENOLCK", 37), ("ENOSYS", 38), ("ENOTEMPTY", 39), ("ELOOP", 40),
    ("ENODATA", 61), ("ETIME", 62), ("ENOLINK", 67), ("EPROTO", 71), ("EBADMSG", 74),
    ("EOVERFLOW", 75), ("EUSERS", 87), ("ENOTSOCK", 88), ("EPROTONOSUPPORT", 93),
    ("EOPNOTSUPP", 95), ("ENOTSUP", 95), ("EAFNOSUPPORT", 97), ("EADDRINUSE", 98),
    ("EADDRNOTAVAIL", 99), ("ENETDOWN", 100), ("ENETUNREACH", 101), ("ECONNREFUSED", 111),
    ("EHOSTUNREACH", 113), ("EALREADY", 114), ("EINPROGRESS", 115), ("ESTALE", 116),
    ("EUCLEAN", 117), ("EREMOTEIO", 121), ("EDQUOT", 122), ("ENOMEDIUM", 123),
    ("EMEDIUMTYPE", 124), ("ECANCELED", 125), ("ENOKEY", 126), ("EKEYREJECTED", 129),
];

#[cfg(test)]
mod tests;
