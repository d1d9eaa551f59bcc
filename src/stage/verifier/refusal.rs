//! The reason why a child is not released, as text that crosses the verifier's socket.

use std::fmt;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind};
use crate::request::Pid;

/// The reason why the child must not execute the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(String);

impl Refusal {
    pub(super) fn differs(
        field: &str,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
    ) -> Self {
        Self(format!(
            "its {field} is {found}; the plan requires {expected}"
        ))
    }

    pub(super) fn unreadable(field: &str, why: &dyn fmt::Display) -> Self {
        Self(format!(
            "its {field} cannot be compared with the plan: {why}"
        ))
    }

    pub(super) fn other_root() -> Self {
        let why = "its root is not in the mount namespace that was joined: the target has changed \
                   one of them meanwhile";
        Self(why.to_owned())
    }

    pub(super) fn cgroup(errno: Errno) -> Self {
        Self(format!(
            "it cannot be put into the target's cgroup: {errno}"
        ))
    }

    pub(super) fn hidden(process: Pid, errno: Errno) -> Self {
        let hidden = match errno {
            Errno::ENOENT | Errno::EACCES | Errno::EPERM => {
                " (is /proc mounted with hidepid? then nsexec needs CAP_SYS_PTRACE)"
            }
            _ => "",
        };
        Self(format!("/proc/{process} cannot be read: {errno}{hidden}"))
    }

    pub(super) fn encode(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn into_error(self) -> Error {
        let Self(why) = self;
        Error::new(
            ErrorKind::Safety,
            format!("the program was not started: {why}"),
        )
    }
}
