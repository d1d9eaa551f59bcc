//! waitid(2): nix's wrapper refuses real-time signals.

use nix::errno::Errno;

use crate::request::Pid;

/// The change of state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// This signal stopped it.
    Stopped(i32),
}

/// Whether to wait for a change, or only to check for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMode {
    Block,
    NoHang,
}

/// A change of `child` that was not reported before; `None`: there is none (yet).
pub(crate) fn change(child: Pid, mode: WaitMode) -> Result<Option<Change>, Errno> {
    let flags = libc::WEXITED | libc::WSTOPPED;
    let flags = if mode == WaitMode::NoHang {
        flags | libc::WNOHANG
    } else {
        flags
    };
    let Ok(id) = libc::id_t::try_from(child.get()) else {
        return Err(Errno::EINVAL);
    };
    // SAFETY: siginfo_t is plain data, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid writes one siginfo_t, which outlives the call.
    Errno::result(unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) })?;
    // SAFETY: after waitid, si_status is the member of the union that is set; the zeros from before
    // make it readable if nothing changed.
    let status = unsafe { info.si_status() };
    Ok(match info.si_code {
        libc::CLD_EXITED => Some(Change::Exited(status)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Some(Change::Signaled(status)),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => Some(Change::Stopped(status)),
        _ => None,
    })
}
