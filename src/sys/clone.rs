//! clone(2), used as fork(2) is.

use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;

use super::{check, pidfd};
use crate::request::Pid;

/// Which side of the clone this is.
#[derive(Debug)]
pub(crate) enum Side {
    /// The process that called.
    Parent {
        /// The child, in this process's pid namespace.
        child: Pid,
        /// Its descriptor, CLOEXEC.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// Whose child the new process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parentage {
    /// This process's.
    Own,
    /// This process's parent's: CLONE_PARENT.
    Sibling,
}

/// Creates a process with a copy of this one's memory; its end is a SIGCHLD.
///
/// clone(2) and not clone3(2), whose flags no seccomp filter can see. No stack
/// is passed: the child goes on on its copy of this one, so there is none to
/// align.
pub(crate) fn clone(parentage: Parentage) -> Result<Side, Errno> {
    let flags = match parentage {
        Parentage::Own => libc::CLONE_PIDFD | libc::SIGCHLD,
        Parentage::Sibling => libc::CLONE_PIDFD | libc::CLONE_PARENT | libc::SIGCHLD,
    };
    let mut fd: RawFd = -1;
    let none = std::ptr::null::<libc::c_void>();
    // The order of the last two arguments (child_tid, tls) differs between
    // x86_64 and aarch64; both are null.
    // SAFETY: with a null stack and without CLONE_VM the child runs on its own
    // copy of this memory; with CLONE_PIDFD the kernel writes an int to the
    // third argument, which is one. The process is single-threaded, so that no
    // lock is held by a thread that the child lacks.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut fd, none, none) })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    let child = i32::try_from(pid)
        .ok()
        .and_then(Pid::new)
        .ok_or(Errno::EOVERFLOW)?;
    Ok(Side::Parent {
        child,
        pidfd: pidfd::owned(fd.into()),
    })
}
