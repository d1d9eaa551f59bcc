//! passwd and group of the program's root, as the finder has read them.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::finder::Finder;
use super::regular_file::{Looked, name};
use crate::error::{Error, ErrorKind, Result};

/// A file that was seen to be regular before it was opened and read.
#[derive(Debug)]
pub(crate) struct RegularFile {
    content: std::result::Result<Vec<u8>, Errno>,
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
    /// All of the file, at most `limit` bytes.
    ///
    /// # Errors
    /// `System`: it could not be read. `Safety`: it is longer.
    fn take(self, limit: usize) -> Result<Vec<u8>> {
        let Self { content, name } = self;
        let content = content.map_err(|errno| {
            Error::new(ErrorKind::System, format!("reading {name}")).because(errno)
        })?;
        if content.len() > limit {
            let wrong = format!("{name} is longer than {limit} bytes");
            return Err(Error::new(ErrorKind::Safety, wrong));
        }
        Ok(content)
    }
}

impl RootFile {
    /// Its content; empty where there is nothing to be read.
    pub(crate) fn read(self, limit: usize) -> Result<Vec<u8>> {
        match self {
            Self::Regular(file) => file.take(limit),
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

    /// Has `path` read below `root`, whatever links lie on the way.
    ///
    /// # Errors
    /// `Target`: a failure that says nothing about the file.
    pub(crate) fn open(finder: &Finder, root: &OwnedFd, path: &CStr) -> Result<Self> {
        let path = path.to_bytes();
        Ok(match finder.read(root, path)? {
            Looked::Absent => Self::Absent,
            Looked::Refused(why) => Self::Refused(why),
            Looked::Regular(content) => Self::Regular(RegularFile {
                content,
                name: name(path),
            }),
        })
    }
}
