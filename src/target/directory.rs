//! The program's root and working directory, and files below its root.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag};

use super::find::{Found, Links};
use super::{Finder, Memberships, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Directory, Namespace, Request, WorkDir};
use crate::sys::statx;

/// The directory that the program sees as `/`.
#[derive(Debug)]
pub(crate) enum ProgramRoot {
    /// The caller's own root: nothing changes.
    Own(OwnedFd),
    /// The directory for chroot(2).
    Other(OwnedFd),
    /// The root of a mount namespace that is named as a file, or a directory in it: only
    /// [`after_join`] can open it.
    AfterJoin,
}

impl ProgramRoot {
    /// The directory that the child enters by chroot(2); `None`: it has that root already.
    pub(crate) fn for_chroot(self) -> Option<OwnedFd> {
        match self {
            Self::Other(root) => Some(root),
            Self::Own(_) | Self::AfterJoin => None,
        }
    }

    /// Opens the root that `request` chooses.
    pub(crate) fn open(
        request: &Request,
        target: Option<&Target>,
        memberships: &Memberships,
        finder: &Finder,
    ) -> Result<Self> {
        let targets = memberships.is_targets(Namespace::Mnt);
        let joined = targets || memberships.joins(Namespace::Mnt);
        match &request.root {
            Some(Directory::Target) => Ok(Self::Other(link(target, "root")?)),
            Some(Directory::Path(path)) if targets => {
                let base = link(target, "root")?;
                Ok(Self::Other(beneath(&base, path, finder)?))
            }
            Some(Directory::Path(_)) if joined => Ok(Self::AfterJoin),
            Some(Directory::Path(path)) => Ok(Self::Other(own(path)?)),
            // A target in the caller's mount namespace may have a root of its own: a chroot.
            None if targets => Self::unless_own(link(target, "root")?),
            None if joined => Ok(Self::AfterJoin),
            None => Ok(Self::Own(own_root()?)),
        }
    }

    fn unless_own(root: OwnedFd) -> Result<Self> {
        let own = own_root()?;
        let failed = |errno| {
            Error::new(
                ErrorKind::System,
                "cannot compare the root directory with the caller's",
            )
            .with_source(errno)
        };
        let known = |root: &OwnedFd| statx::identify(root.as_fd()).map_err(failed);
        Ok(if known(&own)?.is_same_place(&known(&root)?) {
            Self::Own(own)
        } else {
            Self::Other(root)
        })
    }

    /// The opened directory, if there is one yet.
    pub(crate) fn directory(&self) -> Option<&OwnedFd> {
        match self {
            Self::Own(directory) | Self::Other(directory) => Some(directory),
            Self::AfterJoin => None,
        }
    }
}

/// Root and working directory in a mount namespace that was named as a file, once it is joined.
/// `opened`: the working directory, if it was opened before.
pub(crate) fn after_join(
    request: &Request,
    opened: Option<OwnedFd>,
    finder: &Finder,
) -> Result<(ProgramRoot, Option<OwnedFd>)> {
    let own = own_root()?;
    let root = match &request.root {
        Some(Directory::Path(path)) => ProgramRoot::Other(beneath(&own, path, finder)?),
        _ => ProgramRoot::Own(own),
    };
    let opened = match (&request.work_dir, root.directory()) {
        (WorkDir::Before(Directory::Path(path)), Some(base)) => Some(beneath(base, path, finder)?),
        _ => opened,
    };
    Ok((root, opened))
}

/// The opened working directory; `None`: the root, or a path for later.
pub(crate) fn open_work_dir(
    request: &Request,
    target: Option<&Target>,
    memberships: &Memberships,
    root: &ProgramRoot,
    finder: &Finder,
) -> Result<Option<OwnedFd>> {
    let WorkDir::Before(directory) = &request.work_dir else {
        return Ok(None);
    };
    match (directory, root) {
        (Directory::Target, _) => link(target, "cwd").map(Some),
        (Directory::Path(path), ProgramRoot::Other(base))
            if memberships.joins(Namespace::Mnt) || memberships.is_targets(Namespace::Mnt) =>
        {
            beneath(base, path, finder).map(Some)
        }
        // The path is resolved in the mount namespace that is not joined yet.
        (Directory::Path(_), ProgramRoot::AfterJoin) => Ok(None),
        (Directory::Path(path), _) => own(path).map(Some),
    }
}

/// The target's root or working directory, through its magic link.
fn link(target: Option<&Target>, name: &str) -> Result<OwnedFd> {
    let target = target.ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("using the target's {name} requires a target"),
        )
        .with_hint("add -t PID")
    })?;
    let c_name = if name == "root" { c"root" } else { c"cwd" };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    target
        .open(c_name, flags)
        .map_err(|errno| target.failed(name, errno))
}

/// This process's root.
pub(crate) fn own_root() -> Result<OwnedFd> {
    own(Path::new("/"))
}

/// This process's working directory, which may have been deleted.
pub(crate) fn own_directory() -> Result<OwnedFd> {
    own(Path::new("."))
}

fn own(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|errno| cannot_open(path, errno))
}

/// A directory inside `base`, with links resolved inside it.
fn beneath(base: &OwnedFd, path: &Path, finder: &Finder) -> Result<OwnedFd> {
    let wrong = |wrong: &dyn std::fmt::Display| {
        let wrong = format!("directory {}: {wrong}", path.display());
        Error::new(ErrorKind::Target, wrong).with_hint("it is looked up inside the target's root")
    };
    let directory = match finder.find(base, path.as_os_str().as_bytes(), Links::Followed)? {
        Found::Handle(directory) => directory,
        Found::Nothing => return Err(wrong(&Errno::ENOENT)),
        other => return Err(wrong(&other.why_not())),
    };
    let known = statx::identify(directory.as_fd()).map_err(|errno| cannot_open(path, errno))?;
    if known.kind == SFlag::S_IFDIR {
        Ok(directory)
    } else {
        Err(wrong(&Errno::ENOTDIR))
    }
}

fn cannot_open(path: &Path, errno: Errno) -> Error {
    Error::new(
        ErrorKind::Target,
        format!("cannot open the directory {}", path.display()),
    )
    .with_source(errno)
}
