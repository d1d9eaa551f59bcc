//! The time in which the program runs: its end, its stops, and the forwarded signals.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::wait::{AwaitedEvent, WakeReason};
use super::{Passed, Supervisor, remaining, stop_by, system};
use crate::ended::Ended;
use crate::error::Result;
use crate::procfs::pending::{self, SignalState};
use crate::stage::signals::{Received, SignalAction};
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{pidfd, signal};

/// How often the helper checks whether the program takes a forwarded signal, and the time between
/// two checks. A program in an uninterruptible wait never takes it.
const MAX_CHECKS: u8 = 3;
const CHECK_INTERVAL: Duration = Duration::from_millis(150);
/// How long the helper leaves an ended program to its tracer.
const TRACED: TimeSpec = TimeSpec::from_duration(Duration::from_millis(50));

/// A signal that the helper has forwarded, and that asks the program to end.
#[derive(Clone, Copy, Debug)]
struct Forwarded {
    signal: i32,
    /// The time of the next check.
    next: Instant,
    /// The number of checks left.
    checks: u8,
    /// At the last check a tracer held the program, which had run so often.
    held: Option<u64>,
}

/// The result of a check of a forwarded signal.
enum Check {
    Again(Forwarded),
    Received,
    /// The program does not take it.
    Stuck,
}

/// The time until the next check; `None`: there is none to make.
///
/// # Errors
/// One is due.
fn next_check(
    forwarded: &[Forwarded],
    is_tracers: bool,
) -> std::result::Result<Option<TimeSpec>, Passed> {
    let next = forwarded.iter().map(|one| one.next).min();
    match next.map(remaining).transpose()? {
        None if is_tracers => Ok(Some(TRACED)),
        limit => Ok(limit),
    }
}

impl Supervisor {
    /// Waits for the program's end; stops and continues together with it.
    pub(crate) fn wait_for_end(&mut self) -> Result<Ended> {
        let mut forwarded: Vec<Forwarded> = Vec::new();
        // The program has ended, and a tracer must wait for it first.
        let mut is_tracers = false;
        loop {
            if let Some(ended) = self.look_at_child()? {
                return Ok(ended);
            }
            let Ok(limit) = next_check(&forwarded, is_tracers) else {
                if let Some(signal) = self.check_due(&mut forwarded, is_tracers) {
                    return Ok(Ended::Interrupted(signal));
                }
                continue;
            };
            // The pidfd of an ended program stays readable.
            let awaited: &[AwaitedEvent] = if is_tracers {
                &[]
            } else {
                &[AwaitedEvent::Child]
            };
            match self.wait(awaited, None, limit)? {
                WakeReason::Event(_) => {
                    if let Some(ended) = self.look_at_child()? {
                        return Ok(ended);
                    }
                    is_tracers = true;
                }
                WakeReason::Signal => {
                    if let Some(received) = self.receive()? {
                        self.handle_signal(received)?;
                        let known = forwarded.iter().any(|one| one.signal == received.number);
                        // Signals do not extend the time of those before them.
                        if received.requests_end() && !known {
                            forwarded.push(Forwarded {
                                signal: received.number,
                                next: Instant::now() + CHECK_INTERVAL,
                                checks: MAX_CHECKS,
                                held: None,
                            });
                        }
                    }
                }
                WakeReason::Time | WakeReason::Lines => {}
            }
        }
    }

    /// Makes the checks that are due, and returns a signal that the program does not take.
    fn check_due(&self, forwarded: &mut Vec<Forwarded>, is_tracers: bool) -> Option<i32> {
        let now = Instant::now();
        let mut stuck = None;
        forwarded.retain_mut(|one| {
            if one.next > now {
                return true;
            }
            match self.check(*one, is_tracers) {
                Check::Again(again) => {
                    *one = again;
                    one.next = now + CHECK_INTERVAL;
                    true
                }
                Check::Received => false,
                Check::Stuck => {
                    stuck = stuck.or(Some(one.signal));
                    false
                }
            }
        });
        stuck
    }

    /// Checks whether the program takes a forwarded signal. An unreadable state means that the
    /// program is gone.
    fn check(&self, last: Forwarded, is_tracers: bool) -> Check {
        let stuck = |held| match last.checks.checked_sub(1) {
            Some(checks) if checks > 0 => Check::Again(Forwarded {
                checks,
                held,
                ..last
            }),
            _ => Check::Stuck,
        };
        if is_tracers {
            return stuck(None);
        }
        let Some(state) = pending::parse(&self.read_state()) else {
            return Check::Received;
        };
        match (state.state_of(last.signal), state.held_by_tracer()) {
            (SignalState::Deliverable, _) => Check::Again(last),
            // The program itself blocks it: that is its decision.
            (SignalState::Blocked, _) if !self.caller.blocks(last.signal) => Check::Received,
            (SignalState::Blocked | SignalState::Stuck, held) => stuck(held),
            (SignalState::Delivered, None) => Check::Received,
            // Its handler runs, which blocks it.
            (SignalState::Delivered, _) if state.blocks(last.signal) => Check::Received,
            // It has run since the last check: its tracer lets it take the signal.
            (SignalState::Delivered, held) if last.held.is_some() && last.held != held => {
                Check::Received
            }
            (SignalState::Delivered, held) => stuck(held),
        }
    }

    fn look_at_child(&self) -> Result<Option<Ended>> {
        match change(self.child, WaitMode::NoHang) {
            Ok(Some(Change::Exited(status))) => Ok(Some(Ended::Exited(status))),
            Ok(Some(Change::Signaled(signal))) => Ok(Some(Ended::Signaled(signal))),
            Ok(Some(Change::Stopped(signal))) => {
                // The caller's shell sees the stop and continues both: the helper receives its
                // SIGCONT and forwards it.
                if let Some(signal) = self.session.stops_with(signal) {
                    stop_by(signal)?;
                }
                Ok(None)
            }
            Ok(None) | Err(Errno::EINTR) => Ok(None),
            Err(errno) => Err(system(
                "cannot read the status of the program: waitid",
                errno,
            )),
        }
    }

    fn handle_signal(&self, received: Received) -> Result<()> {
        match received.action(self.session) {
            SignalAction::Ignore => Ok(()),
            SignalAction::Forward => self.send(received.number),
            SignalAction::ForwardToGroup => self.send_to_group(received.number),
            SignalAction::Stop => {
                self.send_to_group(libc::SIGSTOP)?;
                stop_by(received.number)?;
                self.send_to_group(libc::SIGCONT)
            }
        }
    }

    fn send(&self, number: i32) -> Result<()> {
        match pidfd::send_signal(self.pidfd.as_fd(), number) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(system("cannot forward a signal to the program", errno)),
        }
    }

    /// The program leads a session of its own, and therefore a process group.
    fn send_to_group(&self, number: i32) -> Result<()> {
        match signal::send_to_group(self.child, number) {
            Ok(()) => Ok(()),
            Err(_) => self.send(number),
        }
    }
}
