//! A raw profile, and its resolution key by key.

pub(super) mod conditions;

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::{Architectures, Conditional, DEFAULT_ERRNO, Entry, MAX_RULES, Name, ProfileErrorKind};
use crate::seccomp::compile::MAX_ERRNO;
use crate::seccomp::errno;
use crate::seccomp::profile::{Action, Comparison, Condition, When};
use crate::seccomp::table::{is_known_somewhere, is_oci_architecture};
use conditions::{RawFilter, filter};
use nsexec_text::Fault;
use nsexec_text::json::{self, Object, Step, objects, optional_object};

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a profile")]
pub(super) struct RawProfile<'a> {
    #[serde(borrow)]
    default_action: Text<'a>,
    default_errno_ret: Option<u32>,
    #[serde(borrow)]
    default_errno: Option<Text<'a>>,
    #[serde(borrow)]
    architectures: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "objects")]
    arch_map: Option<Vec<RawArch<'a>>>,
    #[serde(borrow)]
    syscalls: Vec<Object<RawEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an architecture"
)]
struct RawArch<'a> {
    #[serde(borrow)]
    architecture: Text<'a>,
    #[serde(borrow)]
    sub_architectures: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an entry")]
struct RawEntry<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    names: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    action: Text<'a>,
    errno_ret: Option<u32>,
    #[serde(borrow)]
    errno: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "objects")]
    args: Option<Vec<RawArg<'a>>>,
    #[serde(borrow, rename = "comment")]
    _comment: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "optional_object")]
    includes: Option<RawFilter<'a>>,
    #[serde(borrow, default, deserialize_with = "optional_object")]
    excludes: Option<RawFilter<'a>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "a condition"
)]
struct RawArg<'a> {
    index: u32,
    value: u64,
    value_two: Option<u64>,
    #[serde(borrow)]
    op: Text<'a>,
}

/// A string, borrowed from the text if it has no escape: its address then gives
/// its position.
#[derive(Deserialize)]
#[serde(expecting = "a string")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A part of the text, by the path to it: gives the position of values other
/// than strings.
#[derive(Clone, Copy)]
struct Within<'a> {
    text: &'a [u8],
    path: &'a [Step<'a>],
}

impl Within<'_> {
    /// A fault at the value of this key; where it is not there, at the part.
    fn fault(self, key: &str, reason: ProfileErrorKind) -> Fault<ProfileErrorKind> {
        let path = [self.path, &[Step::Key(key)]].concat();
        let place = std::str::from_utf8(self.text).map(|text| json::place(text, &path));
        Fault::new(place.unwrap_or(0..self.text.len()), reason)
    }
}

impl Text<'_> {
    fn fault(&self, text: &[u8], reason: ProfileErrorKind) -> Fault<ProfileErrorKind> {
        Fault::new(self.span(text), reason)
    }

    /// The whole text, if the string had escapes and is not borrowed.
    fn span(&self, text: &[u8]) -> Range<usize> {
        let start = self.0.as_ptr().addr().checked_sub(text.as_ptr().addr());
        match start {
            Some(start) if start < text.len() => start..start + self.0.len(),
            _ => 0..text.len(),
        }
    }
}

impl RawProfile<'_> {
    pub(super) fn resolve(&self, text: &[u8]) -> Result<Conditional, Fault<ProfileErrorKind>> {
        let top = Within { text, path: &[] };
        let errno = errno_of(self.default_errno_ret, self.default_errno.as_ref(), text)?;
        let errno_key = match self.default_errno_ret {
            Some(_) => "defaultErrnoRet",
            None => "defaultErrno",
        };
        let default = action(&self.default_action, errno, errno_key, top)?;
        let named = match (&self.architectures, &self.arch_map) {
            (Some(_), Some(_)) => {
                let both = ProfileErrorKind::OneOf("architectures", "archMap");
                return Err(top.fault("archMap", both));
            }
            (None, None) => None,
            (Some(names), None) => Some(names.iter().collect::<Vec<_>>()),
            (None, Some(map)) => {
                let names = map.iter().map(|arch| &arch.architecture);
                let subs = map
                    .iter()
                    .filter_map(|arch| arch.sub_architectures.as_deref());
                Some(names.chain(subs.flatten()).collect())
            }
        };
        let architectures = match named.as_deref() {
            None => None,
            Some([]) => {
                let key = match self.arch_map {
                    Some(_) => "archMap",
                    None => "architectures",
                };
                return Err(top.fault(key, ProfileErrorKind::Empty(key)));
            }
            Some(all @ [first, ..]) => Some(Architectures {
                names: all
                    .iter()
                    .map(|name| architecture(name, text))
                    .collect::<Result<_, _>>()?,
                span: first.span(text),
            }),
        };
        if self.syscalls.is_empty() {
            return Err(top.fault("syscalls", ProfileErrorKind::Empty("syscalls")));
        }
        let entries = self.syscalls.iter().enumerate();
        let entries = entries.map(|(index, Object(entry))| {
            let path = &[Step::Key("syscalls"), Step::Index(index)];
            entry.resolve(Within { text, path })
        });
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        let made = entries
            .iter()
            .map(|entry| entry.names.len() * entry.whens.len());
        let rules = made.sum();
        if rules > MAX_RULES {
            return Err(top.fault("syscalls", ProfileErrorKind::TooManyRules(rules)));
        }
        Ok(Conditional {
            default,
            default_at: self.default_action.span(text),
            architectures,
            entries,
        })
    }
}

impl RawEntry<'_> {
    fn resolve(&self, within: Within<'_>) -> Result<Entry, Fault<ProfileErrorKind>> {
        let text = within.text;
        let written: &[Text<'_>] = match (&self.name, &self.names) {
            (Some(name), None) => std::slice::from_ref(name),
            (None, Some(names)) => names,
            _ => {
                return Err(within.fault("names", ProfileErrorKind::OneOf("name", "names")));
            }
        };
        if written.is_empty() {
            return Err(within.fault("names", ProfileErrorKind::Empty("names")));
        }
        let repeated = repeated(written);
        let mut names: Vec<Name> = Vec::with_capacity(written.len());
        for (at, name) in written.iter().enumerate() {
            if !is_known_somewhere(&name.0) {
                return Err(name.fault(text, ProfileErrorKind::UnknownCall(name.0.to_string())));
            }
            if repeated == Some(at) {
                return Err(name.fault(text, ProfileErrorKind::RepeatedCall(name.0.to_string())));
            }
            names.push(Name {
                text: name.0.to_string(),
                at: name.span(text),
            });
        }
        let errno = errno_of(self.errno_ret, self.errno.as_ref(), text)?;
        let errno_key = match self.errno_ret {
            Some(_) => "errnoRet",
            None => "errno",
        };
        Ok(Entry {
            names,
            action: action(&self.action, errno, errno_key, within)?,
            whens: self.whens(within)?,
            includes: filter(self.includes.as_ref(), "includes", within)?,
            excludes: filter(self.excludes.as_ref(), "excludes", within)?,
        })
    }

    fn whens(&self, within: Within<'_>) -> Result<Vec<When>, Fault<ProfileErrorKind>> {
        let written = self.args.as_deref().unwrap_or_default();
        let mut conditions: Vec<Condition> = Vec::with_capacity(written.len());
        let mut repeated = false;
        for (index, arg) in written.iter().enumerate() {
            let path = [within.path, &[Step::Key("args"), Step::Index(index)]].concat();
            let condition = arg.resolve(Within {
                path: &path,
                ..within
            })?;
            repeated |= conditions.iter().any(|c| c.argument == condition.argument);
            conditions.push(condition);
        }
        // runc and libseccomp hold only one condition on an argument in a rule,
        // so runc makes each a rule of its own when one is named twice.
        Ok(if conditions.is_empty() {
            vec![When::Always]
        } else if repeated {
            conditions.into_iter().map(|c| When::All(vec![c])).collect()
        } else {
            vec![When::All(conditions)]
        })
    }
}

impl RawArg<'_> {
    fn resolve(&self, within: Within<'_>) -> Result<Condition, Fault<ProfileErrorKind>> {
        let argument = match u8::try_from(self.index) {
            Ok(index @ 0..=5) => index,
            _ => return Err(within.fault("index", ProfileErrorKind::Argument(self.index))),
        };
        let value = self.value;
        let second = self.value_two.unwrap_or(0);
        let comparison = match &*self.op.0 {
            "SCMP_CMP_EQ" => Comparison::Equal(value),
            "SCMP_CMP_NE" => Comparison::NotEqual(value),
            "SCMP_CMP_LT" => Comparison::Less(value),
            "SCMP_CMP_LE" => Comparison::LessOrEqual(value),
            "SCMP_CMP_GT" => Comparison::Greater(value),
            "SCMP_CMP_GE" => Comparison::GreaterOrEqual(value),
            "SCMP_CMP_MASKED_EQ" => Comparison::Masked {
                mask: value,
                value: second,
            },
            other => {
                let message = format!("unknown op {other:?}, expected an SCMP_CMP_*");
                return Err(self.op.fault(within.text, ProfileErrorKind::Shape(message)));
            }
        };
        match comparison {
            Comparison::Masked { mask, value } if value & !mask != 0 => {
                Err(within.fault("valueTwo", ProfileErrorKind::Mask { mask, value }))
            }
            Comparison::Masked { .. } => Ok(Condition {
                argument,
                comparison,
            }),
            _ if second != 0 => Err(within.fault("valueTwo", ProfileErrorKind::SecondValue)),
            _ => Ok(Condition {
                argument,
                comparison,
            }),
        }
    }
}

/// The first position of a duplicate. Sorting is linear for sorted names, as in
/// most profiles.
fn repeated(texts: &[Text<'_>]) -> Option<usize> {
    let mut sorted: Vec<(&str, usize)> = texts.iter().map(|text| &*text.0).zip(0..).collect();
    sorted.sort();
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    pairs
        .filter(|((before, _), (text, _))| before == text)
        .map(|(_, (_, at))| *at)
        .min()
}

/// The errno by number, by name (podman writes both), or neither.
fn errno_of(
    number: Option<u32>,
    name: Option<&Text<'_>>,
    text: &[u8],
) -> Result<Option<u32>, Fault<ProfileErrorKind>> {
    let Some(name) = name else {
        return Ok(number);
    };
    let Some(named) = errno::number(&name.0) else {
        return Err(name.fault(text, ProfileErrorKind::UnknownErrno(name.0.to_string())));
    };
    match number {
        Some(number) if number != named => {
            let two = ProfileErrorKind::TwoErrnos {
                name: name.0.to_string(),
                number,
            };
            Err(name.fault(text, two))
        }
        _ => Ok(Some(named)),
    }
}

/// The action with this name; its errno is the value of `errno_key`.
fn action(
    name: &Text<'_>,
    errno: Option<u32>,
    errno_key: &str,
    within: Within<'_>,
) -> Result<Action, Fault<ProfileErrorKind>> {
    let at = |reason| name.fault(within.text, reason);
    let action = match &*name.0 {
        "SCMP_ACT_ERRNO" => {
            let errno = errno.unwrap_or(DEFAULT_ERRNO);
            return match u16::try_from(errno) {
                Ok(errno) if errno <= MAX_ERRNO => Ok(Action::Errno(errno)),
                _ => Err(within.fault(errno_key, ProfileErrorKind::Errno(errno))),
            };
        }
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => return Err(at(ProfileErrorKind::NeedsSupervisor("SCMP_ACT_NOTIFY"))),
        "SCMP_ACT_TRACE" => return Err(at(ProfileErrorKind::NeedsSupervisor("SCMP_ACT_TRACE"))),
        other => {
            let message = format!("unknown action {other:?}, expected an SCMP_ACT_*");
            return Err(at(ProfileErrorKind::Shape(message)));
        }
    };
    match errno {
        Some(_) => Err(within.fault(errno_key, ProfileErrorKind::ErrnoUnused)),
        None => Ok(action),
    }
}

fn architecture(name: &Text<'_>, text: &[u8]) -> Result<String, Fault<ProfileErrorKind>> {
    if is_oci_architecture(&name.0) {
        Ok(name.0.to_string())
    } else {
        let unknown = ProfileErrorKind::UnknownArchitecture(name.0.to_string(), "SCMP_ARCH_X86_64");
        Err(name.fault(text, unknown))
    }
}

/// serde_json's place and message.
pub(super) fn json_fault(text: &[u8], error: &serde_json::Error) -> Fault<ProfileErrorKind> {
    let (span, words) = json::complaint(text, error);
    let reason = if error.is_data() {
        ProfileErrorKind::Shape(words)
    } else {
        ProfileErrorKind::Syntax(words)
    };
    Fault::new(span, reason)
}
