//! seccomp_unotify(2): the listener to a filter.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::check;
use crate::seccomp::interpret::Call;

/// A call that waits for a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notification {
    /// The id for [`answer`].
    pub(crate) id: u64,
    /// Its thread, in this process's pid namespace; 0 if it has no number there.
    pub(crate) pid: u32,
    pub(crate) call: Call,
}

/// The result of the call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// It fails with this errno: 0 to 4095; 0 is a result of 0.
    Errno(u16),
    /// The kernel executes it. Only for a call that every filter allows: its memory may have
    /// changed since the check.
    Continue,
}

/// The next call; `None`: it ended before it could be read.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Option<Notification>, Errno> {
    // SAFETY: seccomp_notif is plain data, for which all zeros is a value, and the one that the
    // kernel requires.
    let mut sent: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: SECCOMP_IOCTL_NOTIF_RECV writes one seccomp_notif, whose size is
    // part of the request's number; it outlives the call.
    let received = check(unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut sent,
        )
    });
    match received {
        Ok(_) => Ok(Some(Notification {
            id: sent.id,
            pid: sent.pid,
            call: Call {
                number: sent.data.nr.cast_unsigned(),
                arch: sent.data.arch,
                instruction_pointer: sent.data.instruction_pointer,
                arguments: sent.data.args,
            },
        })),
        Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Replies to a call; one that ended meanwhile needs no reply.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<(), Errno> {
    let (error, flags) = match answer {
        Answer::Errno(errno) => (-i32::from(errno), 0),
        // SECCOMP_USER_NOTIF_FLAG_CONTINUE, Linux 5.5.
        Answer::Continue => (0, 1),
    };
    let response = libc::seccomp_notif_resp {
        id,
        val: 0,
        error,
        flags,
    };
    // SAFETY: SECCOMP_IOCTL_NOTIF_SEND reads one seccomp_notif_resp, whose size
    // is part of the request's number; it outlives the call.
    let sent = check(unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    });
    match sent {
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
