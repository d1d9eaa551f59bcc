//! Signal dispositions and masks, and ending or stopping like another process.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

/// The signals that were blocked before [`block_all`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallersMask(SigSet);

/// Blocks every signal that can be blocked.
pub(crate) fn block_all() -> Result<CallersMask, Errno> {
    set_mask(&SigSet::all()).map(CallersMask)
}

impl CallersMask {
    /// The signals that the caller blocks.
    pub(crate) fn set(&self) -> SigSet {
        self.0
    }

    /// Puts the caller's mask back.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        set_mask(&self.0)?;
        Ok(())
    }
}

/// Sets the mask, and returns the previous one.
fn set_mask(mask: &SigSet) -> Result<SigSet, Errno> {
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), Some(&mut before))?;
    Ok(before)
}

/// The reaction of a process to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposition {
    Default,
    Ignored,
    /// A handler, which execve resets.
    Handled,
}

/// The signals in the state in which the caller passed them: the program gets them back.
///
/// A caller may ignore SIGCHLD: then nothing reports how the program ended. It may leave SIGPIPE at
/// its default: then a reader that leaves ends the helper. It may block SIGTERM: then nothing ends
/// the helper.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallersSignals {
    mask: SigSet,
    child: Disposition,
    pipe: Disposition,
}

/// Each of them ends the helper, even if the caller blocks it.
const OBEYED: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

impl CallersSignals {
    /// Saves them, and sets those that the helper needs: SIGCHLD at its default, SIGPIPE ignored,
    /// SIGHUP, SIGINT and SIGTERM not blocked. A signal that the caller ignores stays ignored, as
    /// nohup(1) requires.
    pub(crate) fn take() -> Result<Self, Errno> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, None, Some(&mut mask))?;
        let caller = Self {
            mask,
            child: set_disposition(libc::SIGCHLD, Disposition::Default)?,
            pipe: set_disposition(libc::SIGPIPE, Disposition::Ignored)?,
        };
        if std::process::id() == 1 {
            OBEYED.into_iter().try_for_each(end_by)?;
        }
        caller.obey()?;
        Ok(caller)
    }

    /// Blocks every signal that can be blocked, so that a descriptor delivers them.
    pub(crate) fn block(&self) -> Result<(), Errno> {
        set_mask(&SigSet::all())?;
        Ok(())
    }

    /// Unblocks the signals that the caller did not block, and those that end the helper.
    pub(crate) fn obey(&self) -> Result<(), Errno> {
        let mut mask = self.mask;
        OBEYED.into_iter().for_each(|signal| mask.remove(signal));
        set_mask(&mask)?;
        Ok(())
    }

    /// Whether the caller blocks the signal.
    pub(crate) fn blocks(&self, signal: i32) -> bool {
        Signal::try_from(signal).is_ok_and(|signal| self.mask.contains(signal))
    }

    /// Gives the caller's signals back, in the process that becomes the program.
    pub(crate) fn give_back(&self) -> Result<(), Errno> {
        for (signal, disposition) in [(libc::SIGCHLD, self.child), (libc::SIGPIPE, self.pipe)] {
            if disposition != Disposition::Handled {
                set_disposition(signal, disposition)?;
            }
        }
        set_mask(&self.mask)?;
        Ok(())
    }
}

/// Makes `signal` end this process, unless the caller ignores it. The kernel drops each signal to
/// process 1 of a pid namespace that has the default disposition, pid_namespaces(7). execve(2)
/// resets the handler.
fn end_by(signal: Signal) -> Result<(), Errno> {
    extern "C" fn end(signal: libc::c_int) {
        let status = u8::try_from(128 + signal).unwrap_or(u8::MAX);
        super::process::exit_now(status)
    }
    #[expect(clippy::as_conversions, reason = "nix has no other conversion")]
    if is_ignored(signal as libc::c_int) {
        return Ok(());
    }
    let handler = nix::sys::signal::SigHandler::Handler(end);
    // SAFETY: signal needs a handler that calls only functions of signal-safety(7); it calls _exit.
    unsafe { nix::sys::signal::signal(signal, handler) }.map(drop)
}

/// Sets a disposition, and returns the previous one. Does not set a handler.
fn set_disposition(signal: i32, disposition: Disposition) -> Result<Disposition, Errno> {
    let action = match disposition {
        Disposition::Ignored => libc::SIG_IGN,
        Disposition::Default | Disposition::Handled => libc::SIG_DFL,
    };
    // SAFETY: signal takes integers here: neither SIG_IGN nor SIG_DFL is a function that would run
    // in a signal handler's context.
    let before = unsafe { libc::signal(signal, action) };
    match before {
        libc::SIG_ERR => Err(Errno::last()),
        libc::SIG_DFL => Ok(Disposition::Default),
        libc::SIG_IGN => Ok(Disposition::Ignored),
        _ => Ok(Disposition::Handled),
    }
}

/// Whether this process ignores the signal.
pub(crate) fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is plain data, for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: sigaction reads nothing, as the new action is null, and writes one
    // sigaction, which outlives the call.
    let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    read == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Ends this process by `signal`, like a process that it ended, and without a core file of its own.
/// Returns only if the signal does not end a process.
pub(crate) fn die_of(signal: i32) {
    // A failure of any of these leaves the exit status, which the caller sets.
    let _ = super::process::set_rlimit(RLIMIT_CORE, 0, 0);
    let _ = set_disposition(signal, Disposition::Default);
    let _ = send_to_self(signal);
    // Only this signal: another waiting one would be mistaken for it.
    let _ = set_mask(&all_but(signal));
}

/// RLIMIT_CORE, asm-generic/resource.h.
const RLIMIT_CORE: u8 = 4;

/// Stops this process by `signal`, which is blocked, until it gets SIGCONT. The kernel's own rules
/// apply: SIGTSTP, SIGTTIN and SIGTTOU stop neither a process that ignores them nor a process group
/// without a shell to continue it.
pub(crate) fn stop_by(signal: i32) -> Result<(), Errno> {
    send_to_self(signal)?;
    let blocked = set_mask(&all_but(signal))?;
    set_mask(&blocked)?;
    Ok(())
}

/// Every signal but one, real-time ones included.
fn all_but(signal: i32) -> SigSet {
    let mut mask: libc::sigset_t = *SigSet::all().as_ref();
    // SAFETY: sigdelset writes one sigset_t, which outlives the call; a number
    // that is no signal is an error, and the set stays as it is.
    unsafe { libc::sigdelset(&raw mut mask, signal) };
    // SAFETY: from_sigset_t_unchecked needs an initialised set, which it is.
    unsafe { SigSet::from_sigset_t_unchecked(mask) }
}

fn send_to_self(signal: i32) -> Result<(), Errno> {
    // SAFETY: getpid takes nothing.
    let pid = unsafe { libc::getpid() };
    // SAFETY: kill takes integers only.
    Errno::result(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// Sends `signal` to every process of the group that `leader` leads: a child that was not waited
/// for yet, so its number means no other group.
pub(crate) fn send_to_group(leader: crate::request::Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill takes integers only.
    Errno::result(unsafe { libc::kill(-leader.get(), signal) })?;
    Ok(())
}
