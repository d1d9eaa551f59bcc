//! Files of the program's root that are read: regular ones, and no others.
//!
//! The target decides what lies there, and the caller opens it, with the rights
//! of the host: a device node would be opened outside the target's device
//! cgroup, a FIFO or a file system that a process serves would keep the caller
//! waiting. So a file is looked up as a handle, which opens nothing; its type is
//! seen; and only a regular file is opened, by that handle.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, readlinkat};
use nix::sys::stat::SFlag;

use super::Procfs;
use super::lookup::open_inside;
use super::procfs_root::read_all;
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::mountinfo;
use crate::sys::statx::{self, Known};

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

/// Reads the list of the mounts that the root's files can lie on.
pub(crate) type Mounts<'a> = &'a dyn Fn() -> Result<Vec<u8>>;

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
        procfs: &Procfs,
        mounts: Mounts<'_>,
    ) -> Result<Self> {
        let name = format!("/{} of the program's root", path.to_string_lossy());
        let failed = |errno| Error::new(ErrorKind::Target, name.clone()).because(errno);
        let handle = match find(root, path, mounts)? {
            Found::Handle(handle) => handle,
            Found::Nothing => return Ok(Self::Absent),
            Found::Served(kind) => {
                let kind = kind.to_string_lossy();
                return Ok(Self::Refused(format!(
                    "{name} is not read: it lies on a file system of the type {kind}, which a \
                     process or another machine serves"
                )));
            }
            Found::TooDeep => {
                return Ok(Self::Refused(format!(
                    "{name} is not read: its path leads through too many links or directories"
                )));
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
        let link = CString::new(format!("self/fd/{}", handle.as_raw_fd())).unwrap_or_default();
        match procfs.open_with(&link, OFlag::O_NONBLOCK | OFlag::O_NOCTTY) {
            Ok(file) => Ok(Self::Regular(RegularFile { file, name })),
            Err(Errno::EACCES) => Ok(Self::Absent),
            Err(Errno::EAGAIN) => Ok(Self::Refused(format!(
                "{name} is not read: a process holds a lease on it"
            ))),
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// What a path leads to.
enum Found {
    Handle(OwnedFd),
    Nothing,
    /// Onto a file system of this type.
    Served(OsString),
    TooDeep,
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

/// Looks `path` up, as a handle. A path that stays on the root's own mount is
/// left to the kernel: whoever serves that serves the program as well. Any other
/// is walked one name at a time.
fn find(root: &OwnedFd, path: &CStr, mounts: Mounts<'_>) -> Result<Found> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(
            ResolveFlag::RESOLVE_IN_ROOT
                | ResolveFlag::RESOLVE_NO_MAGICLINKS
                | ResolveFlag::RESOLVE_NO_XDEV,
        );
    match open_inside(root, path, how) {
        Ok(handle) => Ok(Found::Handle(handle)),
        Err(Errno::EXDEV) => walk(root, path, mounts),
        Err(errno) if is_absence(errno) => Ok(Found::Nothing),
        Err(errno) => Err(failed(path, errno)),
    }
}

/// Most names on the way to a file, those of links included; the kernel itself
/// follows 40 links at the most.
const MOST_NAMES: usize = 256;

/// The types of file systems whose answers come from a process or a machine, and
/// may never come. One that was mounted after the list was read counts as well.
const SERVED: [&str; 13] = [
    "9p", "afs", "autofs", "ceph", "cifs", "coda", "fuse", "fuseblk", "nfs", "nfs4", "orangefs",
    "smb3", "virtiofs",
];

fn is_served(kind: &str) -> bool {
    SERVED.contains(&kind) || kind.starts_with("fuse.")
}

/// Walks the path by hand: nothing is looked up in a directory before its file
/// system is known to answer by itself.
fn walk(root: &OwnedFd, path: &CStr, mounts: Mounts<'_>) -> Result<Found> {
    let list = mounts()?;
    let list = mountinfo::parse(&list).map_err(|fault| {
        let wrong = format!("the mounts of the program's root: {fault}");
        Error::new(ErrorKind::Safety, wrong)
    })?;
    let kinds: BTreeMap<u64, OsString> = list
        .into_iter()
        .map(|mount| (mount.id.into(), mount.fs_type))
        .collect();
    let failed = |errno| failed(path, errno);
    let known = |handle: &OwnedFd| statx::known(handle.as_fd()).map_err(failed);
    let own = known(root)?.mount;
    let served = |seen: Known| match kinds.get(&seen.mount) {
        _ if seen.mount == own => None,
        Some(kind) => is_served(&kind.to_string_lossy()).then(|| kind.clone()),
        None => Some("unknown".into()),
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut pending: Vec<Vec<u8>> = names(path.to_bytes()).collect();
    // The directories that lead to where the walk stands; `..` goes back.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut taken = 0;
    while let Some(name) = pending.pop() {
        taken += 1;
        if taken > MOST_NAMES || pending.len() > MOST_NAMES {
            return Ok(Found::TooDeep);
        }
        if name == b".." {
            way.pop();
            continue;
        }
        let here = way.last().unwrap_or(root);
        let next = match open_inside(here, name.as_slice(), how) {
            Ok(next) => next,
            Err(errno) if is_absence(errno) => return Ok(Found::Nothing),
            Err(errno) => return Err(failed(errno)),
        };
        let seen = known(&next)?;
        if let Some(kind) = served(seen) {
            return Ok(Found::Served(kind));
        }
        if seen.kind == SFlag::S_IFLNK {
            let link = readlinkat(&next, c"").map_err(failed)?;
            let link = link.as_encoded_bytes();
            if link.starts_with(b"/") {
                way.clear();
            }
            pending.extend(names(link));
        } else if pending.is_empty() {
            return Ok(Found::Handle(next));
        } else {
            way.push(next);
        }
    }
    // The path ends in a directory that was passed already.
    Ok(Found::Nothing)
}

/// The names of a path, the first one last.
fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    let names = names.filter(|name| !name.is_empty() && *name != b".");
    names.map(<[u8]>::to_vec)
}

/// ELOOP: a loop, or a magic link, which is refused: as good as not there.
fn is_absence(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES
    )
}

fn failed(path: &CStr, errno: Errno) -> Error {
    let wrong = format!("/{} of the program's root", path.to_string_lossy());
    let error = Error::new(ErrorKind::Target, wrong).because(errno);
    match errno {
        Errno::EAGAIN => error.right("somebody renames files all the time: stop them, or retry"),
        _ => error,
    }
}
