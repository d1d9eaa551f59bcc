//! Imports policies of other programs.
//!
//! An importer reads one language and returns [`Imported`]: entries of which the
//! strictest wins, as in the native form, and a note for everything without an
//! exact equivalent. In such a case the import never allows more than its
//! source: a rule that allows is left out, and a rule that denies is widened.

mod constants;
pub mod firecracker;
pub mod kafel;
mod logic;
pub mod minijail;
pub mod systemd;
mod systemd_groups;

use std::fmt;
use std::ops::Range;

use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition};
use serde_json::{Value, json};

/// The longest policy accepted. Firecracker's limit is 100 kB, and no known
/// policy in any of these languages is longer than 64 kB.
pub const MAX_BYTES: usize = 256 * 1024;

/// How many entries one import makes at the most: a product of alternatives
/// grows faster than its text.
pub const MAX_ENTRIES: usize = 4096;

/// A policy in the native form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The action for a call without an entry.
    pub default: Action,
    /// The entries, in the order of the text.
    pub entries: Vec<Entry>,
    /// The parts without an equivalent, in the order of the text.
    pub notes: Vec<Note>,
}

/// One element of OCI's `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The calls; not empty.
    pub names: Vec<String>,
    /// The action.
    pub action: Action,
    /// All of these must hold; empty for any arguments. Each argument occurs at
    /// most once, because OCI's readers read two conditions on it as
    /// alternatives.
    pub conditions: Vec<Condition>,
    /// The source of the entry: "line 12", "@io-event".
    pub comment: Option<String>,
}

/// A part of the source without an equivalent in the native form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line of the source, from 1.
    pub line: usize,
    /// The original, and its replacement.
    pub text: String,
}

/// Why a policy cannot be imported, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The span of the invalid bytes.
    pub span: Range<usize>,
    /// Why they are.
    pub reason: ImportErrorKind,
}

/// Why a policy cannot be imported, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// More than [`MAX_ENTRIES`].
    TooManyEntries,
    /// Not UTF-8.
    Utf8,
    /// The language has another form here.
    Expected(&'static str),
    /// No architecture of Linux has a system call with this name.
    UnknownCall(String),
    /// The language has no constant with this name, or nsexec does not know it.
    UnknownConstant(String),
    /// The name is not defined.
    Undefined(String),
    /// The call or name was given before.
    Repeated(String),
    /// No number, or one that does not fit.
    Number(String),
    /// An argument that calls do not have.
    Argument(String),
    /// A list or file with nothing in it.
    Empty(&'static str),
    /// A feature that changes the meaning of the rest, and that nsexec does not
    /// support.
    Unsupported(&'static str),
    /// Invalid JSON, or JSON of another shape.
    Json(String),
}

impl Imported {
    /// The native form: a profile as OCI has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut profile = json!({ "defaultAction": action_name(self.default) });
        if let Action::Errno(errno) = self.default {
            profile["defaultErrnoRet"] = json!(errno);
        }
        profile["syscalls"] = self.entries.iter().map(Entry::to_json).collect();
        profile
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut entry = json!({ "names": self.names, "action": action_name(self.action) });
        if let Action::Errno(errno) = self.action {
            entry["errnoRet"] = json!(errno);
        }
        if !self.conditions.is_empty() {
            entry["args"] = self.conditions.iter().map(condition_json).collect();
        }
        if let Some(comment) = &self.comment {
            entry["comment"] = json!(comment);
        }
        entry
    }
}

fn condition_json(condition: &Condition) -> Value {
    let (op, value, second) = match condition.comparison {
        Comparison::Equal(value) => ("SCMP_CMP_EQ", value, None),
        Comparison::NotEqual(value) => ("SCMP_CMP_NE", value, None),
        Comparison::Less(value) => ("SCMP_CMP_LT", value, None),
        Comparison::LessOrEqual(value) => ("SCMP_CMP_LE", value, None),
        Comparison::Greater(value) => ("SCMP_CMP_GT", value, None),
        Comparison::GreaterOrEqual(value) => ("SCMP_CMP_GE", value, None),
        Comparison::Masked { mask, value } => ("SCMP_CMP_MASKED_EQ", mask, Some(value)),
    };
    let mut json = json!({ "index": condition.argument, "op": op, "value": value });
    if let Some(second) = second {
        json["valueTwo"] = json!(second);
    }
    json
}

/// OCI's name of an action.
#[must_use]
pub fn action_name(action: Action) -> &'static str {
    match action {
        Action::Allow => "SCMP_ACT_ALLOW",
        Action::Log => "SCMP_ACT_LOG",
        Action::Errno(_) => "SCMP_ACT_ERRNO",
        Action::Trap => "SCMP_ACT_TRAP",
        Action::KillThread => "SCMP_ACT_KILL_THREAD",
        Action::KillProcess => "SCMP_ACT_KILL_PROCESS",
    }
}

/// The text of a policy, when it is one at all.
///
/// # Errors
/// It is longer than [`MAX_BYTES`], or not UTF-8.
pub fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    let fault = |span, reason| Err(Fault { span, reason });
    if bytes.len() > MAX_BYTES {
        return fault(
            MAX_BYTES..bytes.len(),
            ImportErrorKind::TooLong(bytes.len()),
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => fault(
            error.valid_up_to()..error.valid_up_to(),
            ImportErrorKind::Utf8,
        ),
    }
}

/// The line of a byte, from 1.
#[must_use]
pub fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

impl fmt::Display for ImportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a policy has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::TooManyEntries => write!(f, "the policy makes more than {MAX_ENTRIES} entries"),
            Self::Utf8 => write!(f, "the text is not UTF-8"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::UnknownCall(name) => {
                write!(f, "no system call is named {name:?}; see syscalls(2)")
            }
            Self::UnknownConstant(name) => {
                write!(f, "no constant {name:?} is known; write its number")
            }
            Self::Undefined(name) => write!(f, "{name:?} is not defined before this"),
            Self::Repeated(name) => write!(f, "{name:?} was given before"),
            Self::Number(text) => write!(f, "{text:?} is not a number of 64 bits"),
            Self::Argument(text) => write!(f, "{text:?} is not an argument; they are 0 to 5"),
            Self::Empty(what) => write!(f, "{what} is empty, which could mean all or none"),
            Self::Unsupported(what) => write!(f, "{what}"),
            Self::Json(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.reason, self.span.start)
    }
}

impl std::error::Error for Fault {}

/// Whether the native form's conditions hold with these arguments.
#[cfg(test)]
fn all_hold(conditions: &[Condition], arguments: &[u64; 6]) -> bool {
    conditions.iter().all(|condition| {
        let x = arguments[usize::from(condition.argument)];
        match condition.comparison {
            Comparison::Equal(value) => x == value,
            Comparison::NotEqual(value) => x != value,
            Comparison::Less(value) => x < value,
            Comparison::LessOrEqual(value) => x <= value,
            Comparison::Greater(value) => x > value,
            Comparison::GreaterOrEqual(value) => x >= value,
            Comparison::Masked { mask, value } => x & mask == value,
        }
    })
}
