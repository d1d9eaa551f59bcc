//! The attributes of the program's process that are neither credentials nor layers: for each its
//! source, its entry in the plan, the call that sets it, and the error.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use serde_json::{Map, Value, json};

use crate::error::ErrorKind;
use crate::policy::resolved::{Process, Rlimit};
use crate::request::Request;
use crate::sys::process;

/// The attributes; `None`: the caller's.
#[derive(Debug)]
pub(crate) struct Attributes {
    /// setrlimit(2), in this order.
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) umask: Option<u32>,
    pub(crate) oom_score_adj: Option<OomScoreAdj>,
    /// The program ends with the helper. Set last, because a change of credentials clears it.
    pub(crate) dies_with_parent: bool,
}

/// An adjustment to write, proc_pid_oom_score_adj(5).
#[derive(Debug)]
pub(crate) struct OomScoreAdj {
    /// The child's own oom_score_adj, open for writing.
    pub(crate) file: OwnedFd,
    /// The decimal number.
    pub(crate) value: Vec<u8>,
}

/// The attribute that could not be set, in the child's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Rlimit,
    OomScoreAdj,
    Umask,
}

impl Attributes {
    /// Those of the policy, for a frontend without options.
    pub(crate) fn of_policy(process: &Process) -> Self {
        Self {
            rlimits: process.rlimits.clone(),
            umask: process.umask,
            // On the command line the helper has set its own, which the child inherits.
            oom_score_adj: None,
            dies_with_parent: false,
        }
    }

    /// Those of the options and of the policy.
    pub(crate) fn new(request: &Request, process: &Process) -> Self {
        Self {
            dies_with_parent: !request.no_fork,
            ..Self::of_policy(process)
        }
    }

    /// Their entries in the plan.
    pub(crate) fn entries(&self) -> Map<String, Value> {
        let entries = [
            ("rlimits", json!(self.rlimits.len())),
            (
                "umask",
                json!(self.umask.map(|umask| format!("{umask:03o}"))),
            ),
        ];
        entries
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Sets them for this process, while it still has the helper's credentials.
    pub(crate) fn set(&self) -> Result<(), (Attribute, Errno)> {
        for limit in &self.rlimits {
            process::set_rlimit(limit.resource, limit.soft, limit.hard)
                .map_err(|errno| (Attribute::Rlimit, errno))?;
        }
        if let Some(umask) = self.umask {
            process::set_umask(umask).map_err(|errno| (Attribute::Umask, errno))?;
        }
        if let Some(adjust) = &self.oom_score_adj {
            adjust
                .write()
                .map_err(|errno| (Attribute::OomScoreAdj, errno))?;
        }
        Ok(())
    }
}

impl OomScoreAdj {
    fn write(&self) -> Result<(), Errno> {
        match nix::unistd::write(&self.file, &self.value)? {
            written if written == self.value.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }
}

impl Attribute {
    /// Every attribute, by its number in a report.
    pub(crate) const ALL: [Self; 3] = [Self::Rlimit, Self::OomScoreAdj, Self::Umask];

    /// The error in words, and a correction if there is one.
    pub(crate) fn words(self) -> (ErrorKind, &'static str, Option<&'static str>) {
        match self {
            Self::Rlimit => (
                ErrorKind::Policy,
                "a resource limit cannot be set",
                Some("raising a hard limit requires CAP_SYS_RESOURCE"),
            ),
            Self::OomScoreAdj => (
                ErrorKind::Policy,
                "oom_score_adj cannot be written",
                Some("lowering it requires CAP_SYS_RESOURCE"),
            ),
            Self::Umask => (
                ErrorKind::LockDown,
                "the umask cannot be set",
                Some("a seccomp filter of the caller may pretend the call"),
            ),
        }
    }
}
