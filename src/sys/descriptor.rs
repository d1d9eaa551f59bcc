//! close_range(2) and the descriptor flags.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::{check, pidfd};

/// The action on a range of descriptors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    /// Closes them.
    Close,
    /// The next execve closes them (Linux 5.11).
    CloseOnExec,
}

/// Closes, or marks, every open descriptor of `first..=last`.
///
/// Closing takes the numbers away from their owners: call it only right before execve, when nothing
/// of the range is used again.
pub(crate) fn close_range(first: u32, last: u32, range: Range) -> Result<(), Errno> {
    let flags = match range {
        Range::Close => 0,
        Range::CloseOnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: close_range takes three integers. The contract above ensures that no owner of a
    // closed number uses it again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })?;
    Ok(())
}

/// Closes every open descriptor except those of `kept`; the contract is that of closing in
/// [`close_range`].
pub(crate) fn close_all_but(kept: &[RawFd]) -> Result<(), Errno> {
    let numbers = kept.iter().map(|fd| u32::try_from(*fd));
    let mut kept = numbers
        .collect::<Result<Vec<u32>, _>>()
        .map_err(|_| Errno::EBADF)?;
    kept.sort_unstable();
    let mut first = 0;
    for kept in kept {
        if first < kept {
            close_range(first, kept - 1, Range::Close)?;
        }
        first = kept + 1;
    }
    close_range(first, u32::MAX, Range::Close)
}

/// Whether a descriptor of this number is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes integers only.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Makes `fd` cross the next execve, or not.
pub(crate) fn set_close_on_exec(fd: RawFd, close: bool) -> Result<(), Errno> {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: F_SETFD takes integers only.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) })?;
    Ok(())
}

/// A copy, CLOEXEC, of a descriptor that the caller passed by its number.
///
/// # Errors
/// EBADF: no descriptor is open under this number.
pub(crate) fn duplicate_number(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC takes integers only.
    let fd = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    Ok(pidfd::owned(fd.into()))
}

/// Makes `new` a copy of `old` that crosses execve.
pub(crate) fn place(old: BorrowedFd<'_>, new: RawFd) -> Result<(), Errno> {
    if old.as_raw_fd() == new {
        return set_close_on_exec(new, false);
    }
    // SAFETY: dup3 takes integers only. It is called for 0, 1 and 2, which no
    // Rust value owns.
    Errno::result(unsafe { libc::dup3(old.as_raw_fd(), new, 0) })?;
    Ok(())
}

/// `fd`, which is one of 0, 1 and 2 and was made valid before.
pub(crate) fn standard(fd: RawFd) -> BorrowedFd<'static> {
    debug_assert!((0..=2).contains(&fd));
    // SAFETY: borrow_raw needs a descriptor that stays open as long as the
    // borrow; 0, 1 and 2 are made valid first of all and never closed.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Sends one message with copies of `descriptors` (SCM_RIGHTS, unix(7)).
///
/// # Errors
/// Those of sendmsg(2); EPIPE, without SIGPIPE, if the other end is closed.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[RawFd]) -> Result<(), Errno> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control: &[ControlMessage<'_>] = if descriptors.is_empty() { &[] } else { &rights };
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None).map(drop)
}

/// Takes a descriptor that has just arrived with a message (SCM_RIGHTS, unix(7)).
pub(crate) fn received(fd: RawFd) -> OwnedFd {
    pidfd::owned(fd.into())
}
