//! The time from the clone until the program runs.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{AwaitedEvent, Supervisor, WakeReason, not_open, remaining, stop_by, system};
use crate::error::{Error, ErrorKind, Result};
use crate::procfs;
use crate::procfs::stat;
use crate::stage::failure::Failure;

/// The result of the child before it becomes the program.
#[derive(Debug)]
pub(crate) enum Start {
    /// It is ready to be verified.
    Ready,
    /// It executed the program.
    Executed,
    /// It failed, and reported the step.
    Failed(Failure),
    /// It ended without a report: another process killed it.
    Ended,
    /// This signal ends the helper.
    Interrupted(i32),
}

/// How long the helper waits for the child's report before it reads the child's state itself.
const REPORT: Duration = Duration::from_millis(100);

impl Supervisor {
    /// After execve: whether the last filters are in force. The child loads them after the verifier
    /// has checked it, so none of them has to allow the calls of that check. The program may have
    /// loaded more filters of its own.
    ///
    /// # Errors
    /// `Safety`: there are fewer. `System`: they could not be counted.
    pub(crate) fn verify_filters(&self, expected: u32) -> Result<()> {
        if self.state.is_none() {
            return Err(not_open());
        }
        // A program that has ended already has no state.
        let Ok(status) = procfs::status::parse(&self.read_state()) else {
            return Ok(());
        };
        if status.seccomp_filters >= expected {
            return Ok(());
        }
        let wrong = format!(
            "the program was killed: its Seccomp_filters is {}; the plan requires {expected}",
            status.seccomp_filters
        );
        Err(Error::new(ErrorKind::Safety, wrong))
    }

    /// Waits until the child is ready, is the program, or has failed. If there is an explainer, the
    /// child waits for it, so the explainer must not have ended.
    pub(crate) fn wait_for_start(&mut self, explainer: Option<BorrowedFd<'_>>) -> Result<Start> {
        let mut record = [0; Failure::LENGTH];
        let mut filled = 0;
        let awaited = [
            AwaitedEvent::Report,
            AwaitedEvent::Child,
            AwaitedEvent::Explainer,
        ];
        let mut next = Instant::now() + REPORT;
        while let Some(rest) = record.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let Ok(limit) = remaining(next) else {
                // Another process that holds an end of the report keeps it open.
                if self.has_executed()? {
                    break;
                }
                next = Instant::now() + REPORT;
                continue;
            };
            match self.wait(&awaited, explainer, Some(limit))? {
                WakeReason::Event(AwaitedEvent::Report) => match self.read_report(rest)? {
                    0 => break,
                    read => filled += read,
                },
                // It ended, and another process holds an end of the report.
                WakeReason::Event(AwaitedEvent::Child) => break,
                WakeReason::Event(AwaitedEvent::Explainer) => {
                    return Err(Error::new(
                        ErrorKind::System,
                        "the explainer ended before the program was started",
                    ));
                }
                WakeReason::Signal => {
                    if let Some(signal) = self.signal_before_start()? {
                        return Ok(Start::Interrupted(signal));
                    }
                }
                WakeReason::Lines | WakeReason::Time => {}
            }
        }
        match filled {
            0 if self.has_executed()? => {
                self.starting = None;
                Ok(Start::Executed)
            }
            Failure::LENGTH if record == Failure::READY => Ok(Start::Ready),
            Failure::LENGTH => Ok(Failure::from_bytes(record).map_or(Start::Ended, Start::Failed)),
            _ => Ok(Start::Ended),
        }
    }

    /// The number of bytes read from the child's report; 0: the report ends here.
    fn read_report(&self, into: &mut [u8]) -> Result<usize> {
        let Some(starting) = &self.starting else {
            return Ok(0);
        };
        // Descriptors that arrive with it are unexpected, and are closed.
        match starting.report.take(into, &mut Vec::new()) {
            Ok(read) => Ok(read),
            Err(Errno::EAGAIN) => {
                let wrong = "another process took the report of the child";
                Err(Error::new(ErrorKind::Safety, wrong))
            }
            Err(errno) => Err(system("cannot read the report of the child", errno)),
        }
    }

    /// The received signal that ends the helper, if there is one.
    fn signal_before_start(&mut self) -> Result<Option<i32>> {
        let Some(received) = self.receive()? else {
            return Ok(None);
        };
        if received.stops() {
            stop_by(received.number)?;
        }
        Ok(received.ends_before_start().then_some(received.number))
    }

    /// The report ends both at execve and at death; the flag PF_FORKNOEXEC distinguishes the two,
    /// on a zombie too.
    fn has_executed(&self) -> Result<bool> {
        let Some(starting) = &self.starting else {
            return Ok(true);
        };
        let mut buffer = [0; 4096];
        let stat = starting.stat.as_ref().ok_or_else(not_open)?;
        let read = nix::sys::uio::pread(stat, &mut buffer, 0)
            .map_err(|errno| system("cannot read the state of the child in /proc", errno))?;
        let text = buffer.get(..read).unwrap_or_default();
        let stat = stat::parse(text).map_err(|fault| {
            Error::new(
                ErrorKind::System,
                format!("the state of the child: {fault}"),
            )
        })?;
        Ok(!stat.is_forked_without_exec())
    }
}
