//! The namespaces that a process must be in, and the comparison with those that the kernel reports.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::refusal::Refusal;
use crate::request::{Namespace, Pid};
use crate::target::namespace::Identity;
use crate::target::{Memberships, Procfs};

/// Each type's file below /proc/PID/ns, and the namespace that it must name.
#[derive(Debug)]
pub(crate) struct Namespaces(Vec<(&'static str, Wanted)>);

/// The compared process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A child of the process that joined and created them.
    Child,
    /// That process itself. setns(2) moves only its children into another pid
    /// namespace.
    Joined,
    /// The namespaces that its next child is born into.
    NextChild,
}

/// The namespace of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// This one.
    Is(Identity),
    /// A new one, and so not this one, which the process had before.
    Created { before: Identity },
    /// The kernel has no namespaces of this type.
    None,
}

impl Namespaces {
    /// Those that `memberships` decides, except the types that are `created` after the joins.
    pub(crate) fn new(memberships: &Memberships, created: &BTreeSet<Namespace>, of: Of) -> Self {
        let wanted = memberships.decisions().map(|(namespace, decision)| {
            let file = match (namespace, of) {
                (Namespace::Pid, Of::Joined | Of::NextChild) => "pid_for_children",
                (Namespace::Time, Of::NextChild) => "time_for_children",
                _ => namespace.name(),
            };
            let wanted = match decision.expected() {
                Some(before) if created.contains(&namespace) => Wanted::Created { before },
                Some(identity) => Wanted::Is(identity),
                None => Wanted::None,
            };
            (file, wanted)
        });
        Self(wanted.collect())
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (&'static str, Wanted)> {
        self.0.into_iter()
    }

    /// Reads the process's namespaces and compares them.
    pub(super) fn compare(
        &self,
        procfs: &Procfs,
        process: Pid,
    ) -> std::result::Result<(), Refusal> {
        for (name, wanted) in &self.0 {
            let field = format!("{name} namespace");
            let found = match procfs.namespace(&format!("{process}/ns/{name}")) {
                Ok(found) => Some(found),
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(Refusal::unreadable(&field, &errno)),
            };
            if !wanted.is_met(found) {
                let found = found.map_or_else(|| "none".to_owned(), |found| link(name, found));
                return Err(Refusal::differs(&field, &wanted.describe(name), &found));
            }
        }
        Ok(())
    }
}

impl Wanted {
    /// Whether `found` meets this; `None`: the kernel has no namespaces of this type.
    fn is_met(self, found: Option<Identity>) -> bool {
        match self {
            Self::Is(identity) => found == Some(identity),
            Self::Created { before } => found.is_some_and(|found| found != before),
            Self::None => found.is_none(),
        }
    }

    /// The same for the text of the link; all namespaces are in one file system.
    pub(crate) fn is_met_by_link(self, name: &str, found: &str) -> bool {
        match self {
            Self::Is(identity) => found == link(name, identity),
            Self::Created { before } => found != link(name, before),
            Self::None => false,
        }
    }

    /// For messages.
    pub(crate) fn describe(self, name: &str) -> String {
        match self {
            Self::Is(identity) => link(name, identity),
            Self::Created { before } => format!("a new one, and not {}", link(name, before)),
            Self::None => "none".to_owned(),
        }
    }
}

/// In the format of readlink(2): `pid_for_children` is a `pid` namespace.
fn link(name: &str, identity: Identity) -> String {
    let kind = name.split('_').next().unwrap_or(name);
    format!("{kind}:[{}]", identity.inode)
}
