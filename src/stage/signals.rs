//! The supervisor's reaction to each signal that it receives.
//!
//! The program shares the helper's session if a terminal is on 0, 1 or 2, so that job control
//! works. The terminal's signals then reach it directly. Otherwise it has a session of its own, so
//! that `kill(0, SIGKILL)` in it does not end the caller's script, and the helper forwards all
//! signals.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

use super::waits::{self, WaitError, WaitResult, Waits};
use crate::sys::signal;

/// The session of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// Its own: no terminal is on 0, 1 or 2.
    Own,
    /// The helper's.
    Shared {
        /// The helper leads its process group: a shell with job control started it as a job, and
        /// continues it.
        leads_group: bool,
        /// The helper leads its session: the kernel reports a hang-up of the terminal to it alone,
        /// and no process continues it.
        leads_session: bool,
    },
}

impl Session {
    /// Chooses the program's session.
    pub(crate) fn choose() -> Self {
        let terminal = std::io::stdin().is_terminal()
            || std::io::stdout().is_terminal()
            || std::io::stderr().is_terminal();
        if !terminal {
            return Self::Own;
        }
        Self::Shared {
            leads_group: getpgrp() == getpid(),
            leads_session: getsid(None) == Ok(getpid()),
        }
    }

    /// The signal that stops the helper after `signal` stopped the program; `None`: the helper
    /// continues because no process would continue it.
    pub(crate) fn stops_with(self, signal: i32) -> Option<i32> {
        let Self::Shared {
            leads_group,
            leads_session,
        } = self
        else {
            return None;
        };
        match signal {
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Some(signal),
            // A shell in the program suspended itself. The helper uses SIGTSTP, not SIGSTOP:
            // SIGTSTP does not stop a process that no shell would continue.
            libc::SIGSTOP if leads_group && !leads_session => Some(libc::SIGTSTP),
            _ => None,
        }
    }
}

/// The sender of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// The terminal, a timer, a limit.
    Kernel,
    /// The helper's own action: SIGPIPE.
    Helper,
    /// A process of the helper's process group: it may have sent the signal to the whole group.
    Group,
    /// Any other process, including one that has ended meanwhile.
    Other,
}

/// A signal that the supervisor received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) number: i32,
    sender: Sender,
}

/// The reaction to it while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalAction {
    Ignore,
    /// The program receives it.
    Forward,
    /// Every process of the program's process group receives it.
    ForwardToGroup,
    /// The program's process group and the helper stop.
    Stop,
}

/// The signals of the helper, read from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    own: Pid,
    group: Pid,
}

impl Signals {
    /// Opens the descriptor for the signals of this process, which blocks them all.
    pub(crate) fn open() -> Result<Self, Errno> {
        Ok(Self {
            fd: SignalFd::with_flags(
                &SigSet::all(),
                SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
            )?,
            own: getpid(),
            group: getpgrp(),
        })
    }

    /// The next one; `None`: the queue is empty.
    pub(crate) fn next(&self) -> Result<Option<Received>, Errno> {
        match self.fd.read_signal() {
            Ok(Some(info)) => Ok(i32::try_from(info.ssi_signo).ok().map(|number| Received {
                number,
                sender: self.sender(&info),
            })),
            Ok(None) | Err(Errno::EINTR | Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn sender(&self, info: &siginfo) -> Sender {
        // SI_USER is 0; SI_QUEUE, SI_TKILL and the like are less.
        if info.ssi_code > 0 {
            return Sender::Kernel;
        }
        match i32::try_from(info.ssi_pid) {
            // 0: the sender is in a pid namespace that is not below the helper's.
            Ok(0) | Err(_) => Sender::Other,
            Ok(pid) if pid == self.own.as_raw() => Sender::Helper,
            Ok(pid) if getpgid(Some(Pid::from_raw(pid))) == Ok(self.group) => Sender::Group,
            Ok(_) => Sender::Other,
        }
    }
}

/// Until the program runs, each signal has its default effect on the helper.
impl Waits for Signals {
    fn until(&self, wanted: Option<PollFd<'_>>, limit: Option<TimeSpec>) -> WaitResult<()> {
        let mut fds = vec![PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        fds.extend(wanted);
        loop {
            let over = match ppoll(&mut fds, limit, None) {
                Ok(ready) => ready == 0,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(waits::failed(errno)),
            };
            let received = match fds.first().and_then(PollFd::any) {
                Some(false) => None,
                _ => self.next().map_err(waits::failed)?,
            };
            if let Some(received) = received {
                if received.stops() {
                    signal::stop_by(received.number).map_err(waits::failed)?;
                }
                if received.ends_before_start() {
                    return Err(WaitError::Signal(received.number));
                }
            }
            if over || fds.get(1).is_some_and(|fd| fd.any() != Some(false)) {
                return Ok(());
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Received {
    /// The reaction to it while the program runs.
    ///
    /// In a shared session the terminal's signals have reached the program already. A SIGINT,
    /// SIGQUIT or SIGTSTP from the helper's own process group was sent to the whole group, as these
    /// are (timeout(1), `kill 0`). SIGTERM and the others may be for the helper alone (`kill $!` in
    /// a script), and delivering a signal twice is better than never.
    pub(crate) fn action(self, session: Session) -> SignalAction {
        use libc::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN};
        use libc::{SIGTTOU, SIGURG, SIGWINCH};
        match (self.number, self.sender, session) {
            (SIGCHLD | SIGURG, ..) | (_, Sender::Helper, _) => SignalAction::Ignore,
            (SIGCONT | SIGTTIN | SIGTTOU | SIGWINCH, Sender::Kernel, _) => SignalAction::Ignore,
            (
                SIGINT | SIGQUIT | SIGTSTP,
                Sender::Kernel | Sender::Group,
                Session::Shared { .. },
            ) => SignalAction::Ignore,
            (SIGHUP, Sender::Kernel, Session::Shared { leads_session, .. }) if !leads_session => {
                SignalAction::Ignore
            }
            (SIGTSTP, _, Session::Own) => SignalAction::Stop,
            (SIGINT | SIGQUIT | SIGTERM, _, Session::Own)
            | (SIGHUP, Sender::Kernel, Session::Own) => SignalAction::ForwardToGroup,
            _ => SignalAction::Forward,
        }
    }

    /// Whether it ends the helper before the program runs: every signal does that is not ignored,
    /// except a few.
    pub(crate) fn ends_before_start(self) -> bool {
        use libc::{SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
        match self.number {
            SIGCHLD | SIGCONT | SIGURG | SIGWINCH => false,
            _ if self.stops() || self.sender == Sender::Helper => false,
            number => !signal::is_ignored(number),
        }
    }

    /// Whether it stops a process.
    pub(crate) fn stops(self) -> bool {
        matches!(self.number, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
    }

    /// Whether the sender requests an end, and waits for it.
    pub(crate) fn requests_end(self) -> bool {
        use libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        matches!(self.number, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM, SIGTSTP};
    use libc::{SIGTTIN, SIGUSR1, SIGWINCH};

    const JOB: Session = Session::Shared {
        leads_group: true,
        leads_session: false,
    };
    const MEMBER: Session = Session::Shared {
        leads_group: false,
        leads_session: false,
    };
    const LEADER: Session = Session::Shared {
        leads_group: true,
        leads_session: true,
    };

    fn action(number: i32, sender: Sender, session: Session) -> SignalAction {
        Received { number, sender }.action(session)
    }

    #[test]
    fn a_signal_of_the_terminal_is_not_forwarded_again() {
        for sender in [Sender::Kernel, Sender::Group] {
            assert_eq!(action(SIGINT, sender, JOB), SignalAction::Ignore);
            assert_eq!(action(SIGTSTP, sender, JOB), SignalAction::Ignore);
            assert_eq!(
                action(SIGINT, sender, Session::Own),
                SignalAction::ForwardToGroup
            );
        }
        assert_eq!(action(SIGINT, Sender::Other, JOB), SignalAction::Forward);
        assert_eq!(action(SIGHUP, Sender::Kernel, JOB), SignalAction::Ignore);
    }

    #[test]
    fn a_signal_to_the_helper_alone_is_forwarded() {
        assert_eq!(action(SIGTERM, Sender::Group, JOB), SignalAction::Forward);
        assert_eq!(
            action(SIGUSR1, Sender::Group, MEMBER),
            SignalAction::Forward
        );
        assert_eq!(
            action(SIGHUP, Sender::Kernel, LEADER),
            SignalAction::Forward
        );
        assert_eq!(
            action(SIGHUP, Sender::Kernel, Session::Own),
            SignalAction::ForwardToGroup
        );
        assert_eq!(
            action(SIGHUP, Sender::Other, Session::Own),
            SignalAction::Forward
        );
        assert_eq!(
            action(libc::SIGALRM, Sender::Kernel, Session::Own),
            SignalAction::Forward
        );
        assert_eq!(
            action(SIGCONT, Sender::Other, Session::Own),
            SignalAction::Forward
        );
    }

    #[test]
    fn signals_caused_by_the_helper_are_ignored() {
        for session in [JOB, MEMBER, LEADER, Session::Own] {
            assert_eq!(
                action(SIGPIPE, Sender::Helper, session),
                SignalAction::Ignore
            );
            assert_eq!(
                action(SIGCHLD, Sender::Other, session),
                SignalAction::Ignore
            );
            assert_eq!(
                action(SIGCONT, Sender::Kernel, session),
                SignalAction::Ignore
            );
            assert_eq!(
                action(SIGWINCH, Sender::Kernel, session),
                SignalAction::Ignore
            );
        }
    }

    #[test]
    fn the_helper_stops_only_if_a_shell_can_continue_it() {
        assert_eq!(JOB.stops_with(SIGTSTP), Some(SIGTSTP));
        assert_eq!(MEMBER.stops_with(SIGTTIN), Some(SIGTTIN));
        assert_eq!(JOB.stops_with(SIGSTOP), Some(SIGTSTP));
        assert_eq!(MEMBER.stops_with(SIGSTOP), None);
        assert_eq!(LEADER.stops_with(SIGSTOP), None);
        assert_eq!(Session::Own.stops_with(SIGSTOP), None);
        assert_eq!(Session::Own.stops_with(SIGTSTP), None);
        assert_eq!(
            action(SIGTSTP, Sender::Other, Session::Own),
            SignalAction::Stop
        );
    }

    #[test]
    fn signals_before_the_start_have_their_default_effect() {
        let ends = |number| {
            let sender = Sender::Other;
            Received { number, sender }.ends_before_start()
        };
        assert!(ends(SIGTERM) && ends(SIGINT) && ends(SIGHUP) && ends(SIGUSR1) && ends(SIGKILL));
        assert!(!ends(SIGCHLD) && !ends(SIGCONT) && !ends(SIGTSTP) && !ends(SIGWINCH));
    }
}
