//! The state that a child must have before it may execute the program.

use std::fmt;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::statx::{self, FileIdentity};

/// The part of the planned state that only the helper knows, after the joins and right before it
/// releases the child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) uid: Id,
    pub(crate) gid: Id,
    pub(crate) groups: Groups,
    pub(crate) capabilities: Capabilities,
    pub(crate) no_new_privs: bool,
    /// The number of seccomp filters that the helper and the child have loaded.
    pub(crate) filters: u32,
    pub(crate) root: Directory,
    /// The mount of the root that the program will have; `None`: a runtime chooses the root.
    pub(crate) root_mount: Option<u64>,
    /// The working directory.
    pub(crate) cwd: Directory,
}

/// The real, effective, saved and file system id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Id {
    /// The helper's.
    Unchanged,
    /// All four are this one, numbered in the program's user namespace.
    Is(u32),
    /// A later step sets it.
    Undecided,
}

/// A directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Directory {
    Is(Place),
    /// A later step sets it.
    Undecided,
}

/// The supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Groups {
    /// The helper's.
    Unchanged,
    None,
    /// A later step sets them.
    Undecided,
}

/// The capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Capabilities {
    /// The policy sets none: the kernel's rules for changes of ids decide.
    Inherited,
    /// Each set as its bits.
    Exactly {
        permitted: u64,
        effective: u64,
        inheritable: u64,
        ambient: u64,
        /// `None`: the bounding set stays as it is.
        bounding: Option<u64>,
    },
}

/// A directory, as in [`FileIdentity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    mount: u64,
    device: (u32, u32),
    inode: u64,
}

impl Place {
    /// The id of its mount in mountinfo.
    pub(crate) fn mount(self) -> u64 {
        self.mount
    }

    /// The location of an open directory.
    pub(crate) fn of(directory: &impl AsFd) -> Result<Self> {
        let known = statx::identify(directory.as_fd()).map_err(|errno| {
            Error::new(ErrorKind::System, "cannot identify the root directory").with_source(errno)
        })?;
        Ok(Self::from(known))
    }
}

impl From<FileIdentity> for Place {
    fn from(known: FileIdentity) -> Self {
        let FileIdentity {
            mount,
            device,
            inode,
            ..
        } = known;
        Self {
            mount,
            device,
            inode,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.device;
        write!(
            f,
            "inode {} of device {major}:{minor} on mount {}",
            self.inode, self.mount
        )
    }
}

impl Expected {
    /// The state of a child that has joined all namespaces and done nothing else yet. It has at
    /// least the helper's filters and no_new_privs, because a process cannot lose them.
    pub(crate) const JOINED: Self = Self {
        uid: Id::Undecided,
        gid: Id::Undecided,
        groups: Groups::Undecided,
        capabilities: Capabilities::Inherited,
        no_new_privs: false,
        filters: 0,
        root: Directory::Undecided,
        root_mount: None,
        cwd: Directory::Undecided,
    };

    /// The state of a child whose parent is under the ceiling.
    pub(crate) fn confined(no_new_privs: bool, filters: u32) -> Self {
        Self {
            no_new_privs,
            filters,
            ..Self::JOINED
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // The structure consists of numbers only: serialising it cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(text: &[u8]) -> std::result::Result<Self, Refusal> {
        serde_json::from_slice(text).map_err(|error| Refusal::unreadable("plan", &error))
    }
}
