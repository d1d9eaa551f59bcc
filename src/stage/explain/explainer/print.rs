//! The report on standard error.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::descriptor;

/// PIPE_BUF, pipe(7): the number of bytes that a pipe accepts without blocking once poll(2) reports
/// that there is room.
const AT_ONCE: usize = 4096;

/// Writes to standard error while the helper waits for the end of `done`: a reader that does not
/// read must not block this process after the helper has ended.
pub(super) fn print(mut text: &[u8], done: &OwnedFd) {
    let stderr = descriptor::standard(2);
    while !text.is_empty() {
        let mut fds = [
            PollFd::new(stderr, PollFlags::POLLOUT),
            // POLLERR: no process has the other end any more.
            PollFd::new(done.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        let [room, helper] = fds.map(|fd| fd.any() == Some(true));
        if !room && helper {
            return;
        }
        let some = text.get(..AT_ONCE).unwrap_or(text);
        match nix::unistd::write(stderr, some) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Standard error is closed: the caller does not want the report.
            Err(_) => return,
        }
    }
}
