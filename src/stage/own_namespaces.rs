//! The namespaces that this process is in, read after the joins without /proc.
//!
//! For helpers whose verifier may not read the child's namespaces ([`NamespaceAccess`]): the
//! links of the helper's own /proc/self/ns are opened before the joins, with O_PATH.
//! Such a descriptor leads nowhere (its `..` is no directory's), and readlink(2)
//! on it still reports the namespace that the process is in at that moment.
//!
//! [`NamespaceAccess`]: super::verifier::NamespaceAccess

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::readlinkat;

use super::verifier::NamespaceAccess;
use super::verifier::namespaces::{Namespaces, Of, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::request::Namespace;
use crate::target::{Memberships, Procfs};

/// Each link, opened with O_PATH, and the namespace that it must name after the joins; empty if the
/// verifier sees the whole child.
#[derive(Debug)]
pub(crate) struct OwnNamespaces(Vec<(&'static str, OwnedFd, Wanted)>);

impl OwnNamespaces {
    /// Opens the links if the verifier needs that. The child is born into the pid and time
    /// namespaces that its parent has set for its children, so these are compared.
    pub(crate) fn open(
        procfs: &Procfs,
        memberships: &Memberships,
        created: &BTreeSet<Namespace>,
    ) -> Result<Self> {
        let mut links = Vec::new();
        if NamespaceAccess::of_caller()? == NamespaceAccess::Full {
            // The verifier reads those of the child.
            return Ok(Self(links));
        }
        for (name, wanted) in Namespaces::new(memberships, created, Of::NextChild).into_iter() {
            if wanted == Wanted::None {
                continue;
            }
            let link = procfs.open_link(&format!("self/ns/{name}"));
            let link = link.map_err(|errno| failed(name, errno))?;
            links.push((name, link, wanted));
        }
        Ok(Self(links))
    }

    /// Compares the namespaces.
    ///
    /// # Errors
    /// `Safety`: the process is in a namespace other than the planned one.
    pub(crate) fn verify(self) -> Result<()> {
        for (name, link, wanted) in self.0 {
            let found = readlinkat(&link, c"").map_err(|errno| failed(name, errno))?;
            let found = found.to_string_lossy();
            if !wanted.is_met_by_link(name, &found) {
                let wrong = format!(
                    "the program was not started: its {name} namespace would be {found}, where \
                     the plan requires {}",
                    wanted.describe(name)
                );
                return Err(Error::new(ErrorKind::Safety, wrong));
            }
        }
        Ok(())
    }
}

fn failed(name: &str, errno: Errno) -> Error {
    Error::new(
        ErrorKind::System,
        format!("cannot read /proc/self/ns/{name}"),
    )
    .with_source(errno)
}
