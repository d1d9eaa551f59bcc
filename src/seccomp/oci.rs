//! Seccomp profiles as OCI writes them (runtime-spec, config-linux.md) and as
//! Docker does: the same, with entries that hold under conditions.
//!
//! [`parse`] takes the text to a [`Conditional`], which holds only what has a
//! meaning; [`Conditional::resolve`] decides the conditions as moby does.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;

use crate::error::Fault;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::seccomp::clone3;
use crate::seccomp::compile::MAX_ERRNO;
use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::table::{Arch, is_go_architecture, is_known_somewhere, is_oci_architecture};

/// Docker's own profile has 17 kB; the longest known one 40 kB.
pub const MAX_BYTES: usize = 128 * 1024;

/// How many rules a profile's entries may make: names times alternatives.
/// Docker's makes 500, and no more than 4096 have an effect in a filter of 4096
/// instructions; without a limit 100 kB of text make a million.
pub const MAX_RULES: usize = 16 * 1024;

/// EPERM: what SCMP_ACT_ERRNO answers when the profile does not say.
const DEFAULT_ERRNO: u32 = 1;

/// What the conditions of a profile are decided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The architecture of the filter.
    pub arch: Arch,
    /// What the program's bounding set will be in the end.
    pub bounding: CapabilitySet,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
}

/// A profile whose conditions are still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditional {
    default: Action,
    architectures: Option<Architectures>,
    entries: Vec<Entry>,
}

/// Why a profile is none, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// The entries make more than [`MAX_RULES`] rules.
    TooManyRules(usize),
    /// No JSON, or bytes behind it.
    Syntax(String),
    /// JSON, but not of this shape: an unknown, repeated or missing key, a
    /// value of another type.
    Shape(String),
    /// A list that must not be empty.
    Empty(&'static str),
    /// Two keys of which only one may be there, or none of them.
    OneOf(&'static str, &'static str),
    /// No architecture of Linux has a system call of this name.
    UnknownCall(String),
    /// The same name twice in one entry.
    RepeatedCall(String),
    /// No architecture has this name.
    UnknownArchitecture(String),
    /// The profile lists architectures, and not this one.
    OtherArchitecture(Arch),
    /// No capability has this name.
    UnknownCapability(String),
    /// No version of the form MAJOR.MINOR.
    Kernel(String),
    /// SCMP_ACT_NOTIFY or SCMP_ACT_TRACE.
    NeedsSupervisor(&'static str),
    /// An errno for an action that returns none.
    ErrnoUnused,
    /// An errno above [`MAX_ERRNO`].
    Errno(u32),
    /// An argument beyond 5.
    Argument(u32),
    /// `valueTwo` for a comparison that takes one value.
    SecondValue,
    /// `argument & value == valueTwo` that never holds.
    Mask {
        /// The bits that are looked at.
        mask: u64,
        /// What they have to be.
        value: u64,
    },
}

/// The profile that `text` is.
///
/// # Errors
/// The first thing in it that has no meaning.
pub fn parse(text: &[u8]) -> Result<Conditional, Fault<Reason>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            Reason::TooLong(text.len()),
        ));
    }
    let written: Written<'_> = serde_json::from_slice(text).map_err(|e| json_fault(text, &e))?;
    written.meaning(text)
}

impl Conditional {
    /// The profile on this architecture and kernel with these capabilities.
    ///
    /// Names that only other architectures know are passed over. Other
    /// architectures of the profile are not let in: [`crate::seccomp::meaning::FOREIGN_ARCH`]
    /// is what their calls answer, which is never less strict. Calls that the
    /// text is too old for, and clone3 where clone's flags are looked at, answer
    /// ENOSYS.
    ///
    /// # Errors
    /// The profile lists architectures and this one is not among them.
    pub fn resolve(&self, context: &Context) -> Result<Profile, Fault<Reason>> {
        if let Some(listed) = &self.architectures
            && !listed
                .names
                .iter()
                .any(|name| name == context.arch.oci_name())
        {
            return Err(Fault::new(
                listed.span.clone(),
                Reason::OtherArchitecture(context.arch),
            ));
        }
        let mut rules = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.holds(context)) {
            let known = entry
                .names
                .iter()
                .filter_map(|name| context.arch.number(name));
            for syscall in known {
                for when in &entry.whens {
                    rules.push(Rule {
                        syscall,
                        when: when.clone(),
                        action: entry.action,
                    });
                }
            }
        }
        // What its author named, in entries that do not hold here too.
        let names = self.entries.iter().flat_map(|entry| &entry.names);
        let newest = names.filter_map(|name| context.arch.number(name)).max();
        let mut profile = Profile {
            default: self.default,
            newest: newest.unwrap_or(u32::MAX),
            rules,
        };
        let clone3 = clone3::rule(&profile, context.arch);
        profile.rules.extend(clone3);
        Ok(profile)
    }
}

/// The architectures that a profile names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Architectures {
    names: Vec<String>,
    span: Range<usize>,
}

/// One element of `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    names: Vec<String>,
    action: Action,
    /// The entry applies when one of these does; never empty.
    whens: Vec<When>,
    includes: Filter,
    excludes: Filter,
}

impl Entry {
    /// moby's order: what excludes comes first.
    fn holds(&self, context: &Context) -> bool {
        let has = |capability: &Capability| context.bounding.contains(*capability);
        let here = |filter: &Filter| filter.arches.iter().any(|a| a == context.arch.go_name());
        let new_enough = |kernel: (u32, u32)| context.kernel >= kernel;

        let excluded = here(&self.excludes)
            || self.excludes.caps.iter().any(has)
            || self.excludes.min_kernel.is_some_and(new_enough);
        let included = (self.includes.arches.is_empty() || here(&self.includes))
            && self.includes.caps.iter().all(has)
            && self.includes.min_kernel.is_none_or(new_enough);
        included && !excluded
    }
}

/// `includes` or `excludes`; what is empty asks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    caps: Vec<Capability>,
    arches: Vec<String>,
    min_kernel: Option<(u32, u32)>,
}

impl Filter {
    const ASKS_NOTHING: Self = Self {
        caps: Vec::new(),
        arches: Vec::new(),
        min_kernel: None,
    };
}

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a profile")]
struct Written<'a> {
    #[serde(borrow)]
    default_action: Text<'a>,
    default_errno_ret: Option<u32>,
    #[serde(borrow)]
    architectures: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    arch_map: Option<Vec<WrittenArch<'a>>>,
    #[serde(borrow)]
    syscalls: Vec<WrittenEntry<'a>>,
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
    args: Option<Vec<WrittenArg<'a>>>,
    #[serde(borrow, rename = "comment")]
    _comment: Option<Text<'a>>,
    #[serde(borrow)]
    includes: Option<WrittenFilter<'a>>,
    #[serde(borrow)]
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
    fn meaning(&self, text: &[u8]) -> Result<Conditional, Fault<Reason>> {
        let default = action(&self.default_action, self.default_errno_ret, text)?;
        let at = |reason| self.default_action.fault(text, reason);
        let named = match (&self.architectures, &self.arch_map) {
            (Some(_), Some(_)) => return Err(at(Reason::OneOf("architectures", "archMap"))),
            (None, None) => None,
            (Some(names), None) => Some(names.iter().collect::<Vec<_>>()),
            (None, Some(map)) => {
                for sub in map
                    .iter()
                    .flat_map(|arch| &arch.sub_architectures)
                    .flatten()
                {
                    architecture(sub, text)?;
                }
                Some(map.iter().map(|arch| &arch.architecture).collect())
            }
        };
        let architectures = match named.as_deref() {
            None => None,
            Some([]) => return Err(at(Reason::Empty("architectures"))),
            Some(all @ [first, ..]) => Some(Architectures {
                names: all
                    .iter()
                    .map(|name| architecture(name, text))
                    .collect::<Result<_, _>>()?,
                span: first.span(text),
            }),
        };
        if self.syscalls.is_empty() {
            return Err(at(Reason::Empty("syscalls")));
        }
        let entries = self.syscalls.iter().map(|entry| entry.meaning(text));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        let made = entries
            .iter()
            .map(|entry| entry.names.len() * entry.whens.len());
        let rules = made.sum();
        if rules > MAX_RULES {
            return Err(at(Reason::TooManyRules(rules)));
        }
        Ok(Conditional {
            default,
            architectures,
            entries,
        })
    }
}

impl WrittenEntry<'_> {
    fn meaning(&self, text: &[u8]) -> Result<Entry, Fault<Reason>> {
        let written: &[Text<'_>] = match (&self.name, &self.names) {
            (Some(name), None) => std::slice::from_ref(name),
            (None, Some(names)) => names,
            _ => {
                return Err(self.action.fault(text, Reason::OneOf("name", "names")));
            }
        };
        if written.is_empty() {
            return Err(self.action.fault(text, Reason::Empty("names")));
        }
        let mut names: Vec<String> = Vec::with_capacity(written.len());
        for name in written {
            if !is_known_somewhere(&name.0) {
                return Err(name.fault(text, Reason::UnknownCall(name.0.to_string())));
            }
            if names.iter().any(|known| *known == name.0) {
                return Err(name.fault(text, Reason::RepeatedCall(name.0.to_string())));
            }
            names.push(name.0.to_string());
        }
        Ok(Entry {
            names,
            action: action(&self.action, self.errno_ret, text)?,
            whens: self.whens(text)?,
            includes: filter(self.includes.as_ref(), &self.action, text)?,
            excludes: filter(self.excludes.as_ref(), &self.action, text)?,
        })
    }

    fn whens(&self, text: &[u8]) -> Result<Vec<When>, Fault<Reason>> {
        let written = self.args.as_deref().unwrap_or_default();
        let mut conditions: Vec<Condition> = Vec::with_capacity(written.len());
        let mut repeated = false;
        for arg in written {
            let condition = arg.meaning(text)?;
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
    fn meaning(&self, text: &[u8]) -> Result<Condition, Fault<Reason>> {
        let at = |reason| self.op.fault(text, reason);
        let argument = match u8::try_from(self.index) {
            Ok(index @ 0..=5) => index,
            _ => return Err(at(Reason::Argument(self.index))),
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
                return Err(at(Reason::Shape(message)));
            }
        };
        match comparison {
            Comparison::Masked { mask, value } if value & !mask != 0 => {
                Err(at(Reason::Mask { mask, value }))
            }
            Comparison::Masked { .. } => Ok(Condition {
                argument,
                comparison,
            }),
            _ if second != 0 => Err(at(Reason::SecondValue)),
            _ => Ok(Condition {
                argument,
                comparison,
            }),
        }
    }
}

fn action(name: &Text<'_>, errno: Option<u32>, text: &[u8]) -> Result<Action, Fault<Reason>> {
    let at = |reason| name.fault(text, reason);
    let action = match &*name.0 {
        "SCMP_ACT_ERRNO" => {
            let errno = errno.unwrap_or(DEFAULT_ERRNO);
            return match u16::try_from(errno) {
                Ok(errno) if errno <= MAX_ERRNO => Ok(Action::Errno(errno)),
                _ => Err(at(Reason::Errno(errno))),
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
        Some(_) => Err(at(Reason::ErrnoUnused)),
        None => Ok(action),
    }
}

fn architecture(name: &Text<'_>, text: &[u8]) -> Result<String, Fault<Reason>> {
    if is_oci_architecture(&name.0) {
        Ok(name.0.to_string())
    } else {
        Err(name.fault(text, Reason::UnknownArchitecture(name.0.to_string())))
    }
}

fn filter(
    written: Option<&WrittenFilter<'_>>,
    at: &Text<'_>,
    text: &[u8],
) -> Result<Filter, Fault<Reason>> {
    let Some(written) = written else {
        return Ok(Filter::ASKS_NOTHING);
    };
    let mut filter = Filter::ASKS_NOTHING;
    for (key, list) in [("caps", &written.caps), ("arches", &written.arches)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err(at.fault(text, Reason::Empty(key)));
        }
    }
    for name in written.caps.iter().flatten() {
        let known = Capability::from_name(&name.0);
        let unknown = || name.fault(text, Reason::UnknownCapability(name.0.to_string()));
        filter.caps.push(known.ok_or_else(unknown)?);
    }
    for name in written.arches.iter().flatten() {
        if !is_go_architecture(&name.0) {
            return Err(name.fault(text, Reason::UnknownArchitecture(name.0.to_string())));
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
fn kernel(version: &str) -> Option<(u32, u32)> {
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
fn json_fault(text: &[u8], error: &serde_json::Error) -> Fault<Reason> {
    let before: usize = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let at = (before + error.column().saturating_sub(1)).min(text.len());
    let message = error.to_string();
    // The place is told once, by the fault.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message)
        .to_owned();
    let reason = if error.is_data() {
        Reason::Shape(message)
    } else {
        Reason::Syntax(message)
    };
    Fault::new(at..at, reason)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a profile has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::TooManyRules(rules) => {
                write!(
                    f,
                    "the entries make {rules} rules; at most {MAX_RULES} are taken"
                )
            }
            Self::Syntax(message) => write!(f, "no JSON: {message}"),
            Self::Shape(message) => write!(f, "{message}"),
            Self::Empty(key) => write!(
                f,
                "{key:?} is empty, which could mean all or none; name what is meant"
            ),
            Self::OneOf(a, b) => write!(f, "one of {a:?} and {b:?} is needed, and not both"),
            Self::UnknownCall(name) => {
                write!(f, "no system call is named {name:?}; see syscalls(2)")
            }
            Self::RepeatedCall(name) => write!(f, "{name:?} stands twice in one entry"),
            Self::UnknownArchitecture(name) => write!(f, "no architecture is named {name:?}"),
            Self::OtherArchitecture(arch) => write!(
                f,
                "the profile is for other architectures; {} is not among them",
                arch.oci_name()
            ),
            Self::UnknownCapability(name) => write!(
                f,
                "no capability is named {name:?}; they are written CAP_CHOWN"
            ),
            Self::Kernel(version) => {
                write!(f, "{version:?} is no kernel version; it is written 4.8")
            }
            Self::NeedsSupervisor(action) => write!(
                f,
                "{action} needs a process that answers, and there is none; \
                 use SCMP_ACT_ERRNO or SCMP_ACT_LOG"
            ),
            Self::ErrnoUnused => write!(f, "only SCMP_ACT_ERRNO returns an errno"),
            Self::Errno(errno) => write!(f, "errno {errno} is above {MAX_ERRNO}"),
            Self::Argument(index) => write!(f, "there is no argument {index}; they are 0 to 5"),
            Self::SecondValue => write!(f, "only SCMP_CMP_MASKED_EQ takes a \"valueTwo\""),
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask} can be {value}: valueTwo has bits that value lacks"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
