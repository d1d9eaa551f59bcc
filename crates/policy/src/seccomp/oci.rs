//! Seccomp profiles as OCI writes them (runtime-spec, config-linux.md) and as
//! Docker does: the same, with entries that hold under conditions.
//!
//! [`parse`] takes the text to a [`Conditional`], which holds only what has a
//! meaning; [`Conditional::resolve`] decides the conditions as moby does.

use std::fmt;
use std::ops::Range;

mod written;

use crate::seccomp::clone3;
use crate::seccomp::compile::{CompileFault, MAX_ERRNO};
use crate::seccomp::foreign::{self, Holding};
use crate::seccomp::profile::{Action, Profile, Rule, When};
use crate::seccomp::table::Arch;
use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_text::Fault;
use nsexec_text::json::Object;
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
    default_at: Range<usize>,
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
    /// No architecture has this name; one that is written as it should be.
    UnknownArchitecture(String, &'static str),
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
    let written = serde_json::from_slice(text).map_err(|error| json_fault(text, &error))?;
    let Object(written): Object<Written<'_>> = written;
    written.meaning(text)
}

impl Conditional {
    /// The profile on this architecture and kernel with these capabilities.
    ///
    /// Names that only other architectures know are passed over. Other 64-bit
    /// architectures of the profile are not let in: [`crate::seccomp::meaning::FOREIGN_ARCH`]
    /// is what their calls answer, which is never less strict; 32-bit ones have a
    /// profile of their own, [`Self::resolve_32_bit`]. Calls that the
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
        let mut profile = self.by_name(context, context.arch);
        let clone3 = clone3::rule(&profile, context.arch);
        profile.rules.extend(clone3);
        Ok(profile)
    }

    /// The profile for the 32-bit programs of the context's architecture; `None`:
    /// the text does not list theirs, and they are not let in.
    ///
    /// Conditions are decided for the 64-bit architecture, as moby does.
    #[must_use]
    pub fn resolve_32_bit(&self, context: &Context) -> Option<Profile> {
        let arch = context.arch.of_32_bit()?;
        let listed = self.architectures().iter();
        listed.into_iter().find(|name| *name == arch.oci_name())?;
        let mut profile = self.by_name(context, arch);
        let holding = self.entries.iter().filter(|entry| entry.holds(context));
        let holding: Vec<Holding<'_>> = holding
            .map(|entry| Holding {
                names: entry.names.iter().map(|name| name.text.as_str()).collect(),
                whens: &entry.whens,
                action: entry.action,
            })
            .collect();
        foreign::adapt(&mut profile, &holding, arch);
        let clone3 = clone3::rule(&profile, arch);
        profile.rules.extend(clone3);
        Some(profile)
    }

    /// What the entries that hold say, with the numbers of `arch`.
    fn by_name(&self, context: &Context, arch: Arch) -> Profile {
        let mut rules = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.holds(context)) {
            for (syscall, when, _) in entry.rules(arch) {
                rules.push(Rule {
                    syscall,
                    when: when.clone(),
                    action: entry.action,
                });
            }
        }
        // What its author named, in entries that do not hold here too. Arm's private
        // calls have numbers far above all others.
        let names = self.entries.iter().flat_map(|entry| &entry.names);
        let numbers = names.filter_map(|name| arch.number(&name.text));
        let newest = numbers.filter(|number| *number < 0xf_0000).max();
        Profile {
            default: self.default,
            newest: newest.unwrap_or(u32::MAX),
            rules,
        }
    }

    /// The calls that the text names, in its order; some more than once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.iter().flat_map(|entry| &entry.names);
        names.map(|name| name.text.as_str())
    }

    /// The architectures that the text lists; empty: it lists none.
    #[must_use]
    pub fn architectures(&self) -> &[String] {
        self.architectures
            .as_ref()
            .map_or(&[], |listed| &listed.names)
    }

    /// Where the default stands in the text.
    #[must_use]
    pub fn default_at(&self) -> Range<usize> {
        self.default_at.clone()
    }

    /// Where the call of each rule of [`Self::resolve`]'s profile is named, in
    /// the order of its rules; clone3's own rule, if there is one, comes after.
    #[must_use]
    pub fn origins(&self, context: &Context) -> Vec<Range<usize>> {
        let holding = self.entries.iter().filter(|entry| entry.holds(context));
        holding
            .flat_map(|entry| entry.rules(context.arch).map(|(_, _, at)| at.clone()))
            .collect()
    }

    /// Where the call is named whose rule makes no program; `None`: the profile as
    /// a whole makes none.
    #[must_use]
    pub fn place(&self, fault: &CompileFault, context: &Context) -> Option<Range<usize>> {
        match fault {
            CompileFault::Wide { rule, .. } => self.origins(context).get(*rule).cloned(),
            _ => None,
        }
    }

    /// The entries that name this call and would execute it, whether they hold
    /// or not, in the order of the text.
    pub fn grants<'a>(
        &'a self,
        context: &'a Context,
        number: u32,
    ) -> impl Iterator<Item = Grant<'a>> {
        let executing = self.entries.iter().filter(|entry| entry.action.executes());
        executing.flat_map(move |entry| {
            let rules = entry.rules(context.arch);
            rules
                .filter(move |(syscall, _, _)| *syscall == number)
                .map(|(_, when, at)| Grant {
                    at: at.clone(),
                    when,
                    wants: entry.wants(context),
                    excluded: entry.excludes.excludes(context),
                })
        })
    }
}

/// An entry that executes a call, when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Where it names the call.
    pub at: Range<usize>,
    /// With which arguments.
    pub when: &'a When,
    /// What it includes and the context lacks.
    pub wants: Vec<Want>,
    /// The context has what it excludes.
    pub excluded: bool,
}

/// A condition of an entry that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A capability in the bounding set.
    Capability(Capability),
    /// Another architecture.
    Architecture,
    /// A kernel as new as this.
    Kernel((u32, u32)),
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
    names: Vec<Name>,
    action: Action,
    /// The entry applies when one of these does; never empty.
    whens: Vec<When>,
    includes: Filter,
    excludes: Filter,
}

/// A call's name, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    at: Range<usize>,
}

impl Entry {
    /// moby's order: what excludes comes first.
    fn holds(&self, context: &Context) -> bool {
        !self.excludes.excludes(context) && self.wants(context).is_empty()
    }

    /// What `includes` asks for and the context lacks.
    fn wants(&self, context: &Context) -> Vec<Want> {
        let includes = &self.includes;
        let caps = includes.caps.iter().copied();
        let mut wants: Vec<Want> = caps
            .filter(|capability| !context.bounding.contains(*capability))
            .map(Want::Capability)
            .collect();
        if !includes.arches.is_empty() && !includes.names(context.arch) {
            wants.push(Want::Architecture);
        }
        if let Some(kernel) = includes
            .min_kernel
            .filter(|kernel| context.kernel < *kernel)
        {
            wants.push(Want::Kernel(kernel));
        }
        wants
    }

    /// The rules that the entry makes where it holds: a number, with which
    /// arguments, and where the call is named.
    fn rules(&self, arch: Arch) -> impl Iterator<Item = (u32, &When, &Range<usize>)> {
        let known = self
            .names
            .iter()
            .filter_map(move |name| Some((arch.number(&name.text)?, &name.at)));
        known.flat_map(|(number, at)| self.whens.iter().map(move |when| (number, when, at)))
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

    fn names(&self, arch: Arch) -> bool {
        self.arches.iter().any(|name| name == arch.go_name())
    }

    /// As `excludes`: any of what it names is enough.
    fn excludes(&self, context: &Context) -> bool {
        let has = |capability: &Capability| context.bounding.contains(*capability);
        self.names(context.arch)
            || self.caps.iter().any(has)
            || self
                .min_kernel
                .is_some_and(|kernel| context.kernel >= kernel)
    }
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
            Self::UnknownArchitecture(name, known) => {
                write!(
                    f,
                    "no architecture is named {name:?}; here they are written {known}"
                )
            }
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
            Self::ErrnoUnused => {
                write!(f, "only SCMP_ACT_ERRNO returns an errno; leave it out")
            }
            Self::Errno(errno) => write!(f, "errno {errno} is above {MAX_ERRNO}"),
            Self::UnknownErrno(name) => {
                write!(f, "no errno is named {name:?}; they are written EPERM")
            }
            Self::TwoErrnos { name, number } => {
                write!(f, "{name} is not {number}; leave one of the two out")
            }
            Self::Argument(index) => write!(f, "there is no argument {index}; they are 0 to 5"),
            Self::SecondValue => write!(
                f,
                "only SCMP_CMP_MASKED_EQ takes a \"valueTwo\"; leave it out"
            ),
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask} can be {value}: valueTwo has bits that value lacks"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
