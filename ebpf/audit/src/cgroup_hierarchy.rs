//! The hierarchy of cgroups that tells which container a process is in.
//!
//! A process is in one cgroup of each hierarchy, and of one of them the probes tell
//! the number.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nsexec_kernel_text::procfs::cgroup::{self, Membership};
use nsexec_kernel_text::procfs::mountinfo::{self, Mount};

/// Controllers that every runtime puts its containers under where version 1 has
/// them. Other ones are of version 1 on machines whose containers are not, such as
/// net_cls.
const CONTROLLERS: [&str; 3] = ["pids", "devices", "memory"];

/// Which hierarchy that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deciding {
    /// Version 2.
    Unified,
    /// That of a controller of version 1.
    Controller(&'static str),
}

impl Deciding {
    /// This machine's. Without /proc it is not known, and nothing else works either.
    #[must_use]
    pub fn here() -> Self {
        Self::of(&fs::read("/proc/self/cgroup").unwrap_or_default())
    }

    /// By a list of cgroups, of which the paths do not matter: they may lie outside
    /// the reader's cgroup namespace.
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

    /// Its line in messages.
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

/// It, and where its directories are.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    pub deciding: Deciding,
    /// None: it is not mounted.
    mounted: Option<Mounted>,
}

#[derive(Clone, Debug)]
struct Mounted {
    /// The cgroup that is.
    root: PathBuf,
    at: PathBuf,
}

impl Hierarchy {
    /// This machine's.
    #[must_use]
    pub fn here() -> Self {
        let deciding = Deciding::here();
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts = mountinfo::parse(&mounts).unwrap_or_default();
        // As much of it as there is.
        let most = mounts
            .into_iter()
            .filter(|mount| deciding.is_on(mount))
            .min_by_key(|mount| mount.root.len());
        let mounted = most.map(|mount| Mounted {
            root: mount.root.into(),
            at: mount.mount_point,
        });
        Self { deciding, mounted }
    }

    /// One of version 2, all of which is this directory.
    #[cfg(test)]
    pub(crate) fn at(directory: &Path) -> Self {
        let mounted = Some(Mounted {
            root: "/".into(),
            at: directory.to_owned(),
        });
        let deciding = Deciding::Unified;
        Self { deciding, mounted }
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
            .filter(|membership| self.deciding.is_of(membership));
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
