//! Looks up a path of the target with O_PATH, which opens nothing, and sends no request to a file
//! system that may never reply.
//!
//! The target decides which file system is at a path. If a FUSE server has read a lookup request
//! and never replies, nothing ends the lookup, not even SIGKILL, and the helper would wait for it
//! on the host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, readlinkat};
use nix::sys::stat::SFlag;

use super::lookup::open_inside;
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::mountinfo;
use crate::sys::statx::{self, FileIdentity};

/// Reads the list of the mounts on which the root's files can be.
pub(crate) type Mounts<'a> = &'a dyn Fn() -> Result<Vec<u8>>;

/// Treatment of symbolic links on the way. Magic links are never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Followed inside the root.
    Followed,
    Refused,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) enum Found {
    Handle(OwnedFd),
    Nothing,
    /// A path that leads onto a file system of this type.
    Served(OsString),
    TooDeep,
    /// A path that leads onto a symbolic link, if links are refused.
    Link,
}

impl Found {
    /// The reason why there is no descriptor.
    pub(crate) fn why_not(&self) -> String {
        match self {
            Self::Handle(_) => "it is there".to_owned(),
            Self::Nothing => "it is not there".to_owned(),
            Self::Served(kind) => format!(
                "it lies on a file system of the type {}, which a process or another machine \
                 serves",
                kind.to_string_lossy()
            ),
            Self::TooDeep => "its path leads through too many links or directories".to_owned(),
            Self::Link => "a symbolic link lies on the way".to_owned(),
        }
    }
}

/// Looks up `path` with O_PATH. If the path stays on the root's own mount, the kernel resolves it:
/// the server of that mount serves the program as well. Otherwise this process walks it one name at
/// a time.
pub(crate) fn find(root: &OwnedFd, path: &[u8], links: Links, mounts: Mounts<'_>) -> Result<Found> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT
        | ResolveFlag::RESOLVE_NO_XDEV
        | match links {
            Links::Followed => ResolveFlag::RESOLVE_NO_MAGICLINKS,
            Links::Refused => ResolveFlag::RESOLVE_NO_SYMLINKS,
        };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(resolve);
    match open_inside(root, path, how) {
        Ok(handle) => Ok(Found::Handle(handle)),
        Err(Errno::EXDEV) => walk(root, path, links, mounts),
        Err(Errno::ELOOP) if links == Links::Refused => Ok(Found::Link),
        Err(errno) if is_absence(errno) => Ok(Found::Nothing),
        Err(errno) => Err(failed(path, errno)),
    }
}

/// Maximum number of names on the way to a file, including those of links; the kernel itself
/// follows at most 40 links.
const MOST_NAMES: usize = 256;

/// The types of file systems that depend on a process or a machine, which may never reply. A file
/// system that was mounted after the list was read counts as well.
const SERVED: [&str; 13] = [
    "9p", "afs", "autofs", "ceph", "cifs", "coda", "fuse", "fuseblk", "nfs", "nfs4", "orangefs",
    "smb3", "virtiofs",
];

/// The type of `fuse.sshfs` and `fuseblk.ntfs` is the part before the dot.
fn is_served(kind: &str) -> bool {
    SERVED.contains(&kind.split('.').next().unwrap_or(kind))
}

/// The type of the file system of each mount, by the mount's id.
fn types(mounts: Mounts<'_>) -> Result<BTreeMap<u64, OsString>> {
    let list = mounts()?;
    let list = mountinfo::parse(&list).map_err(|fault| {
        let wrong = format!("the mounts of the program's root: {fault}");
        Error::new(ErrorKind::Safety, wrong)
    })?;
    Ok(list
        .into_iter()
        .map(|mount| (mount.id.into(), mount.fs_type))
        .collect())
}

/// Walks the path name by name. Looks up nothing in a directory until it is known that no process
/// or machine serves the directory's file system.
fn walk(root: &OwnedFd, path: &[u8], links: Links, mounts: Mounts<'_>) -> Result<Found> {
    let kinds = types(mounts)?;
    let failed = |errno| failed(path, errno);
    let known = |handle: &OwnedFd| statx::identify(handle.as_fd()).map_err(failed);
    let own = known(root)?.mount;
    let served = |seen: FileIdentity| match kinds.get(&seen.mount) {
        _ if seen.mount == own => None,
        Some(kind) => is_served(&kind.to_string_lossy()).then(|| kind.clone()),
        None => Some("unknown".into()),
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut pending: Vec<Vec<u8>> = names(path).collect();
    // The directories from the root to the current position; `..` goes back.
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
            if links == Links::Refused {
                return Ok(Found::Link);
            }
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
    // The path ends in a directory that the walk has already passed.
    let here = way.last().unwrap_or(root);
    here.try_clone().map(Found::Handle).map_err(|error| {
        Error::new(ErrorKind::System, "cannot duplicate a descriptor").with_source(error)
    })
}

/// The names of a path, the first one last.
fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    let names = names.filter(|name| !name.is_empty() && *name != b".");
    names.map(<[u8]>::to_vec)
}

/// ELOOP: a loop, or a magic link, which is refused: treated as absent.
fn is_absence(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES
    )
}

fn failed(path: &[u8], errno: Errno) -> Error {
    let path = String::from_utf8_lossy(path);
    let path = path.trim_start_matches('/');
    let wrong = format!("/{path} of the program's root");
    let error = Error::new(ErrorKind::Target, wrong).with_source(errno);
    match errno {
        Errno::EAGAIN => error.with_hint("a process keeps renaming files: stop it, or retry"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_file_system_is_recognised_by_its_type() {
        for kind in [
            "fuse",
            "fuse.sshfs",
            "fuseblk",
            "fuseblk.ntfs",
            "nfs4",
            "9p",
        ] {
            assert!(is_served(kind), "{kind}");
        }
        for kind in ["ext4", "tmpfs", "overlay", "fusectl", "proc"] {
            assert!(!is_served(kind), "{kind}");
        }
    }
}
