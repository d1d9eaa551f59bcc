//! Step 7: the parent of the program, with the minimum of rights: to wait, to forward signals and
//! to report.
//!
//! Every wait also reads signals, so SIGTERM, SIGINT and SIGHUP end the parent regardless of the
//! program, the target and the reader of the status lines.

mod lock_down;
mod run;
mod start;
mod wait;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use serde_json::Value;

use super::signals::{Session, Signals};
use super::verifier::ChildFiles;
use super::waits::End;
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::status::{self, StatusLines};
use crate::request::Pid;
use crate::sys::signal::CallersSignals;
use crate::sys::wait::{WaitMode, change};
use crate::sys::{pidfd, signal};
pub(crate) use start::Start;
use wait::{AwaitedEvent, WakeReason};

/// How long the helper waits for each of the others (the child, the reader of its lines, the
/// explainer) once a signal requests its end. Together with the checks of the program this is less
/// than a second.
const LAST: Duration = Duration::from_millis(100);
/// The child, and the parent's connections to it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Pid,
    pidfd: OwnedFd,
    /// Present until the program runs.
    starting: Option<Starting>,
    /// /proc/CHILD/status, opened before the lock-down.
    state: Option<OwnedFd>,
    signals: Signals,
    session: Session,
    caller: CallersSignals,
    lines: Option<StatusLines>,
    /// A received signal requests an end.
    end_requested: bool,
}

/// The pipe on which the child reports whether it became the program.
#[derive(Debug)]
struct Starting {
    /// EOF or a failure record.
    report: End,
    /// /proc/CHILD/stat, opened before the lock-down.
    stat: Option<OwnedFd>,
}

impl Supervisor {
    /// Signals are blocked already; the supervisor reads them from here on.
    pub(crate) fn new(
        (child, pidfd): (Pid, OwnedFd),
        report: End,
        (session, caller): (Session, CallersSignals),
        lines: Option<StatusLines>,
    ) -> Result<Self> {
        let signals = Signals::open().map_err(|errno| system("cannot create a signalfd", errno))?;
        Ok(Self {
            child,
            pidfd,
            starting: Some(Starting { report, stat: None }),
            state: None,
            signals,
            session,
            caller,
            lines,
            end_requested: false,
        })
    }

    /// For requests to the verifier.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Takes the child's files, which show its state.
    pub(crate) fn watch(&mut self, files: ChildFiles) {
        self.state = Some(files.status);
        if let Some(starting) = &mut self.starting {
            starting.stat = Some(files.stat);
        }
    }

    /// Reports that the program runs.
    pub(crate) fn report_start(&mut self, layers: &Value) {
        let line = status::started(self.child, layers, &self.read_state());
        self.lines.iter_mut().for_each(|lines| lines.push(&line));
    }

    /// Writes the last status line, and the waiting ones before it. A reader that does not read
    /// delays the helper's end until a signal arrives.
    pub(crate) fn report_end(&mut self, ended: Ended, program: &str) -> Result<()> {
        let line = status::ended(ended, program);
        self.lines.iter_mut().for_each(|lines| lines.push(&line));
        self.end_requested |= matches!(ended, Ended::Interrupted(_));
        let mut last = None;
        while self.lines.as_ref().is_some_and(StatusLines::wait) {
            let Ok(limit) = self.limit(&mut last) else {
                break;
            };
            match self.wait(&[], None, limit)? {
                WakeReason::Signal => {
                    self.receive()?;
                }
                WakeReason::Time => break,
                WakeReason::Event(_) | WakeReason::Lines => {}
            }
        }
        Ok(())
    }

    /// Waits for the end of the explainer's pipe, or until a signal arrives.
    pub(crate) fn wait_for_explainer(&mut self, end: BorrowedFd<'_>) -> Result<()> {
        let mut last = None;
        loop {
            let Ok(limit) = self.limit(&mut last) else {
                return Ok(());
            };
            match self.wait(&[AwaitedEvent::Explainer], Some(end), limit)? {
                WakeReason::Signal => {
                    self.receive()?;
                }
                WakeReason::Event(_) | WakeReason::Time => return Ok(()),
                WakeReason::Lines => {}
            }
        }
    }

    /// The rest of [`LAST`], once a signal requests the end; signals that arrive meanwhile do not
    /// extend it.
    ///
    /// # Errors
    /// It has passed.
    fn limit(&self, last: &mut Option<Instant>) -> std::result::Result<Option<TimeSpec>, Passed> {
        if !self.end_requested {
            return Ok(None);
        }
        let last = last.get_or_insert_with(|| Instant::now() + LAST);
        remaining(*last).map(Some)
    }

    /// The lines, for the report of a failure.
    pub(crate) fn into_lines(self) -> Option<StatusLines> {
        self.lines
    }

    /// Ends the child permanently. A child in an uninterruptible wait keeps its pending SIGKILL,
    /// which ends it before it executes anything.
    pub(crate) fn kill(&self) {
        // ESRCH: it ended already.
        let _ = pidfd::send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        if self.starting.is_none() && self.session == Session::Own {
            let _ = signal::send_to_group(self.child, libc::SIGKILL);
        }
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(LAST)), None);
        let _ = change(self.child, WaitMode::NoHang);
    }

    /// /proc/CHILD/status; empty once the child was waited for.
    fn read_state(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        let Some(state) = &self.state else {
            return text;
        };
        while text.len() <= crate::procfs::status::MAX_BYTES {
            let offset = i64::try_from(text.len()).unwrap_or(i64::MAX);
            match nix::sys::uio::pread(state, &mut chunk, offset) {
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend(chunk.iter().take(read)),
            }
        }
        text
    }
}

/// A point in time has passed.
struct Passed;

/// The time until then.
fn remaining(until: Instant) -> std::result::Result<TimeSpec, Passed> {
    match until.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(TimeSpec::from_duration(left)),
        _ => Err(Passed),
    }
}

/// Stops the helper.
fn stop_by(number: i32) -> Result<()> {
    signal::stop_by(number).map_err(|errno| {
        system(
            "cannot stop the helper by the signal that stopped the program",
            errno,
        )
    })
}

fn system(what: &'static str, errno: Errno) -> Error {
    Error::new(ErrorKind::System, what).with_source(errno)
}

fn not_open() -> Error {
    Error::new(
        ErrorKind::System,
        "/proc/CHILD/stat is not open in the helper",
    )
}
