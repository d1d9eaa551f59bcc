//! `--seccomp-fd`: filters that the caller hands over as programs of classic BPF, in the format
//! that bubblewrap takes.
//!
//! They only add restrictions. The child loads each of them, in the order of the options, right
//! before the policy's own filter. So no policy can prevent their loading, and they must not affect
//! the later steps. The helper checks that here, before it opens anything of the target.

use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;
use serde_json::{Value, json};

use super::filters;
use super::fitness::{self, Use};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::needs;
use crate::policy::resolved::ResolvedPolicy;
use crate::seccomp::limit;
use crate::seccomp::program::Program;
use crate::seccomp::raw::{self, Filter};

/// The start of its errors.
pub(super) const OPTION: &str = "--seccomp-fd ";

/// The descriptors, as copies of the caller's.
#[derive(Debug)]
pub(crate) struct FilterDescriptors(Vec<(RawFd, OwnedFd)>);

/// The programs on them, each valid by itself.
#[derive(Debug)]
pub(crate) struct Programs(Vec<(RawFd, Filter)>);

/// Filters that can be loaded between a policy's ceiling and its own filter, and that permit the
/// start of the program under all of them.
#[derive(Debug)]
pub(crate) struct AddedFilters(Vec<(RawFd, Filter)>);

impl FilterDescriptors {
    /// Copies the descriptors, which [`super::preserved::Declared::take`] has found open.
    ///
    /// # Errors
    /// `Usage`: there is none of this number, or it is not open for reading.
    pub(crate) fn take(numbers: &[RawFd]) -> Result<Self> {
        let copy = |number: &RawFd| {
            let copy = fitness::take(ErrorKind::Usage, OPTION, *number, Use::Read)?;
            Ok((*number, copy))
        };
        numbers.iter().map(copy).collect::<Result<_>>().map(Self)
    }

    /// Reads each from its current offset to its end.
    ///
    /// # Errors
    /// `Usage`: it cannot be read. `Policy`: the content is no program.
    pub(crate) fn read(self) -> Result<Programs> {
        let read = |(number, file): (RawFd, OwnedFd)| {
            let bytes = read(&file).map_err(|errno| {
                let wrong = format!("{OPTION}{number}: descriptor {number} cannot be read");
                Error::new(ErrorKind::Usage, wrong)
                    .with_source(errno)
                    .with_hint("give a file or pipe that is open for reading")
            })?;
            let filter = raw::parse(&bytes).map_err(|fault| {
                Error::new(
                    ErrorKind::Policy,
                    format!("--seccomp-fd {number}: invalid seccomp program"),
                )
                .with_source(fault)
            })?;
            Ok((number, filter))
        };
        let all = self.0.into_iter().map(read);
        all.collect::<Result<_>>().map(Programs)
    }
}

/// At most one byte more than the longest program.
fn read(file: &OwnedFd) -> std::result::Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while bytes.len() <= raw::MAX_BYTES {
        match nix::unistd::read(file, &mut chunk) {
            Ok(0) => break,
            Ok(read) => bytes.extend(chunk.iter().take(read)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

impl Programs {
    /// Checks them against the later steps, and against the kernel's limit.
    ///
    /// # Errors
    /// `Policy`: one of them might prevent the loading of the filters after it or the start of the
    /// program, or there are too many instructions.
    pub(crate) fn checked_against(self, policy: &ResolvedPolicy) -> Result<AddedFilters> {
        let arch = filters::native()?;
        for (number, filter) in &self.0 {
            if let Some((call, answer)) = needs::denied_by_added(filter.program(), arch) {
                return Err(denies(*number, call, answer));
            }
        }
        let ceiling = policy.ceiling.seccomp.enforced();
        let workload = policy.workload.seccomp.enforced();
        let added = self.0.iter().map(|(_, filter)| filter.program());
        let total = limit::total(ceiling.into_iter().chain(added).chain(workload));
        if total > limit::MAX_TOTAL {
            let wrong = format!(
                "--seccomp-fd: with the policy's filters, {total} instructions as the kernel \
                 translates and counts them"
            );
            let right = format!("at most {} can be in force", limit::MAX_TOTAL);
            return Err(Error::new(ErrorKind::Policy, wrong).with_hint(right));
        }
        Ok(AddedFilters(self.0))
    }
}

fn denies(number: RawFd, call: &str, answer: Option<u32>) -> Error {
    // If a program has no computed returns, each of its results is known.
    let with = match answer.map(raw::answer) {
        Some(Ok(action)) => format!(" with {}", raw::name(action)),
        _ => String::new(),
    };
    let wrong = format!("--seccomp-fd {number}: its program may answer {call}{with}");
    let right = match call {
        "seccomp" => "allow seccomp(SECCOMP_SET_MODE_FILTER): the policy's own filter comes next",
        _ => "allow it with any arguments: the start of a program requires it",
    };
    Error::new(ErrorKind::Policy, wrong).with_hint(right)
}

impl AddedFilters {
    /// None: there are only the policy's filters.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// For the plan and the status lines, in the order of loading.
    pub(crate) fn to_value(&self) -> Value {
        let filter = |(number, filter): &(RawFd, Filter)| {
            let answers = filter.answers().iter().map(|action| raw::name(*action));
            json!({
                "fd": number,
                "in_force": true,
                "instructions": filter.program().instructions().len(),
                "answers": answers.collect::<Vec<_>>(),
            })
        };
        self.0.iter().map(filter).collect()
    }

    /// The programs, in the same order.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.0.iter().map(|(_, filter)| filter.program())
    }

    /// The programs, to be loaded in this order.
    pub(crate) fn into_programs(self) -> impl Iterator<Item = Program> {
        self.0.into_iter().map(|(_, filter)| filter.into_program())
    }
}
