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
    /// This process's parent's: CLONE_PARENT. A runtime may take it over, so that
    /// the C library's memory of its thread id is repaired.
    Sibling,
}

/// Creates a process with a copy of this one's memory; its end is a SIGCHLD.
///
/// clone(2) and not clone3(2), whose flags no seccomp filter can see. No stack
/// is passed: the child goes on on its copy of this one, so there is none to
/// align.
pub(crate) fn clone(parentage: Parentage) -> Result<Side, Errno> {
    let (mut flags, tid) = match parentage {
        Parentage::Own => (0, None),
        Parentage::Sibling => (libc::CLONE_PARENT, thread_id_address()),
    };
    flags |= libc::CLONE_PIDFD | libc::SIGCHLD;
    if tid.is_some() {
        flags |= libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    }
    let tid = tid.unwrap_or(std::ptr::null_mut());
    let mut fd: RawFd = -1;
    let none = std::ptr::null::<libc::c_void>();
    // The last two are child_tid and tls, in this order on x86_64 alone.
    let [fourth, fifth] = if cfg!(target_arch = "x86_64") {
        [tid.cast_const().cast(), none]
    } else {
        [none, tid.cast_const().cast()]
    };
    // SAFETY: with a null stack and without CLONE_VM the child runs on its own
    // copy of this memory; with CLONE_PIDFD the kernel writes an int to the
    // third argument, which is one; to child_tid, where its flags are given, it
    // writes in the child's memory what it has written there for this thread.
    // The process is single-threaded, so that no lock is held by a thread that
    // the child lacks.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut fd, fourth, fifth) })?;
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

/// Where the C library keeps the id of this thread, which fork(3) would renew and
/// clone(2) does not: raise(3) and locks of the child would go by the id of its
/// parent (golang/go#65625). The kernel was told when the thread began, and tells
/// (CONFIG_CHECKPOINT_RESTORE); `None`: it does not, or was not.
fn thread_id_address() -> Option<*mut libc::c_int> {
    /// PR_GET_TID_ADDRESS, linux/prctl.h
    const PR_GET_TID_ADDRESS: libc::c_int = 40;
    let mut address: *mut libc::c_int = std::ptr::null_mut();
    // SAFETY: PR_GET_TID_ADDRESS writes one pointer, which outlives the call.
    let told = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address, 0, 0, 0) };
    (told == 0 && !address.is_null()).then_some(address)
}
