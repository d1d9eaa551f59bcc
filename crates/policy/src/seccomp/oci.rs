//! Seccomp profiles in the formats of OCI (runtime-spec, config-linux.md) and of
//! Docker, which adds conditions to entries.
//!
//! [`parse`] reads the text to a [`Conditional`], which contains only valid
//! rules; [`Conditional::resolve`] decides the conditions as moby does.

use std::ops::Range;

mod error;
mod raw;

use crate::seccomp::clone3;
use crate::seccomp::compile::CompileFault;
use crate::seccomp::foreign::{self, ActiveEntry};
use crate::seccomp::profile::{Action, Profile, Rule, When};
use crate::seccomp::table::Arch;
use nsexec_kernel_text::capability::{Capability, CapabilitySet};
use nsexec_text::Fault;
use nsexec_text::json::Object;
use raw::{RawProfile, json_fault};

pub use error::ProfileErrorKind;

/// Docker's own profile has 17 kB; the longest known one 40 kB.
pub const MAX_BYTES: usize = 128 * 1024;

/// How many rules a profile's entries may make: names times alternatives.
/// Docker's makes 500, and no more than 4096 have an effect in a filter of 4096
/// instructions; without a limit 100 kB of text make a million.
pub const MAX_RULES: usize = 16 * 1024;

/// EPERM: the errno of SCMP_ACT_ERRNO if the profile names none.
const DEFAULT_ERRNO: u32 = 1;

/// The context for the conditions of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The architecture of the filter.
    pub arch: Arch,
    /// The program's final bounding set.
    pub bounding: CapabilitySet,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
}

/// A profile with undecided conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditional {
    default: Action,
    default_at: Range<usize>,
    architectures: Option<Architectures>,
    entries: Vec<Entry>,
}

/// Parses a profile.
///
/// # Errors
/// The first error in the text.
pub fn parse(text: &[u8]) -> Result<Conditional, Fault<ProfileErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            ProfileErrorKind::TooLong(text.len()),
        ));
    }
    let written = serde_json::from_slice(text).map_err(|error| json_fault(text, &error))?;
    let Object(written): Object<RawProfile<'_>> = written;
    written.resolve(text)
}

impl Conditional {
    /// The profile on this architecture and kernel with these capabilities.
    ///
    /// Names of calls that only other architectures have are skipped. Calls of
    /// other 64-bit architectures in the profile get
    /// [`crate::seccomp::evaluate::FOREIGN_ARCH`], which is never less strict;
    /// 32-bit architectures have their own profile, [`Self::resolve_32_bit`].
    /// Calls newer than the text return ENOSYS, and so does clone3 if clone's
    /// flags are checked.
    ///
    /// # Errors
    /// The profile lists architectures, and this one is not among them.
    pub fn resolve(&self, context: &Context) -> Result<Profile, Fault<ProfileErrorKind>> {
        if let Some(listed) = &self.architectures
            && !listed
                .names
                .iter()
                .any(|name| name == context.arch.oci_name())
        {
            return Err(Fault::new(
                listed.span.clone(),
                ProfileErrorKind::OtherArchitecture(context.arch),
            ));
        }
        let mut profile = self.by_name(context, context.arch);
        let clone3 = clone3::rule(&profile, context.arch);
        profile.rules.extend(clone3);
        Ok(profile)
    }

    /// The profile for the 32-bit programs of the context's architecture; `None`:
    /// the profile does not list their architecture, so they cannot run.
    ///
    /// Conditions are decided for the 64-bit architecture, as moby does.
    #[must_use]
    pub fn resolve_32_bit(&self, context: &Context) -> Option<Profile> {
        let arch = context.arch.of_32_bit()?;
        let listed = self.architectures().iter();
        listed.into_iter().find(|name| *name == arch.oci_name())?;
        let mut profile = self.by_name(context, arch);
        let active = self.entries.iter().filter(|entry| entry.holds(context));
        let active: Vec<ActiveEntry<'_>> = active
            .map(|entry| ActiveEntry {
                names: entry.names.iter().map(|name| name.text.as_str()).collect(),
                whens: &entry.whens,
                action: entry.action,
            })
            .collect();
        foreign::adapt(&mut profile, &active, arch);
        let clone3 = clone3::rule(&profile, arch);
        profile.rules.extend(clone3);
        Some(profile)
    }

    /// The rules of the entries that apply, with the numbers of `arch`.
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
        // The calls that the author named, including those in entries that do
        // not apply here. Arm's private calls have numbers far above all others.
        let names = self.entries.iter().flat_map(|entry| &entry.names);
        let numbers = names.filter_map(|name| arch.number(&name.text));
        let newest = numbers.filter(|number| *number < 0xf_0000).max();
        Profile {
            default: self.default,
            newest: newest.unwrap_or(u32::MAX),
            rules,
        }
    }

    /// The calls in the text, in order; some more than once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.iter().flat_map(|entry| &entry.names);
        names.map(|name| name.text.as_str())
    }

    /// The architectures in the text; empty if it lists none.
    #[must_use]
    pub fn architectures(&self) -> &[String] {
        self.architectures
            .as_ref()
            .map_or(&[], |listed| &listed.names)
    }

    /// The span of the default action.
    #[must_use]
    pub fn default_at(&self) -> Range<usize> {
        self.default_at.clone()
    }

    /// The span of the call name of each rule in [`Self::resolve`]'s profile, in
    /// the same order; clone3's own rule, if any, is last.
    #[must_use]
    pub fn origins(&self, context: &Context) -> Vec<Range<usize>> {
        let active = self.entries.iter().filter(|entry| entry.holds(context));
        active
            .flat_map(|entry| entry.rules(context.arch).map(|(_, _, at)| at.clone()))
            .collect()
    }

    /// The span of the call name of a rule that cannot be compiled; `None` if
    /// the error concerns the whole profile.
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
                    unmet: entry.unmet_conditions(context),
                    excluded: entry.excludes.excludes(context),
                })
        })
    }
}

/// An entry that executes a call, when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The position at which it names the call.
    pub at: Range<usize>,
    /// With which arguments.
    pub when: &'a When,
    /// The conditions in includes that do not hold.
    pub unmet: Vec<UnmetCondition>,
    /// Whether excludes applies.
    pub excluded: bool,
}

/// A condition of an entry that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetCondition {
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
    /// The entry applies if one of these applies; never empty.
    whens: Vec<When>,
    includes: Filter,
    excludes: Filter,
}

/// A call's name, and its span.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    at: Range<usize>,
}

impl Entry {
    /// moby's order: excludes comes first.
    fn holds(&self, context: &Context) -> bool {
        !self.excludes.excludes(context) && self.unmet_conditions(context).is_empty()
    }

    /// The conditions in `includes` that do not hold.
    fn unmet_conditions(&self, context: &Context) -> Vec<UnmetCondition> {
        let includes = &self.includes;
        let caps = includes.caps.iter().copied();
        let mut unmet: Vec<UnmetCondition> = caps
            .filter(|capability| !context.bounding.contains(*capability))
            .map(UnmetCondition::Capability)
            .collect();
        if !includes.arches.is_empty() && !includes.names(context.arch) {
            unmet.push(UnmetCondition::Architecture);
        }
        if let Some(kernel) = includes
            .min_kernel
            .filter(|kernel| context.kernel < *kernel)
        {
            unmet.push(UnmetCondition::Kernel(kernel));
        }
        unmet
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

/// `includes` or `excludes`; an empty one has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    caps: Vec<Capability>,
    arches: Vec<String>,
    min_kernel: Option<(u32, u32)>,
}

impl Filter {
    const EMPTY: Self = Self {
        caps: Vec::new(),
        arches: Vec::new(),
        min_kernel: None,
    };

    fn names(&self, arch: Arch) -> bool {
        self.arches.iter().any(|name| name == arch.go_name())
    }

    /// As `excludes`: any of its conditions suffices.
    fn excludes(&self, context: &Context) -> bool {
        let has = |capability: &Capability| context.bounding.contains(*capability);
        self.names(context.arch)
            || self.caps.iter().any(has)
            || self
                .min_kernel
                .is_some_and(|kernel| context.kernel >= kernel)
    }
}

#[cfg(test)]
mod tests;
