//! Files of the program's root that are read: regular ones, and no others.
//!
//! The target decides what lies there, and the caller opens it, with the rights
//! of the host: a device node would be opened outside the target's device
//! cgroup, a FIFO or a file system that a process serves would keep the caller
//! waiting. So a file is looked up as a handle, which opens nothing; its type is
//! seen; and only a regular file is opened, by that handle.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::SFlag;

use super::find::{Found, Links, Mounts, find};
use super::procfs_root::{OwnDirectory, read_all};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::statx;

/// A file that was seen to be regular before it was opened, open for reading.
#[derive(Debug)]
pub(crate) struct RegularFile {
    file: OwnedFd,
    name: String,
}

/// What lies at a path of the program's root.
#[derive(Debug)]
pub(crate) enum RootFile {
    /// It was not looked for, since nothing needs it.
    Unneeded,
    /// Nothing that can be found or read by the caller.
    Absent,
    /// A regular file.
    Regular(RegularFile),
    /// Something that was not opened: what, and why not.
    Refused(String),
}

impl RegularFile {
    /// The whole file, from where it stands, at most `limit` bytes of it.
    ///
    /// # Errors
    /// `Safety`: it is longer.
    pub(crate) fn read(self, limit: usize) -> Result<Vec<u8>> {
        read_all(self.file, limit, &self.name)
    }
}

impl RootFile {
    /// Its content; empty where there is nothing to be read.
    pub(crate) fn read(self, limit: usize) -> Result<Vec<u8>> {
        match self {
            Self::Regular(file) => file.read(limit),
            Self::Unneeded | Self::Absent | Self::Refused(_) => Ok(Vec::new()),
        }
    }

    /// Why it was not opened, where something lies there.
    pub(crate) fn warning(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            Self::Unneeded | Self::Absent | Self::Regular(_) => None,
        }
    }

    /// Opens `path` below `root`, whatever links lie on the way.
    ///
    /// # Errors
    /// `Target`: a failure that says nothing about the file.
    pub(crate) fn open(
        root: &OwnedFd,
        path: &CStr,
        own: &OwnDirectory,
        mounts: Mounts<'_>,
    ) -> Result<Self> {
        let name = format!("/{} of the program's root", path.to_string_lossy());
        let failed = |errno| Error::new(ErrorKind::Target, name.clone()).because(errno);
        let handle = match find(root, path.to_bytes(), Links::Followed, mounts)? {
            Found::Handle(handle) => handle,
            Found::Nothing => return Ok(Self::Absent),
            other => {
                let why = other.why_not();
                return Ok(Self::Refused(format!("{name} is not read: {why}")));
            }
        };
        let kind = statx::known(handle.as_fd()).map_err(failed)?.kind;
        if kind != SFlag::S_IFREG {
            let kind = kind_name(kind);
            return Ok(Self::Refused(format!(
                "{name} is not read: it is {kind} and no regular file"
            )));
        }
        // By the handle, so that it is the file that was seen. NONBLOCK: a
        // process that holds a lease on it is not waited for.
        let link = CString::new(format!("fd/{}", handle.as_raw_fd())).unwrap_or_default();
        match own.open_file(&link, OFlag::O_NONBLOCK | OFlag::O_NOCTTY) {
            Ok(file) => Ok(Self::Regular(RegularFile { file, name })),
            Err(Errno::EACCES) => Ok(Self::Absent),
            Err(Errno::EAGAIN) => Ok(Self::Refused(format!(
                "{name} is not read: a process holds a lease on it"
            ))),
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// The type of a file in words.
fn kind_name(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFCHR => "a character device",
        SFlag::S_IFBLK => "a block device",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFLNK => "a symbolic link",
        _ => "of an unknown type",
    }
}
