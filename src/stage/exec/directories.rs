//! The root and the working directory of the program.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

use super::Image;
use crate::stage::failure::{Failure, Step};
use crate::sys::{process, statx};
use crate::target::lookup::open_inside;

/// The working directory.
#[derive(Debug)]
pub(crate) enum WorkDir {
    /// The caller's, wherever it is: the program keeps the caller's root and mount namespace, and
    /// gains nothing that the caller did not have.
    Callers,
    /// The caller's if it is inside the program's root, else the root. `None`: it could not be
    /// opened.
    CallersIfInside(Option<OwnedFd>),
    /// The directory after the joins.
    Keep,
    /// This directory, entered with the helper's credentials.
    Opened(OwnedFd),
    /// A path inside the program's root, entered with the program's credentials.
    Path(CString),
}

impl WorkDir {
    /// The path that is entered by its name, for messages.
    pub(crate) fn path(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Path(path) => Some(path.to_string_lossy()),
            _ => None,
        }
    }
}

impl Image {
    pub(super) fn enter_root(&self) -> Result<(), Failure> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        let enter = nix::unistd::fchdir(root).and_then(|()| nix::unistd::chroot(c"."));
        enter
            .and_then(|()| verify_place(c"/", root))
            .map_err(|e| Failure::new(Step::Root, e))
    }

    pub(super) fn enter_opened_directory(&self) -> Result<(), Failure> {
        match &self.work_dir {
            WorkDir::Opened(directory) => {
                nix::unistd::fchdir(directory)
                    .and_then(|()| verify_place(c".", directory))
                    .map_err(|e| Failure::new(Step::WorkDir, e))?;
                verify_work_dir()
            }
            WorkDir::CallersIfInside(directory) => {
                let entered = directory.as_ref().map(nix::unistd::fchdir);
                if entered == Some(Ok(())) && verify_work_dir().is_ok() {
                    return Ok(());
                }
                nix::unistd::chdir(c"/").map_err(|e| Failure::new(Step::WorkDir, e))?;
                verify_work_dir()
            }
            WorkDir::Keep => verify_work_dir(),
            WorkDir::Callers | WorkDir::Path(_) => Ok(()),
        }
    }

    pub(super) fn enter_directory_by_path(&self) -> Result<(), Failure> {
        let WorkDir::Path(path) = &self.work_dir else {
            return Ok(());
        };
        // No magic links: /proc/self/fd/N leads out of the root (CVE-2024-21626).
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let work_dir = |errno| Failure::new(Step::WorkDir, errno);
        let root = nix::fcntl::open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(work_dir)?;
        let directory = open_inside(&root, path.as_c_str(), how).map_err(work_dir)?;
        nix::unistd::fchdir(&directory).map_err(work_dir)?;
        verify_place(c".", &directory).map_err(work_dir)?;
        verify_work_dir()
    }
}

/// Checks that `path` leads to `wanted`. The verifier does not know a directory that was entered by
/// its path, and may not see root and directory of the child at all.
///
/// # Errors
/// EBADE: it leads elsewhere.
fn verify_place(path: &CStr, wanted: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let found = nix::fcntl::open(path, flags, Mode::empty())?;
    let found = statx::identify(found.as_fd())?;
    if found.is_same_place(&statx::identify(wanted.as_fd())?) {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// Refuses a working directory that is not beneath the root: its name then begins with
/// "(unreachable)", getcwd(2).
fn verify_work_dir() -> Result<(), Failure> {
    let mut buffer = [0; 4096];
    match process::current_directory(&mut buffer) {
        Ok([b'/', ..]) => Ok(()),
        Ok(_) => Err(Failure::new(Step::WorkDirOutside, Errno::EXDEV)),
        Err(errno) => Err(Failure::new(Step::WorkDir, errno)),
    }
}
