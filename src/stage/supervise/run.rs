//! The time in which the program runs: its end, its stops, and the forwarded signals.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::wait::{AwaitedEvent, WakeReason};
use super::{Supervisor, stop_by, system};
use crate::ended::Ended;
use crate::error::Result;
use crate::procfs::pending::{self, Taking};
use crate::stage::signals::{Received, SignalAction};
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{pidfd, signal};

/// How often the helper checks whether the program takes a forwarded signal, and the time between
/// two checks. A program in an uninterruptible wait never takes it.
const MAX_CHECKS: u8 = 3;
const CHECK_INTERVAL: TimeSpec = TimeSpec::from_duration(Duration::from_millis(150));
/// How long the helper leaves an ended program to its tracer.
const TRACED: TimeSpec = TimeSpec::from_duration(Duration::from_millis(50));

impl Supervisor {
    /// Waits for the program's end; stops and continues together with it.
    pub(crate) fn wait_for_end(&mut self) -> Result<Ended> {
        // A forwarded signal, and the number of checks left.
        let mut passed: Option<(i32, u8)> = None;
        loop {
            if let Some(ended) = self.look_at_child()? {
                return Ok(ended);
            }
            match self.wait(&[AwaitedEvent::Child], None, passed.map(|_| CHECK_INTERVAL))? {
                WakeReason::Event(_) => {
                    if let Some(ended) = self.look_at_child()? {
                        return Ok(ended);
                    }
                    // A tracer must wait for it first.
                    self.wait(&[], None, Some(TRACED))?;
                }
                WakeReason::Signal => {
                    if let Some(received) = self.receive()? {
                        self.deal_with(received)?;
                        if received.requests_end() {
                            passed = Some((received.number, MAX_CHECKS));
                        }
                    }
                }
                WakeReason::Time => {
                    let Some((signal, left)) = passed.take() else {
                        continue;
                    };
                    passed = match self.taking(signal) {
                        Taking::Soon => Some((signal, left)),
                        // The program itself blocks it: that is its decision.
                        Taking::Blocked if !self.caller.blocks(signal) => None,
                        Taking::Taken => None,
                        Taking::Blocked | Taking::Stuck if left > 1 => Some((signal, left - 1)),
                        Taking::Blocked | Taking::Stuck => return Ok(Ended::Interrupted(signal)),
                    };
                }
                WakeReason::Lines => {}
            }
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

    fn deal_with(&self, received: Received) -> Result<()> {
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

    /// Whether the program took a forwarded signal. An unreadable state means that the program is
    /// gone.
    fn taking(&self, signal: i32) -> Taking {
        pending::parse(&self.read_state()).map_or(Taking::Taken, |pending| pending.taking(signal))
    }
}
