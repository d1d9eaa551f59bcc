//! Seccomp profiles as OCI writes them (runtime-spec, config-linux.md) and as
//! Docker does: the same, with entries that hold under conditions.
//!
//! [`parse`] takes the text to a [`Conditional`], which holds only what has a
//! meaning; [`Conditional::resolve`] decides the conditions as moby does.

use std::fmt;
use std::ops::Range;

mod written;

use crate::error::Fault;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::seccomp::clone3;
use crate::seccomp::compile::MAX_ERRNO;
use crate::seccomp::profile::{Action, Profile, Rule, When};
use crate::seccomp::table::Arch;
use written::{Written, json_fault};

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
    /// No errno has this name.
    UnknownErrno(String),
    /// An errno by a name and by another number.
    TwoErrnos {
        /// `errno`
        name: String,
        /// `errnoRet`
        number: u32,
    },
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
            Self::UnknownErrno(name) => {
                write!(f, "no errno is named {name:?}; they are written EPERM")
            }
            Self::TwoErrnos { name, number } => {
                write!(f, "{name} is not {number}; leave one of the two out")
            }
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
