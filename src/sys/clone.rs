//! clone(2), used like fork(2).

use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;

use super::{check, pidfd};
use crate::request::Pid;

/// The side of the clone.
#[derive(Debug)]
pub(crate) enum Side {
    /// The calling process.
    Parent {
        /// The child, in this process's pid namespace.
        child: Pid,
        /// Its descriptor, CLOEXEC.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// The parent of the new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parentage {
    /// This process.
    Own,
    /// This process's parent: CLONE_PARENT. A runtime may take the new process over, so the C
    /// library's copy of its thread id is repaired.
    Sibling,
}

/// Creates a process with a copy of this one's memory; its end sends SIGCHLD.
///
/// Uses clone(2), not clone3(2), because no seccomp filter can see the flags of clone3(2). Passes
/// no stack: the child continues on its copy of this one, so there is none to align.
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
    // SAFETY: with a null stack and without CLONE_VM the child runs on its own copy of this memory;
    // with CLONE_PIDFD the kernel writes an int to the third argument, which points to one; if its
    // flags are set, the kernel writes an int to child_tid in the child's memory, the address at
    // which it wrote this thread's id in this memory. The process is single-threaded, so no thread
    // that the child lacks holds a lock.
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

/// The address at which the C library keeps the id of this thread. fork(3) renews the id and
/// clone(2) does not: raise(3) and locks of the child would use the id of its parent
/// (golang/go#65625). The kernel learned the address at the start of the thread, and reports it
/// (CONFIG_CHECKPOINT_RESTORE); `None`: it does not report it, or did not learn it.
fn thread_id_address() -> Option<*mut libc::c_int> {
    /// PR_GET_TID_ADDRESS, linux/prctl.h
    const PR_GET_TID_ADDRESS: libc::c_int = 40;
    let mut address: *mut libc::c_int = std::ptr::null_mut();
    // SAFETY: PR_GET_TID_ADDRESS writes one pointer, which outlives the call.
    let sent = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address, 0, 0, 0) };
    (sent == 0 && !address.is_null()).then_some(address)
}
