//! `--seccomp-fd`: filters that the caller hands over as programs of classic BPF,
//! as bubblewrap takes them.
//!
//! They only add: each is loaded in the child, in the order of the options, right
//! before the policy's own filter. So no policy can keep them from being loaded,
//! and they have to leave alone what comes after them, which is decided here,
//! before anything of the target is opened.

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

/// What its errors begin with.
pub(super) const OPTION: &str = "--seccomp-fd ";

/// The descriptors, as copies of the caller's.
#[derive(Debug)]
pub(crate) struct HandedOver(Vec<(RawFd, OwnedFd)>);

/// The programs on them, each by itself a right one.
#[derive(Debug)]
pub(crate) struct Programs(Vec<(RawFd, Filter)>);

/// Filters that can be loaded between a policy's ceiling and its own filter, and
/// leave the program to be started under all of them.
#[derive(Debug)]
pub(crate) struct AddedFilters(Vec<(RawFd, Filter)>);

impl HandedOver {
    /// Copies the descriptors, which [`super::preserved::Declared::take`] has
    /// seen to be open.
    ///
    /// # Errors
    /// `Usage`: there is none of this number, or not for reading.
    pub(crate) fn take(numbers: &[RawFd]) -> Result<Self> {
        let copy = |number: &RawFd| {
            let copy = fitness::take(ErrorKind::Usage, OPTION, *number, Use::Read)?;
            Ok((*number, copy))
        };
        numbers.iter().map(copy).collect::<Result<_>>().map(Self)
    }

    /// Reads each from where it stands to its end.
    ///
    /// # Errors
    /// `Usage`: it cannot be read. `Policy`: what is there is no program.
    pub(crate) fn read(self) -> Result<Programs> {
        let read = |(number, file): (RawFd, OwnedFd)| {
            let bytes = read(&file).map_err(|errno| {
                let wrong = format!("{OPTION}{number}: descriptor {number} cannot be read");
                Error::new(ErrorKind::Usage, wrong)
                    .because(errno)
                    .right("give a file or pipe that is open for reading")
            })?;
            let filter = raw::parse(&bytes).map_err(|fault| {
                Error::new(ErrorKind::Policy, format!("--seccomp-fd {number}")).because(fault)
            })?;
            Ok((number, filter))
        };
        let all = self.0.into_iter().map(read);
        all.collect::<Result<_>>().map(Programs)
    }
}

/// At most one byte more than a program has.
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
    /// Holds them against what comes after them, and against the kernel's limit.
    ///
    /// # Errors
    /// `Policy`: one of them might keep the filters after it from being loaded or
    /// the program from being started, or there are too many instructions.
    pub(crate) fn on_top_of(self, policy: &ResolvedPolicy) -> Result<AddedFilters> {
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
            return Err(Error::new(ErrorKind::Policy, wrong).right(right));
        }
        Ok(AddedFilters(self.0))
    }
}

fn denies(number: RawFd, call: &str, answer: Option<u32>) -> Error {
    // Of a program without computed returns each answer is known.
    let with = match answer.map(raw::answer) {
        Some(Ok(action)) => format!(" with {}", raw::name(action)),
        _ => String::new(),
    };
    let wrong = format!("--seccomp-fd {number}: its program may answer {call}{with}");
    let right = match call {
        "seccomp" => "allow seccomp(SECCOMP_SET_MODE_FILTER): the policy's own filter comes next",
        _ => "allow it with any arguments: starting a program takes it",
    };
    Error::new(ErrorKind::Policy, wrong).right(right)
}

impl AddedFilters {
    /// None: the policy's filters are all.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// For the plan and the status lines, in the order in which they are loaded.
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
