//! Signal dispositions, and ending or stopping like another process.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

/// The signals that were blocked before [`block_all`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallersMask(SigSet);

/// Blocks every signal that can be.
pub(crate) fn block_all() -> Result<CallersMask, Errno> {
    let mut before = SigSet::empty();
    sigprocmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    Ok(CallersMask(before))
}

impl CallersMask {
    /// Puts the caller's mask back.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None)
    }
}

/// Ends this process by `signal`, as another one was ended by it, and without a
/// core file of its own. Returns only when the signal does not end a process.
pub(crate) fn die_of(signal: i32) {
    // A failure of any of these leaves the exit status, which the caller sets.
    let _ = super::process::set_rlimit(RLIMIT_CORE, 0, 0);
    // SAFETY: SIG_DFL is no function of ours that could be called in a signal
    // handler's context.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let _ = send_to_self(signal);
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// RLIMIT_CORE, asm-generic/resource.h.
const RLIMIT_CORE: u8 = 4;

/// Stops this process until it gets SIGCONT.
pub(crate) fn stop_self() -> Result<(), Errno> {
    send_to_self(libc::SIGSTOP)
}

fn send_to_self(signal: i32) -> Result<(), Errno> {
    // SAFETY: getpid takes nothing.
    let pid = unsafe { libc::getpid() };
    // SAFETY: kill takes integers only.
    Errno::result(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}
