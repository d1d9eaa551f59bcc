//! pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::check;
use crate::request::Pid;

/// A descriptor of the process that has this pid now (Linux 5.3). CLOEXEC.
///
/// # Errors
/// ESRCH: no such process. EINVAL: a thread that leads no thread group.
pub(crate) fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes two integers and touches no memory.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.get(), 0) })?;
    Ok(owned(fd))
}

/// Sends `signal` to the process, never to a later process with its pid. Signal 0 sends nothing and
/// reports whether the process was reaped (ESRCH).
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal reads siginfo only if the pointer is not null; it is null.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            none,
            0,
        )
    })?;
    Ok(())
}

/// A copy of descriptor `fd` of the process (Linux 5.6). CLOEXEC.
///
/// # Errors
/// EBADF: it has no descriptor of that number. EPERM: no PTRACE_MODE_ATTACH to it.
pub(crate) fn duplicate(pidfd: BorrowedFd<'_>, fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_getfd takes three integers and touches no memory.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })?;
    Ok(owned(fd))
}

/// Whether the process has ended; a zombie has.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> Result<bool, Errno> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

/// Takes the descriptor that a system call has just returned.
pub(super) fn owned(fd: libc::c_long) -> OwnedFd {
    let fd = RawFd::try_from(fd).unwrap_or(-1);
    // SAFETY: from_raw_fd needs an open descriptor with no other owner; the
    // kernel has just created this one for us. A descriptor fits RawFd, so the
    // -1, which from_raw_fd would refuse, never occurs.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
