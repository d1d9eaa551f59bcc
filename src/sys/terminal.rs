//! Sessions and the controlling terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// setsid(2).
pub(crate) fn new_session() -> Result<(), Errno> {
    // SAFETY: setsid takes nothing.
    Errno::result(unsafe { libc::setsid() })?;
    // SAFETY: getsid takes an integer.
    let session = Errno::result(unsafe { libc::getsid(0) })?;
    // SAFETY: getpid takes nothing.
    if session == unsafe { libc::getpid() } {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// TIOCSCTTY: makes `terminal` the controlling terminal of this session,
/// without stealing it from another.
pub(crate) fn take_control(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: TIOCSCTTY takes an integer.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    Ok(())
}
