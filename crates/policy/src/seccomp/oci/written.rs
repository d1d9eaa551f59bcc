//! A profile as it is written, and its meaning key by key.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::{Architectures, Conditional, DEFAULT_ERRNO, Entry, Filter, MAX_RULES, Name, Reason};
use crate::seccomp::compile::MAX_ERRNO;
use crate::seccomp::errno;
use crate::seccomp::profile::{Action, Comparison, Condition, When};
use crate::seccomp::table::{is_go_architecture, is_known_somewhere, is_oci_architecture};
use nsexec_kernel_text::capability::Capability;
use nsexec_text::Fault;
use nsexec_text::json::{self, Object, Step, objects, optional_object};

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a profile")]
pub(super) struct Written<'a> {
    #[serde(borrow)]
    default_action: Text<'a>,
    default_errno_ret: Option<u32>,
    #[serde(borrow)]
    default_errno: Option<Text<'a>>,
    #[serde(borrow)]
    architectures: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "objects")]
    arch_map: Option<Vec<WrittenArch<'a>>>,
    #[serde(borrow)]
    syscalls: Vec<Object<WrittenEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an architecture"
)]
struct WrittenArch<'a> {
    #[serde(borrow)]
    architecture: Text<'a>,
    #[serde(borrow)]
    sub_architectures: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an entry")]
struct WrittenEntry<'a> {
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
    args: Option<Vec<WrittenArg<'a>>>,
    #[serde(borrow, rename = "comment")]
    _comment: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "optional_object")]
    includes: Option<WrittenFilter<'a>>,
    #[serde(borrow, default, deserialize_with = "optional_object")]
    excludes: Option<WrittenFilter<'a>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "a condition"
)]
struct WrittenArg<'a> {
    index: u32,
    value: u64,
    value_two: Option<u64>,
    #[serde(borrow)]
    op: Text<'a>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "conditions of an entry"
)]
struct WrittenFilter<'a> {
    #[serde(borrow)]
    caps: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    arches: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    min_kernel: Option<Text<'a>>,
}

/// A string, borrowed from the text where it has no escape: its address then
/// tells its place.
#[derive(Deserialize)]
#[serde(expecting = "a string")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A part of the text, by the way to it: tells the places of what is no string.
#[derive(Clone, Copy)]
struct Within<'a> {
    text: &'a [u8],
    path: &'a [Step<'a>],
}

impl Within<'_> {
    /// A fault at the value of this key; where it is not there, at the part.
    fn fault(self, key: &str, reason: Reason) -> Fault<Reason> {
        let path = [self.path, &[Step::Key(key)]].concat();
        let place = std::str::from_utf8(self.text).map(|text| json::place(text, &path));
        Fault::new(place.unwrap_or(0..self.text.len()), reason)
    }
}

impl Text<'_> {
    fn fault(&self, text: &[u8], reason: Reason) -> Fault<Reason> {
        Fault::new(self.span(text), reason)
    }

    /// The whole text, when the string was unescaped and lies elsewhere.
    fn span(&self, text: &[u8]) -> Range<usize> {
        let start = self.0.as_ptr().addr().checked_sub(text.as_ptr().addr());
        match start {
            Some(start) if start < text.len() => start..start + self.0.len(),
            _ => 0..text.len(),
        }
    }
}

impl Written<'_> {
    pub(super) fn meaning(&self, text: &[u8]) -> Result<Conditional, Fault<Reason>> {
        let top = Within { text, path: &[] };
        let errno = errno_of(self.default_errno_ret, self.default_errno.as_ref(), text)?;
        let errno_key = match self.default_errno_ret {
            Some(_) => "defaultErrnoRet",
            None => "defaultErrno",
        };
        let default = action(&self.default_action, errno, errno_key, top)?;
        let named = match (&self.architectures, &self.arch_map) {
            (Some(_), Some(_)) => {
                let both = Reason::OneOf("architectures", "archMap");
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
                return Err(top.fault(key, Reason::Empty(key)));
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
            return Err(top.fault("syscalls", Reason::Empty("syscalls")));
        }
        let entries = self.syscalls.iter().enumerate();
        let entries = entries.map(|(index, Object(entry))| {
            let path = &[Step::Key("syscalls"), Step::Index(index)];
            entry.meaning(Within { text, path })
        });
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        let made = entries
            .iter()
            .map(|entry| entry.names.len() * entry.whens.len());
        let rules = made.sum();
        if rules > MAX_RULES {
            return Err(top.fault("syscalls", Reason::TooManyRules(rules)));
        }
        Ok(Conditional {
            default,
            default_at: self.default_action.span(text),
            architectures,
            entries,
        })
    }
}

impl WrittenEntry<'_> {
    fn meaning(&self, within: Within<'_>) -> Result<Entry, Fault<Reason>> {
        let text = within.text;
        let written: &[Text<'_>] = match (&self.name, &self.names) {
            (Some(name), None) => std::slice::from_ref(name),
            (None, Some(names)) => names,
            _ => {
                return Err(within.fault("names", Reason::OneOf("name", "names")));
            }
        };
        if written.is_empty() {
            return Err(within.fault("names", Reason::Empty("names")));
        }
        let repeated = repeated(written);
        let mut names: Vec<Name> = Vec::with_capacity(written.len());
        for (at, name) in written.iter().enumerate() {
            if !is_known_somewhere(&name.0) {
                return Err(name.fault(text, Reason::UnknownCall(name.0.to_string())));
            }
            if repeated == Some(at) {
                return Err(name.fault(text, Reason::RepeatedCall(name.0.to_string())));
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

    fn whens(&self, within: Within<'_>) -> Result<Vec<When>, Fault<Reason>> {
        let written = self.args.as_deref().unwrap_or_default();
        let mut conditions: Vec<Condition> = Vec::with_capacity(written.len());
        let mut repeated = false;
        for (index, arg) in written.iter().enumerate() {
            let path = [within.path, &[Step::Key("args"), Step::Index(index)]].concat();
            let condition = arg.meaning(Within {
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

impl WrittenArg<'_> {
    fn meaning(&self, within: Within<'_>) -> Result<Condition, Fault<Reason>> {
        let argument = match u8::try_from(self.index) {
            Ok(index @ 0..=5) => index,
            _ => return Err(within.fault("index", Reason::Argument(self.index))),
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
                return Err(self.op.fault(within.text, Reason::Shape(message)));
            }
        };
        match comparison {
            Comparison::Masked { mask, value } if value & !mask != 0 => {
                Err(within.fault("valueTwo", Reason::Mask { mask, value }))
            }
            Comparison::Masked { .. } => Ok(Condition {
                argument,
                comparison,
            }),
            _ if second != 0 => Err(within.fault("valueTwo", Reason::SecondValue)),
            _ => Ok(Condition {
                argument,
                comparison,
            }),
        }
    }
}

/// The first place of a text that stands before it already. Sorting is linear
/// for names in order, as most profiles have them.
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
) -> Result<Option<u32>, Fault<Reason>> {
    let Some(name) = name else {
        return Ok(number);
    };
    let Some(named) = errno::number(&name.0) else {
        return Err(name.fault(text, Reason::UnknownErrno(name.0.to_string())));
    };
    match number {
        Some(number) if number != named => {
            let two = Reason::TwoErrnos {
                name: name.0.to_string(),
                number,
            };
            Err(name.fault(text, two))
        }
        _ => Ok(Some(named)),
    }
}

/// The action of this name; its errno stands at `errno_key`.
fn action(
    name: &Text<'_>,
    errno: Option<u32>,
    errno_key: &str,
    within: Within<'_>,
) -> Result<Action, Fault<Reason>> {
    let at = |reason| name.fault(within.text, reason);
    let action = match &*name.0 {
        "SCMP_ACT_ERRNO" => {
            let errno = errno.unwrap_or(DEFAULT_ERRNO);
            return match u16::try_from(errno) {
                Ok(errno) if errno <= MAX_ERRNO => Ok(Action::Errno(errno)),
                _ => Err(within.fault(errno_key, Reason::Errno(errno))),
            };
        }
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => return Err(at(Reason::NeedsSupervisor("SCMP_ACT_NOTIFY"))),
        "SCMP_ACT_TRACE" => return Err(at(Reason::NeedsSupervisor("SCMP_ACT_TRACE"))),
        other => {
            let message = format!("unknown action {other:?}, expected an SCMP_ACT_*");
            return Err(at(Reason::Shape(message)));
        }
    };
    match errno {
        Some(_) => Err(within.fault(errno_key, Reason::ErrnoUnused)),
        None => Ok(action),
    }
}

fn architecture(name: &Text<'_>, text: &[u8]) -> Result<String, Fault<Reason>> {
    if is_oci_architecture(&name.0) {
        Ok(name.0.to_string())
    } else {
        let unknown = Reason::UnknownArchitecture(name.0.to_string(), "SCMP_ARCH_X86_64");
        Err(name.fault(text, unknown))
    }
}

fn filter(
    written: Option<&WrittenFilter<'_>>,
    key: &str,
    within: Within<'_>,
) -> Result<Filter, Fault<Reason>> {
    let Some(written) = written else {
        return Ok(Filter::ASKS_NOTHING);
    };
    let path = [within.path, &[Step::Key(key)]].concat();
    let within = Within {
        path: &path,
        ..within
    };
    let text = within.text;
    let mut filter = Filter::ASKS_NOTHING;
    for (key, list) in [("caps", &written.caps), ("arches", &written.arches)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err(within.fault(key, Reason::Empty(key)));
        }
    }
    for name in written.caps.iter().flatten() {
        let known = Capability::from_name(&name.0);
        let unknown = || name.fault(text, Reason::UnknownCapability(name.0.to_string()));
        filter.caps.push(known.ok_or_else(unknown)?);
    }
    for name in written.arches.iter().flatten() {
        if !is_go_architecture(&name.0) {
            let unknown = Reason::UnknownArchitecture(name.0.to_string(), "amd64");
            return Err(name.fault(text, unknown));
        }
        filter.arches.push(name.0.to_string());
    }
    if let Some(version) = &written.min_kernel {
        let wrong = || version.fault(text, Reason::Kernel(version.0.to_string()));
        filter.min_kernel = Some(kernel(&version.0).ok_or_else(wrong)?);
    }
    Ok(filter)
}

/// `4.8`, without signs, blanks or leading zeros.
pub(super) fn kernel(version: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let zero = digits.len() > 1 && digits.starts_with('0');
        if plain && !zero {
            digits.parse().ok()
        } else {
            None
        }
    };
    let (major, minor) = version.split_once('.')?;
    Some((number(major)?, number(minor)?))
}

/// serde_json's place and message.
pub(super) fn json_fault(text: &[u8], error: &serde_json::Error) -> Fault<Reason> {
    let (span, words) = json::complaint(text, error);
    let reason = if error.is_data() {
        Reason::Shape(words)
    } else {
        Reason::Syntax(words)
    };
    Fault::new(span, reason)
}
