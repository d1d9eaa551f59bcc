//! The namespace of one type that the program is in without a join.

use nix::errno::Errno;

use super::source::Identity;
use crate::error::{Error, ErrorKind, Result};
use crate::request::Namespace;
use crate::target::Procfs;

/// The namespace of one type that the program is in without a join.
pub(super) enum Own {
    /// The kernel has no namespaces of this type.
    Unsupported,
    This(Identity),
    /// It does not exist yet: the next child of this process creates it.
    NotYet,
}

impl Own {
    /// A child is born into the pid and time namespaces that its parent has set
    /// for its children, which need not be the parent's own (pid_namespaces(7)).
    pub(super) fn look_up(namespace: Namespace, no_fork: bool, procfs: &Procfs) -> Result<Self> {
        let look_up = |name: &str| match procfs.own_namespace(name) {
            Ok(own) => Ok(Some(own)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => {
                let what = format!("/proc/self/ns/{name}");
                Err(Error::new(ErrorKind::System, what).with_source(errno))
            }
        };
        let Some(own) = look_up(namespace.name())? else {
            return Ok(Self::Unsupported);
        };
        let for_children = match (namespace, no_fork) {
            (Namespace::Pid, false) => "pid_for_children",
            (Namespace::Time, false) => "time_for_children",
            _ => return Ok(Self::This(own)),
        };
        Ok(look_up(for_children)?.map_or(Self::NotYet, Self::This))
    }
}
