//! Checks options together and builds the request from them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::Command;
use super::arguments::{OptionArgument, RawArguments};
use super::fault::UsageFault;
use super::number;
use super::options::{Name, OptionSpec};
use super::value::{self, ValueErrorKind};
use nsexec_request::{Namespace, NamespaceSource, Request, Selection, TargetId};

/// The maximum number of descriptors to hand over: the default limit of programs
/// that use poll(2) and select(2).
pub const MAX_PRESERVED: u64 = 1024;
/// The greatest number of a descriptor.
const MAX_DESCRIPTOR: u64 = 0x7fff_ffff;

/// Builds the command from `written`.
///
/// # Errors
/// The first error.
pub fn command(written: RawArguments) -> Result<Command, UsageFault> {
    let prints = |given: &OptionArgument| match given.option.name {
        Name::Help => Some(Command::Help),
        Name::Version => Some(Command::Version),
        Name::Features => Some(Command::Features),
        _ => None,
    };
    if let Some(command) = written.options.iter().find_map(prints) {
        return Ok(command);
    }
    let options = Options(written.options);
    options.refuse_repeats()?;
    options.refuse_conflicts()?;
    let program = options.program(written.program)?;
    let target = options.target()?;
    let namespaces = options.selection(target)?;
    let descriptors = options.descriptors()?;
    let mut request = Request::with(target, namespaces, program);
    for OptionArgument { option, value } in &options.0 {
        if let Some(set) = option.set {
            set.apply(&mut request, value.as_deref())
                .map_err(|fault| wrong(option, value, fault))?;
        }
    }
    request.preserve_fds = descriptors.preserved;
    request.seccomp_fds = descriptors.programs;
    request.status_fd = descriptors.status;
    options.require_companion_options(&request)?;
    let request = Box::new(request);
    Ok(if options.has(Name::DryRun) {
        Command::DryRun(request)
    } else {
        Command::Run(request)
    })
}

struct Options(Vec<OptionArgument>);

/// The descriptors that a command line declares.
#[derive(Debug, Default)]
struct Descriptors {
    status: Option<RawFd>,
    preserved: BTreeSet<RawFd>,
    /// In the order of the options.
    programs: Vec<RawFd>,
}

impl Options {
    fn given(&self, name: Name) -> Option<&OptionArgument> {
        self.0.iter().find(|given| given.option.name == name)
    }

    fn has(&self, name: Name) -> bool {
        self.given(name).is_some()
    }

    fn refuse_repeats(&self) -> Result<(), UsageFault> {
        let mut seen: Vec<&OptionArgument> = Vec::new();
        for given in &self.0 {
            // --env=K adds one variable each time, --seccomp-fd one filter.
            let repeatable = match given.option.name {
                Name::Environment => given.value.is_some(),
                name => name == Name::SeccompFd,
            };
            let repeated = seen.iter().any(|known| {
                known.option == given.option && known.value.is_none() == given.value.is_none()
            });
            let same = seen.iter().any(|known| known.option == given.option);
            if !repeatable && (repeated || (same && given.option.name != Name::Environment)) {
                return Err(UsageFault::Twice(given.option));
            }
            seen.push(given);
        }
        Ok(())
    }

    fn refuse_conflicts(&self) -> Result<(), UsageFault> {
        for (one, other) in [
            (Name::WorkDir, Name::WorkDirInside),
            (Name::NetSocket, Name::Namespace(Namespace::Net)),
            (Name::SetUid, Name::PreserveCredentials),
            (Name::SetGid, Name::PreserveCredentials),
            (Name::StatusFd, Name::NoFork),
            (Name::Explain, Name::NoFork),
            // --explain finds the rule in the policy's text; a BPF program has
            // none.
            (Name::Explain, Name::SeccompFd),
        ] {
            if let (Some(one), Some(other)) = (self.given(one), self.given(other)) {
                return Err(UsageFault::Both(one.option, other.option));
            }
        }
        Ok(())
    }

    /// Every descriptor that is declared, each with one use.
    fn descriptors(&self) -> Result<Descriptors, UsageFault> {
        let mut taken: Vec<(u32, &'static OptionSpec)> = Vec::new();
        let mut take = |number: u32, option: &'static OptionSpec| {
            if let Some((_, owner)) = taken.iter().find(|(taken, _)| *taken == number) {
                return Err(UsageFault::Descriptor {
                    option,
                    number,
                    owner,
                });
            }
            taken.push((number, option));
            RawFd::try_from(number).map_err(|_| UsageFault::Word)
        };
        let mut found = Descriptors::default();
        if let Some(given) = self.given(Name::StatusFd)
            && let Some(number) = self.number(Name::StatusFd, 0, MAX_DESCRIPTOR)?
        {
            found.status = Some(take(number, given.option)?);
        }
        if let Some(given) = self.given(Name::PreserveFds)
            && let Some(count) = self.number(Name::PreserveFds, 0, MAX_PRESERVED)?
        {
            for number in 3..3 + count {
                found.preserved.insert(take(number, given.option)?);
            }
        }
        for OptionArgument { option, value } in &self.0 {
            let Some(value) = value else { continue };
            let numbers = match option.name {
                Name::PreserveFd => {
                    let count = usize::try_from(MAX_PRESERVED).unwrap_or(usize::MAX);
                    number::list(value.as_bytes(), 3, MAX_DESCRIPTOR, count)
                }
                // 0, 1 and 2 are the program's.
                Name::SeccompFd => number::number(value.as_bytes(), 3, MAX_DESCRIPTOR)
                    .map(|number| BTreeSet::from([number])),
                _ => continue,
            };
            for number in numbers.map_err(|fault| wrong_number(option, value, fault))? {
                let number = u32::try_from(number).map_err(|_| wrong_text(option, value))?;
                let fd = take(number, option)?;
                if option.name == Name::PreserveFd {
                    found.preserved.insert(fd);
                } else {
                    found.programs.push(fd);
                }
            }
        }
        Ok(found)
    }

    fn require_companion_options(&self, request: &Request) -> Result<(), UsageFault> {
        let joins = |namespace| match &request.namespaces {
            Selection::All { .. } | Selection::ProtocolA => true,
            Selection::Only(named) => named.contains_key(&namespace),
        };
        let joins_any = match &request.namespaces {
            Selection::All { .. } | Selection::ProtocolA => true,
            Selection::Only(named) => !named.is_empty(),
        };
        if let Some(keep) = self.given(Name::KeepCaps)
            && !joins(Namespace::User)
            && !request.user_parent
        {
            return Err(UsageFault::Requires(keep.option, "--user"));
        }
        if let Some(parent) = self.given(Name::UserParent)
            && !joins_any
        {
            return Err(UsageFault::Requires(parent.option, "a namespace"));
        }
        Ok(())
    }

    fn target(&self) -> Result<Option<TargetId>, UsageFault> {
        let Some(OptionArgument {
            option,
            value: Some(value),
        }) = self.given(Name::Target)
        else {
            return Ok(None);
        };
        number::target(value.as_bytes())
            .map(Some)
            .map_err(|fault| wrong_number(option, value, fault))
    }

    fn selection(&self, target: Option<TargetId>) -> Result<Selection, UsageFault> {
        let mut named = BTreeMap::new();
        let mut needs_target = None;
        for given in &self.0 {
            let (namespace, source) = match given.option.name {
                Name::Namespace(namespace) => (namespace, source(given)?),
                Name::NetSocket => {
                    let fd = self
                        .number(Name::NetSocket, 0, MAX_DESCRIPTOR)?
                        .unwrap_or(0);
                    (
                        Namespace::Net,
                        NamespaceSource::Socket(i32::try_from(fd).unwrap_or(-1)),
                    )
                }
                Name::All | Name::JoinCgroup | Name::FollowContext => {
                    needs_target = needs_target.or(Some(given));
                    continue;
                }
                Name::SetUid | Name::SetGid
                    if given.value.as_deref() == Some(OsStr::new("follow")) =>
                {
                    needs_target = needs_target.or(Some(given));
                    continue;
                }
                Name::Root | Name::WorkDir | Name::Environment if given.value.is_none() => {
                    needs_target = needs_target.or(Some(given));
                    continue;
                }
                _ => continue,
            };
            if matches!(source, NamespaceSource::Target | NamespaceSource::Socket(_)) {
                needs_target = needs_target.or(Some(given));
            }
            named.insert(namespace, source);
        }
        if let (Some(given), None) = (needs_target, target) {
            return Err(UsageFault::NoTarget(given.option));
        }
        // A target without a namespace letter means all of its namespaces,
        // regardless of other options: an unrelated option must not make the
        // program run in the caller's namespaces.
        if self.has(Name::All) || (named.is_empty() && target.is_some()) {
            named.retain(|_, source| *source != NamespaceSource::Target);
            return Ok(Selection::All { except: named });
        }
        // Without a target, a new root or directory is also a valid request.
        let elsewhere = [Name::Root, Name::WorkDir, Name::WorkDirInside];
        if named.is_empty() && !elsewhere.into_iter().any(|name| self.has(name)) {
            return Err(UsageFault::NothingToJoin);
        }
        Ok(Selection::Only(named))
    }

    fn number(&self, name: Name, least: u64, most: u64) -> Result<Option<u32>, UsageFault> {
        let Some(OptionArgument {
            option,
            value: Some(value),
        }) = self.given(name)
        else {
            return Ok(None);
        };
        let number = number::number(value.as_bytes(), least, most)
            .map_err(|fault| wrong_number(option, value, fault))?;
        Ok(u32::try_from(number).ok())
    }

    fn program(&self, words: Vec<OsString>) -> Result<Vec<CString>, UsageFault> {
        // `--env K=V` would run a program of that name.
        let loose = self
            .0
            .last()
            .is_some_and(|last| last.option.name == Name::Environment && last.value.is_none());
        if let Some(first) = words.first().filter(|_| loose)
            && first.as_bytes().contains(&b'=')
            && !first.as_bytes().contains(&b'/')
        {
            return Err(UsageFault::DetachedVariable(
                first.to_string_lossy().into_owned(),
            ));
        }
        let string = |word: OsString| CString::new(word.into_vec()).map_err(|_| UsageFault::Word);
        words.into_iter().map(string).collect()
    }
}

/// `FILE`, `:NSID`, or nothing: the target's.
fn source(given: &OptionArgument) -> Result<NamespaceSource, UsageFault> {
    let Some(value) = &given.value else {
        return Ok(NamespaceSource::Target);
    };
    match value.as_bytes().strip_prefix(b":") {
        Some(id) => {
            let id = number::number(id, 1, u64::MAX)
                .map_err(|fault| wrong_number(given.option, value, fault))?;
            std::num::NonZeroU64::new(id)
                .map(NamespaceSource::Id)
                .ok_or_else(|| wrong_text(given.option, value))
        }
        None => value::path(Some(value))
            .map(NamespaceSource::File)
            .map_err(|_| wrong_text(given.option, value)),
    }
}

fn wrong(
    option: &'static OptionSpec,
    value: &Option<OsString>,
    fault: ValueErrorKind,
) -> UsageFault {
    let value = value.as_deref().unwrap_or_default();
    match fault {
        ValueErrorKind::Number(fault) => wrong_number(option, value, fault),
        ValueErrorKind::Text => wrong_text(option, value),
    }
}

fn wrong_number(
    option: &'static OptionSpec,
    value: &OsStr,
    fault: nsexec_text::Fault<number::NumberErrorKind>,
) -> UsageFault {
    UsageFault::Number {
        option,
        value: value.to_string_lossy().into_owned(),
        fault,
    }
}

fn wrong_text(option: &'static OptionSpec, value: &OsStr) -> UsageFault {
    UsageFault::Text {
        option,
        value: value.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests;
