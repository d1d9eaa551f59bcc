//! Step 7: the parent of the program, with nothing left but what it takes to
//! wait, to pass signals on, and to tell.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::failure::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::Domain;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::procfs::stat;
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::wait::{Change, Patience, change};
use crate::sys::{pidfd, process, seccomp, signal};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// What became of the child before it was the program.
#[derive(Debug)]
pub(crate) enum Start {
    /// It executed the program.
    Executed,
    /// It failed, and said at what.
    Failed(Failure),
    /// It ended without a word: killed from outside.
    Ended,
}

/// The child, and what the parent holds towards it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Pid,
    pidfd: OwnedFd,
    /// EOF or a failure record.
    report: OwnedFd,
    /// /proc/CHILD/stat, opened before the lock-down.
    stat: OwnedFd,
    signals: SignalFd,
}

impl Supervisor {
    /// Signals are blocked already; from here on they are read.
    pub(crate) fn new(child: Pid, pidfd: OwnedFd, report: OwnedFd, stat: OwnedFd) -> Result<Self> {
        let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC)
            .map_err(|errno| Error::new(ErrorKind::System, "signalfd").because(errno))?;
        Ok(Self {
            child,
            pidfd,
            report,
            stat,
            signals,
        })
    }

    /// Gives up what waiting does not take: every capability but CAP_KILL, the
    /// file system, TCP, abstract sockets, all but a few system calls.
    pub(crate) fn lock_down(&self, domain: Option<&Domain>, filter: &Program) -> Result<()> {
        let failed = |layer: &'static str| {
            move |errno: Errno| {
                let wrong = format!("the helper's own {layer} cannot be put in force");
                Error::new(ErrorKind::LockDown, wrong).because(errno)
            }
        };
        let now = credentials::capabilities().map_err(failed("capabilities"))?;
        if now.effective.contains(Capability::SETPCAP) {
            drop_bounding_set().map_err(failed("bounding set"))?;
        }
        process::set_no_new_privs().map_err(failed("no_new_privs"))?;
        let kill = CapabilitySet::EMPTY
            .with(Capability::KILL)
            .intersection(now.permitted);
        credentials::clear_ambient_set().map_err(failed("capabilities"))?;
        let inheritable = CapabilitySet::EMPTY;
        let state = CapabilityState {
            effective: kill,
            permitted: kill,
            inheritable,
        };
        credentials::set_capabilities(state).map_err(failed("capabilities"))?;
        process::set_undumpable().map_err(failed("dumpable flag"))?;
        if let Some(domain) = domain {
            domain.enter().map_err(failed("Landlock domain"))?;
        }
        seccomp::load(filter).map_err(failed("seccomp filter"))
    }

    /// Waits until the child is the program, or is not going to be. Where there
    /// is an explainer, the child waits for it: it must not have ended.
    pub(crate) fn wait_for_start(&self, explainer: Option<BorrowedFd<'_>>) -> Result<Start> {
        let mut record = [0; Failure::LENGTH];
        let mut filled = 0;
        loop {
            self.wait_for_report(explainer)?;
            let Some(rest) = record.get_mut(filled..) else {
                break;
            };
            match nix::unistd::read(&self.report, rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(system("the report of the child", errno)),
            }
            if filled == record.len() {
                break;
            }
        }
        match filled {
            0 if self.has_executed()? => Ok(Start::Executed),
            Failure::LENGTH => Ok(Failure::from_bytes(record).map_or(Start::Ended, Start::Failed)),
            _ => Ok(Start::Ended),
        }
    }

    /// Until there is something to read, signals are passed on.
    fn wait_for_report(&self, explainer: Option<BorrowedFd<'_>>) -> Result<()> {
        loop {
            let mut fds = [
                PollFd::new(self.report.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                // Told of its hang-up alone; without one, the report once more.
                PollFd::new(explainer.unwrap_or(self.report.as_fd()), PollFlags::empty()),
            ];
            wait(&mut fds)?;
            let [report, signals, explainer] = fds;
            if report.any() != Some(false) {
                return Ok(());
            }
            if explainer.any() != Some(false) {
                return Err(Error::new(
                    ErrorKind::System,
                    "the explainer ended before the program was started",
                ));
            }
            if signals.any() == Some(true) {
                self.pass_signal()?;
            }
        }
    }

    /// The end of the report is the same for execve and for death; the flag
    /// PF_FORKNOEXEC tells which it was, on a zombie too.
    fn has_executed(&self) -> Result<bool> {
        let mut buffer = [0; 4096];
        let read = nix::sys::uio::pread(&self.stat, &mut buffer, 0)
            .map_err(|errno| system("the state of the child", errno))?;
        let text = buffer.get(..read).unwrap_or_default();
        let stat = stat::parse(text).map_err(|fault| {
            Error::new(
                ErrorKind::System,
                format!("the state of the child: {fault}"),
            )
        })?;
        Ok(!stat.is_forked_without_exec())
    }

    /// Waits for the program's end; stops and goes on with it.
    pub(crate) fn wait_for_end(&self) -> Result<Ended> {
        loop {
            if let Some(ended) = self.look_at_child()? {
                return Ok(ended);
            }
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            wait(&mut fds)?;
            self.pass_signal()?;
        }
    }

    /// Ends the child, for good.
    pub(crate) fn kill(&self) {
        // ESRCH: it ended already.
        let _ = pidfd::send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        while !matches!(
            change(self.child, Patience::Wait),
            Ok(Some(Change::Exited(_) | Change::Signaled(_))) | Err(Errno::ECHILD)
        ) {}
    }

    fn look_at_child(&self) -> Result<Option<Ended>> {
        match change(self.child, Patience::Look) {
            Ok(Some(Change::Exited(status))) => Ok(Some(Ended::Exited(status))),
            Ok(Some(Change::Signaled(signal))) => Ok(Some(Ended::Signaled(signal))),
            Ok(Some(Change::Stopped)) => {
                // Stopped with the program, so that the caller's shell sees it;
                // the shell's SIGCONT reaches this process, and is passed on.
                signal::stop_self().map_err(|errno| system("stopping", errno))?;
                self.send(libc::SIGCONT)?;
                Ok(None)
            }
            Ok(None) | Err(Errno::EINTR) => Ok(None),
            Err(errno) => Err(system("waiting for the program", errno)),
        }
    }

    /// Passes a signal on that somebody sent to the helper. What the terminal
    /// sends (SIGINT, SIGTSTP, ...) has reached the program as well: both are in
    /// the foreground process group.
    fn pass_signal(&self) -> Result<()> {
        let received = match self.signals.read_signal() {
            Ok(Some(received)) => received,
            Ok(None) | Err(Errno::EINTR | Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(system("reading signals", errno)),
        };
        let Ok(number) = i32::try_from(received.ssi_signo) else {
            return Ok(());
        };
        let from_process = received.ssi_code <= 0;
        if number == libc::SIGCHLD || number == libc::SIGCONT || !from_process {
            return Ok(());
        }
        self.send(number)
    }

    fn send(&self, number: i32) -> Result<()> {
        match pidfd::send_signal(self.pidfd.as_fd(), number) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(system("passing a signal on", errno)),
        }
    }
}

/// Takes everything but CAP_KILL out of the bounding set.
fn drop_bounding_set() -> std::result::Result<(), Errno> {
    for capability in CapabilitySet::from_bits(u64::MAX).iter() {
        if capability == Capability::KILL {
            continue;
        }
        match credentials::drop_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the kernel's last capability.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn wait(fds: &mut [PollFd<'_>]) -> Result<()> {
    match poll(fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(system("poll", errno)),
    }
}

fn system(what: &'static str, errno: Errno) -> Error {
    Error::new(ErrorKind::System, what).because(errno)
}
