//! Steps 3a and 4, the same for every frontend: the verifier starts, then the helper joins.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use super::join::{self, Inside};
use super::own_namespaces::OwnNamespaces;
use super::verifier::{Outside, Verifier};
use crate::error::Result;
use crate::request::Namespace;
use crate::target::{Memberships, Procfs, Target, cgroup};

/// All namespaces are open, and the verifier runs outside of them.
#[derive(Debug)]
pub(crate) struct Joining {
    verifier: Verifier,
    own_namespaces: OwnNamespaces,
    memberships: Memberships,
    target: Option<Target>,
}

impl Joining {
    /// Starts the verifier, which takes the caller's /proc with it. `no_fork`: the program is this
    /// process. `sends_files`: the child receives its own files from the verifier.
    ///
    /// # Errors
    /// `Target`: the target has ended. `System`: the verifier cannot be started.
    pub(crate) fn start(
        procfs: Procfs,
        memberships: Memberships,
        target: Option<Target>,
        cgroups: cgroup::Decision,
        no_fork: bool,
        sends_files: bool,
    ) -> Result<Self> {
        if let Some(target) = &target {
            target.still_there()?;
        }
        let own_namespaces = OwnNamespaces::open(&procfs, &memberships, &BTreeSet::new())?;
        let verifier = Verifier::start(Outside {
            procfs,
            memberships: &memberships,
            cgroups,
            no_fork,
            sends_files,
        })?;
        Ok(Self {
            verifier,
            own_namespaces,
            memberships,
            target,
        })
    }

    /// Joins, and compares the joined namespaces if the verifier may not read them.
    ///
    /// # Errors
    /// `Join`: a namespace cannot be joined. `Safety`: another one was joined. The process must
    /// then end.
    pub(crate) fn join(self, inside: Inside) -> Result<Verifier> {
        let mut verifier = self.verifier;
        let joins_network = self.memberships.joins(Namespace::Net);
        let target = self.target.map(Target::into_pidfd);
        join::join(
            self.memberships.into_joins(),
            target.as_ref().map(OwnedFd::as_fd),
            inside,
        )?;
        drop(target);
        if joins_network {
            verifier.renew()?;
        }
        self.own_namespaces.verify()?;
        Ok(verifier)
    }
}
