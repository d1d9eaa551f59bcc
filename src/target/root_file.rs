//! passwd and group of the program's root, as read by the finder.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::finder::Finder;
use super::regular_file::{FileLookup, name};
use crate::error::{Error, ErrorKind, Result};

/// A file whose type was checked before it was opened and read.
#[derive(Debug)]
pub(crate) struct RegularFile {
    content: std::result::Result<Vec<u8>, Errno>,
    name: String,
}

/// The result of the lookup of a path in the program's root.
#[derive(Debug)]
pub(crate) enum RootFile {
    /// It was not looked up because nothing needs it.
    Unneeded,
    /// No file that the caller can find or read.
    Absent,
    /// A regular file.
    Regular(RegularFile),
    /// An object that was not opened: its kind, and the reason.
    Refused(String),
}

impl RegularFile {
    /// The whole file, at most `limit` bytes.
    ///
    /// # Errors
    /// `System`: it could not be read. `Safety`: it is longer.
    fn take(self, limit: usize) -> Result<Vec<u8>> {
        let Self { content, name } = self;
        let content = content.map_err(|errno| {
            Error::new(ErrorKind::System, format!("cannot read {name}")).with_source(errno)
        })?;
        if content.len() > limit {
            let wrong = format!("{name} is longer than {limit} bytes");
            return Err(Error::new(ErrorKind::Safety, wrong));
        }
        Ok(content)
    }
}

impl RootFile {
    /// Its content; empty if there is nothing to read.
    pub(crate) fn read(self, limit: usize) -> Result<Vec<u8>> {
        match self {
            Self::Regular(file) => file.take(limit),
            Self::Unneeded | Self::Absent | Self::Refused(_) => Ok(Vec::new()),
        }
    }

    /// The reason why an existing object was not opened.
    pub(crate) fn warning(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            Self::Unneeded | Self::Absent | Self::Regular(_) => None,
        }
    }

    /// Makes the finder read `path` below `root`; links are resolved inside it.
    ///
    /// # Errors
    /// `Target`: a failure that gives no information about the file.
    pub(crate) fn open(finder: &Finder, root: &OwnedFd, path: &CStr) -> Result<Self> {
        let path = path.to_bytes();
        Ok(match finder.read(root, path)? {
            FileLookup::Absent => Self::Absent,
            FileLookup::Refused(why) => Self::Refused(why),
            FileLookup::Regular(content) => Self::Regular(RegularFile {
                content,
                name: name(path),
            }),
        })
    }
}
