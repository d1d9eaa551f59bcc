//! A process that looks up paths for the helper.
//!
//! A target can block a lookup uninterruptibly on any file system: one thread lists a directory
//! into memory that never arrives, a second one waits to write to the directory, and a process that
//! then looks up a name there waits for both. So the helper looks nothing up. It waits for a reply,
//! a wait that every signal ends, and leaves this process behind.

mod messages;
mod server;

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};

use super::find::{self, Found, Links, Mounts};
use super::procfs_root::Procfs;
use super::regular_file::FileLookup;
use crate::error::{Error, ErrorKind, Result};
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::process::exit_now;
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{process, signal};
use messages::{Message, decode, receive, send};
use server::{is_devpts, lock_down, serve};

/// The process that looks up paths.
#[derive(Clone, Copy)]
pub(crate) enum PathResolver<'a> {
    /// The finder.
    Finder(&'a Finder),
    /// This process: that of a runtime, which looks up paths in its own root.
    OwnProcess(Mounts<'a>),
}

impl PathResolver<'_> {
    pub(crate) fn find(self, root: &OwnedFd, path: &[u8], links: Links) -> Result<Found> {
        match self {
            Self::Finder(finder) => finder.find(root, path, links),
            Self::OwnProcess(mounts) => find::find(root, path, links, mounts),
        }
    }

    /// Whether an O_PATH descriptor is on a devpts file system. The request goes to the file
    /// system's server.
    pub(crate) fn is_devpts(self, handle: &OwnedFd) -> Result<bool> {
        match self {
            Self::Finder(finder) => finder.is_devpts(handle),
            Self::OwnProcess(_) => is_devpts(handle),
        }
    }
}

/// The helper's side.
#[derive(Debug)]
pub(crate) struct Finder {
    pid: Pid,
    socket: OwnedFd,
}

impl Finder {
    /// Clones the finder, which keeps `kept` and no other descriptor.
    ///
    /// # Errors
    /// `System`: the process cannot be cloned.
    pub(crate) fn start(
        filter: &Program,
        kept: &[BorrowedFd<'_>],
        procfs: &Procfs,
        mounts: Mounts<'_>,
        cannot_clone: impl FnOnce(Errno) -> Error,
    ) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (socket, theirs) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, flags).map_err(failed)?;
        // The helper's signals neither end nor stop it.
        let mask = signal::block_all().map_err(failed)?;
        let helper = std::process::id();
        match clone(Parentage::Own) {
            Ok(Side::Child) => {
                drop(socket);
                // First of all: a process that is stopped before this outlives the helper.
                if process::bind_to(helper).is_err() {
                    exit_now(1);
                }
                match procfs.own_directory() {
                    Ok(own) if lock_down(filter, kept, &own, &theirs).is_ok() => {
                        serve(&theirs, &own, mounts)
                    }
                    _ => exit_now(1),
                }
            }
            Ok(Side::Parent { child, .. }) => {
                mask.restore().map_err(failed)?;
                Ok(Self { pid: child, socket })
            }
            Err(errno) => {
                mask.restore().map_err(failed)?;
                Err(cannot_clone(errno))
            }
        }
    }

    /// Looks up `path` below `root`.
    pub(crate) fn find(&self, root: &OwnedFd, path: &[u8], links: Links) -> Result<Found> {
        let question = match links {
            Links::Followed => messages::FOLLOW,
            Links::Refused => messages::NO_LINKS,
        };
        let answer = self.request(question, Some(root), path)?;
        match (answer.kind, answer.descriptor) {
            (messages::DESCRIPTOR, Some(handle)) => Ok(Found::Handle(handle)),
            (messages::NOTHING, None) => Ok(Found::Nothing),
            (messages::SERVED, None) => Ok(Found::Served(OsStringExt::from_vec(answer.text))),
            (messages::TOO_DEEP, None) => Ok(Found::TooDeep),
            (messages::LINK, None) => Ok(Found::Link),
            _ => Err(ended()),
        }
    }

    /// Looks up `path` below `root`, and reads it if it is a regular file.
    pub(super) fn read(&self, root: &OwnedFd, path: &[u8]) -> Result<FileLookup> {
        let answer = self.request(messages::READ, Some(root), path)?;
        match answer.kind {
            messages::NOTHING => Ok(FileLookup::Absent),
            messages::REGULAR => Ok(FileLookup::Regular(Ok(answer.text))),
            messages::UNREADABLE => Ok(FileLookup::Regular(Err(Errno::from_raw(answer.number)))),
            messages::REFUSED => Ok(FileLookup::Refused(
                String::from_utf8_lossy(&answer.text).into_owned(),
            )),
            _ => Err(ended()),
        }
    }

    fn is_devpts(&self, handle: &OwnedFd) -> Result<bool> {
        let answer = self.request(messages::IS_DEVPTS, Some(handle), &[])?;
        match answer.kind {
            messages::NUMBER => Ok(answer.number != 0),
            _ => Err(ended()),
        }
    }

    /// Opens a file of a cgroup with `mode`: O_RDONLY or O_WRONLY. EXDEV: it is on another file
    /// system.
    pub(crate) fn open_cgroup(
        &self,
        path: &Path,
        mode: OFlag,
    ) -> Result<std::result::Result<OwnedFd, Errno>> {
        let question = match mode.contains(OFlag::O_WRONLY) {
            true => messages::OPEN_WRITE,
            false => messages::OPEN_READ,
        };
        let answer = self.request(question, None, path.as_os_str().as_bytes())?;
        match (answer.kind, answer.descriptor) {
            (messages::DESCRIPTOR, Some(file)) => Ok(Ok(file)),
            (messages::ERRNO, None) => Ok(Err(Errno::from_raw(answer.number))),
            _ => Err(ended()),
        }
    }

    fn request(&self, question: u8, of: Option<&OwnedFd>, path: &[u8]) -> Result<Message> {
        let of = of.map(AsRawFd::as_raw_fd);
        send(&self.socket, question, 0, path, of).map_err(failed)?;
        let answer = receive(&self.socket).map_err(failed)?.ok_or_else(ended)?;
        match answer.kind {
            messages::ERROR => Err(decode(&answer.text).unwrap_or_else(ended)),
            _ => Ok(answer),
        }
    }
}

impl Drop for Finder {
    /// Ends it: it waits for the next request by then.
    fn drop(&mut self) {
        // Other processes may have copies of this end.
        if shutdown(self.socket.as_raw_fd(), Shutdown::Both).is_err() {
            return;
        }
        loop {
            match change(self.pid, WaitMode::Block) {
                Ok(Some(Change::Exited(_) | Change::Signaled(_))) => return,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn failed(errno: Errno) -> Error {
    Error::new(
        ErrorKind::System,
        "cannot communicate with the finder, the process that looks up files",
    )
    .with_source(errno)
}

fn ended() -> Error {
    Error::new(
        ErrorKind::System,
        "the finder, the process that looks up files, has ended",
    )
}
