//! Filters of Firecracker's virtual machines: the JSON format of its
//! seccompiler-bin and of the crate seccompiler, a map of threads.
//!
//! A filter has one action for all its rules, so its rules either all allow or
//! all deny compared with its default. This decides the safe direction for a
//! rule without an equivalent: it must never allow more.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use nsexec_policy_engine::seccomp::profile::Action;
use nsexec_policy_engine::seccomp::table::is_known_somewhere;
use nsexec_text::json::complaint;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::logic::{self, Alternatives, Logic, Operand, Relation, TooMany, compare};
use super::{Entry, Fault, ImportErrorKind, Imported, MAX_ENTRIES, Note, line_of, text_of};

/// The message of seccompiler's own error (`IdenticalActions`).
const SAME: &str = "mismatch_action and match_action are the same, so that no rule decides \
     anything; give another one";

/// The filter of one thread of `text`, which need not be named when there is
/// only one.
///
/// # Errors
/// The text is not of seccompiler's form, the thread is not there, or its
/// filter has something without a meaning or that nsexec cannot do.
pub fn read(text: &[u8], thread: Option<&str>) -> Result<Imported, Fault> {
    let text = text_of(text)?;
    let threads: Threads<'_> = serde_json::from_str(text).map_err(|error| {
        let (span, words) = complaint(text.as_bytes(), &error);
        Fault {
            span,
            reason: ImportErrorKind::Json(words),
        }
    })?;
    let mut names = BTreeSet::new();
    for (name, _) in &threads.0 {
        if !names.insert(&*name.0) {
            return Err(name.fault(text, ImportErrorKind::Repeated(name.0.to_string())));
        }
    }
    let whole = |reason| Fault {
        span: 0..text.len(),
        reason,
    };
    let found = match (thread, threads.0.as_slice()) {
        (_, []) => return Err(whole(ImportErrorKind::Empty("the map of threads"))),
        (Some(wanted), all) => all.iter().find(|(name, _)| name.0 == wanted),
        (None, [one]) => Some(one),
        (None, [_, (second, _), ..]) => {
            let what = "name one of the threads with --thread";
            return Err(second.fault(text, ImportErrorKind::Unsupported(what)));
        }
    };
    match found {
        Some((name, filter)) => filter.resolve(name, text),
        None => {
            let wanted = thread.unwrap_or_default().to_owned();
            Err(whole(ImportErrorKind::Undefined(wanted)))
        }
    }
}

/// The map with all its keys: a `HashMap` would keep only the last duplicate.
struct Threads<'a>(Vec<(Text<'a>, Filter<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Threads<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Threads<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of threads")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Threads(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a filter")]
struct Filter<'a> {
    #[serde(alias = "default_action")]
    mismatch_action: RawAction,
    #[serde(alias = "filter_action")]
    match_action: RawAction,
    #[serde(borrow, rename = "filter")]
    rules: Vec<Rule<'a>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "an action")]
enum RawAction {
    Allow,
    Errno(u32),
    KillThread,
    KillProcess,
    Log,
    Trace(#[expect(dead_code, reason = "only its shape is checked")] u32),
    Trap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule")]
struct Rule<'a> {
    #[serde(borrow)]
    syscall: Text<'a>,
    args: Option<Vec<Arg>>,
    #[serde(borrow, rename = "comment")]
    _comment: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a condition")]
struct Arg {
    index: u64,
    #[serde(rename = "type")]
    width: Width,
    op: Op,
    val: u64,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

/// How much of an argument is compared.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "dword or qword")]
enum Width {
    Dword,
    Qword,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "an op")]
enum Op {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
    Ne,
    MaskedEq(u64),
}

/// A string, borrowed from the text if it has no escape: its address then gives
/// its position.
#[derive(Deserialize)]
#[serde(expecting = "a string")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn fault(&self, text: &str, reason: ImportErrorKind) -> Fault {
        let span = self.span(text);
        Fault { span, reason }
    }

    /// The whole text, if the string had escapes and is not borrowed.
    fn span(&self, text: &str) -> Range<usize> {
        let start = self.0.as_ptr().addr().checked_sub(text.as_ptr().addr());
        match start {
            Some(start) if start < text.len() => start..start + self.0.len(),
            _ => 0..text.len(),
        }
    }
}

impl RawAction {
    fn resolve(self) -> Result<Action, ImportErrorKind> {
        Ok(match self {
            Self::Allow => Action::Allow,
            Self::Log => Action::Log,
            Self::Trap => Action::Trap,
            Self::KillThread => Action::KillThread,
            Self::KillProcess => Action::KillProcess,
            Self::Errno(errno) => match u16::try_from(errno) {
                Ok(errno @ 0..=4095) => Action::Errno(errno),
                _ => return Err(ImportErrorKind::Expected("an errno of 0 to 4095")),
            },
            Self::Trace(_) => {
                return Err(ImportErrorKind::Unsupported("trace: nsexec has no tracer"));
            }
        })
    }
}

impl Filter<'_> {
    fn resolve(&self, thread: &Text<'_>, text: &str) -> Result<Imported, Fault> {
        let action = |written: RawAction| written.resolve().map_err(|why| thread.fault(text, why));
        let default = action(self.mismatch_action)?;
        let action = action(self.match_action)?;
        if self.rules.is_empty() {
            return Err(thread.fault(text, ImportErrorKind::Empty("filter")));
        }
        if action == default {
            return Err(thread.fault(text, ImportErrorKind::Unsupported(SAME)));
        }
        let narrowed = action.strictness() < default.strictness();
        let conditional = self.rules.iter().filter(|rule| rule.args.is_some());
        let conditional: BTreeSet<&str> = conditional.map(|rule| &*rule.syscall.0).collect();

        let mut imported = Imported {
            default,
            entries: Vec::new(),
            notes: Vec::new(),
        };
        let mut logic = Logic::new(logic::MOST);
        for rule in &self.rules {
            let name = &rule.syscall;
            let when = logic.every(rule.args(text)?, |arg, _| Ok(arg));
            let all = when.and_then(|when| logic.conditions(&when));
            let line = line_of(text, name.span(text).start);
            let mut note = |what: &str| {
                let text = format!("{}: {what}", name.0);
                imported.notes.push(Note { line, text });
            };
            let all = match all {
                // The crate drops such a rule, libseccomp the others.
                Ok(_) if narrowed && rule.args.is_none() && conditional.contains(&*name.0) => {
                    note("other rules of this call have args, so this one is left out");
                    Vec::new()
                }
                Ok(all) => {
                    if all.is_empty() {
                        note("the args contradict each other; left out");
                    }
                    all
                }
                Err(TooMany) if narrowed => {
                    note("the args need too many entries; the default answers instead");
                    Vec::new()
                }
                Err(TooMany) => {
                    note(
                        "the args need too many entries; the rule applies to all arguments instead",
                    );
                    vec![Vec::new()]
                }
            };
            if imported.entries.len() + all.len() > MAX_ENTRIES {
                return Err(name.fault(text, ImportErrorKind::TooManyEntries));
            }
            for conditions in all {
                imported.entries.push(Entry {
                    names: vec![name.0.to_string()],
                    action,
                    conditions,
                    comment: Some(format!("line {line}")),
                });
            }
        }
        Ok(imported)
    }
}

impl Rule<'_> {
    /// The conditions of the args.
    fn args(&self, text: &str) -> Result<Vec<Alternatives>, Fault> {
        let name = &self.syscall;
        if !is_known_somewhere(&name.0) {
            return Err(name.fault(text, ImportErrorKind::UnknownCall(name.0.to_string())));
        }
        let args = self.args.as_deref();
        if args.is_some_and(<[Arg]>::is_empty) {
            return Err(name.fault(text, ImportErrorKind::Empty("args")));
        }
        let args = args.unwrap_or_default().iter();
        args.map(|arg| arg.resolve().map_err(|why| name.fault(text, why)))
            .collect()
    }
}

impl Arg {
    /// The condition. A dword is compared by its lower 32 bits, as in seccompiler: programs
    /// may leave anything above an int.
    fn resolve(&self) -> Result<Alternatives, ImportErrorKind> {
        let argument = match u8::try_from(self.index) {
            Ok(index @ 0..=5) => index,
            _ => return Err(ImportErrorKind::Argument(self.index.to_string())),
        };
        let width = match self.width {
            Width::Qword => u64::MAX,
            Width::Dword if u32::try_from(self.val).is_err() => {
                return Err(ImportErrorKind::Expected(
                    "a val that fits the 32 bits of a dword",
                ));
            }
            Width::Dword => u64::from(u32::MAX),
        };
        let (relation, mask) = match self.op {
            Op::Eq => (Relation::Equal, u64::MAX),
            Op::Ne => (Relation::NotEqual, u64::MAX),
            Op::Lt => (Relation::Less, u64::MAX),
            Op::Le => (Relation::LessOrEqual, u64::MAX),
            Op::Gt => (Relation::Greater, u64::MAX),
            Op::Ge => (Relation::GreaterOrEqual, u64::MAX),
            Op::MaskedEq(mask) => (Relation::Equal, mask),
        };
        let operand = Operand {
            argument,
            and: mask & width,
            or: 0,
        };
        // Bits of the value outside the mask are not looked at there.
        Ok(compare(operand, relation, self.val & mask))
    }
}

#[cfg(test)]
mod tests;
