//! The hierarchy of cgroups that identifies containers.
//!
//! A process is in one cgroup of each hierarchy, and the probes report its number in one
//! of them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nsexec_kernel_text::procfs::cgroup::{self, Membership};
use nsexec_kernel_text::procfs::mountinfo::{self, Mount};

/// The controllers that every runtime uses for its containers, if they are of version 1.
/// Other controllers, such as net_cls, can be of version 1 while containers are not.
const CONTROLLERS: [&str; 3] = ["pids", "devices", "memory"];

/// The kind of the hierarchy that identifies containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerHierarchy {
    /// Version 2.
    Unified,
    /// That of a controller of version 1.
    Controller(&'static str),
}

impl ContainerHierarchy {
    /// That of this host. Without /proc it is unknown, and nothing else works either.
    #[must_use]
    pub fn here() -> Self {
        Self::of(&fs::read("/proc/self/cgroup").unwrap_or_default())
    }

    /// By a list of cgroups. The paths do not matter: they may be outside the reader's
    /// cgroup namespace.
    fn of(list: &[u8]) -> Self {
        let controllers = || {
            let lines = list.split(|byte| *byte == b'\n');
            let names = lines.filter_map(|line| line.split(|byte| *byte == b':').nth(1));
            names.flat_map(|names| names.split(|byte| *byte == b','))
        };
        CONTROLLERS
            .into_iter()
            .find(|name| controllers().any(|known| known == name.as_bytes()))
            .map_or(Self::Unified, Self::Controller)
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unified => "version 2",
            Self::Controller(name) => name,
        }
    }

    fn is_of(self, membership: &Membership) -> bool {
        match (self, &membership.hierarchy) {
            (Self::Unified, cgroup::Hierarchy::Unified) => true,
            (Self::Controller(name), cgroup::Hierarchy::Legacy { controllers, .. }) => {
                controllers.iter().any(|known| known == name)
            }
            _ => false,
        }
    }

    fn is_on(self, mount: &Mount) -> bool {
        match self {
            Self::Unified => mount.fs_type == "cgroup2",
            Self::Controller(name) => mount.fs_type == "cgroup" && mount.has_super_option(name),
        }
    }
}

/// The hierarchy, and the place of its directories.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    pub kind: ContainerHierarchy,
    /// None: it is not mounted.
    mounted: Option<Mounted>,
}

#[derive(Clone, Debug)]
struct Mounted {
    /// The cgroup that is mounted.
    root: PathBuf,
    at: PathBuf,
}

impl Hierarchy {
    /// That of this host.
    #[must_use]
    pub fn here() -> Self {
        let kind = ContainerHierarchy::here();
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts = mountinfo::parse(&mounts).unwrap_or_default();
        // The mount that shows most of it.
        let most = mounts
            .into_iter()
            .filter(|mount| kind.is_on(mount))
            .min_by_key(|mount| mount.root.len());
        let mounted = most.map(|mount| Mounted {
            root: mount.root.into(),
            at: mount.mount_point,
        });
        Self { kind, mounted }
    }

    /// One of version 2, all of which is this directory.
    #[cfg(test)]
    pub(crate) fn at(directory: &Path) -> Self {
        let mounted = Some(Mounted {
            root: "/".into(),
            at: directory.to_owned(),
        });
        let kind = ContainerHierarchy::Unified;
        Self { kind, mounted }
    }

    /// The cgroup that is mounted, which is `/` where all of them are, and where.
    #[must_use]
    pub fn mounted(&self) -> Option<(&Path, &Path)> {
        let mounted = self.mounted.as_ref()?;
        Some((&mounted.root, &mounted.at))
    }

    /// The path of the cgroup, among those that `list`, a /proc/PID/cgroup, names.
    #[must_use]
    pub fn path(&self, list: &[u8]) -> Option<PathBuf> {
        let memberships = cgroup::parse(list).ok()?;
        let mut own = memberships
            .into_iter()
            .filter(|membership| self.kind.is_of(membership));
        Some(own.next()?.path)
    }

    /// The number of the cgroup that `list` names: the inode of its directory.
    #[must_use]
    pub fn id(&self, list: &[u8]) -> Option<u64> {
        self.id_of(&self.path(list)?)
    }

    /// The number of the cgroup of this path.
    #[must_use]
    pub fn id_of(&self, path: &Path) -> Option<u64> {
        let mounted = self.mounted.as_ref()?;
        let below = path.strip_prefix(&mounted.root).ok()?;
        Some(fs::metadata(mounted.at.join(below)).ok()?.ino())
    }
}

#[cfg(test)]
mod tests;
