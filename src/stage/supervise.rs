//! Step 7: the parent of the program, with the minimum of rights: to wait, to forward signals and
//! to report.
//!
//! Every wait also reads signals, so SIGTERM, SIGINT and SIGHUP end the parent regardless of the
//! program, the target and the reader of the status lines.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use serde_json::Value;

use super::failure::Failure;
use super::signals::{Received, Session, SignalAction, Signals};
use super::verifier::ChildFiles;
use super::waits::End;
use crate::ended::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::Domain;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::prepare::status::{self, StatusLines};
use crate::procfs;
use crate::procfs::pending::{self, Taking};
use crate::procfs::stat;
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::descriptor;
use crate::sys::signal::CallersSignals;
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{pidfd, process, seccomp, signal};

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

/// How often the helper checks whether the program takes a forwarded signal, and the time between
/// two checks. A program in an uninterruptible wait never takes it.
const MAX_CHECKS: u8 = 3;
const CHECK_INTERVAL: TimeSpec = TimeSpec::from_duration(Duration::from_millis(150));
/// How long the helper waits for each of the others (the child, the reader of its lines, the
/// explainer) once a signal requests its end. Together with the checks of the program this is less
/// than a second.
const LAST: TimeSpec = TimeSpec::from_duration(Duration::from_millis(100));
/// How long the helper waits for the child's report before it reads the child's state itself.
const REPORT: TimeSpec = TimeSpec::from_duration(Duration::from_millis(100));
/// How long the helper leaves an ended program to its tracer.
const TRACED: TimeSpec = TimeSpec::from_duration(Duration::from_millis(50));

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

/// The awaited event, besides signals and room for status lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AwaitedEvent {
    /// The child's report, or its end.
    Report,
    /// The child's end.
    Child,
    /// The explainer's end.
    Explainer,
}

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WakeReason {
    Event(AwaitedEvent),
    /// A signal can be read.
    Signal,
    /// Lines were written.
    Lines,
    /// The time is over.
    Time,
}

impl Supervisor {
    /// Signals are blocked already; the supervisor reads them from here on.
    pub(crate) fn new(
        (child, pidfd): (Pid, OwnedFd),
        report: End,
        (session, caller): (Session, CallersSignals),
        lines: Option<StatusLines>,
    ) -> Result<Self> {
        let signals = Signals::open().map_err(|errno| system("signalfd", errno))?;
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

    /// Gives up every right that waiting does not need: every capability but CAP_KILL, the file
    /// system, TCP, abstract sockets, all but a few system calls, and every descriptor but its own,
    /// `others` and standard error.
    pub(crate) fn lock_down(
        &self,
        domain: Option<Domain>,
        filter: &Program,
        others: &[RawFd],
    ) -> Result<()> {
        let failed = |layer: &'static str| {
            move |errno: Errno| {
                let wrong = format!("the helper's own {layer} cannot be put in force");
                Error::new(ErrorKind::LockDown, wrong).with_source(errno)
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
            drop(domain);
        }
        self.close_all_but(others).map_err(failed("descriptors"))?;
        seccomp::load(filter).map_err(failed("seccomp filter"))
    }

    /// The caller's descriptors belong to the program alone: once it closes a pipe, the reader
    /// must see the end. No value of this process owns one of the closed descriptors.
    fn close_all_but(&self, others: &[RawFd]) -> std::result::Result<(), Errno> {
        let mut kept = vec![2, self.pidfd.as_raw_fd()];
        kept.extend(self.state.iter().map(AsRawFd::as_raw_fd));
        kept.push(self.signals.as_fd().as_raw_fd());
        kept.extend(self.lines.iter().map(|lines| lines.as_fd().as_raw_fd()));
        if let Some(starting) = &self.starting {
            kept.push(starting.report.number());
            kept.extend(starting.stat.iter().map(AsRawFd::as_raw_fd));
        }
        kept.extend(others);
        descriptor::close_all_but(&kept)
    }

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
            "the program was killed: its Seccomp_filters is {}, where the plan says {expected}",
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
        while let Some(rest) = record.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.wait(&awaited, explainer, Some(REPORT))? {
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
                // Another process that holds an end of the report keeps it open.
                WakeReason::Time if self.has_executed()? => break,
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
            Err(errno) => Err(system("the report of the child", errno)),
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

    /// Reports that the program runs.
    pub(crate) fn report_start(&mut self, layers: &Value) {
        let line = status::started(self.child, layers, &self.read_state());
        self.lines.iter_mut().for_each(|lines| lines.push(&line));
    }

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
                    passed = match passed {
                        None => None,
                        Some((signal, left)) => match self.taking(signal) {
                            Taking::Soon => Some((signal, left)),
                            // The program itself blocks it: that is its decision.
                            Taking::Blocked if !self.caller.blocks(signal) => None,
                            Taking::Taken => None,
                            Taking::Blocked | Taking::Stuck if left > 1 => Some((signal, left - 1)),
                            Taking::Blocked | Taking::Stuck => {
                                return Ok(Ended::Interrupted(signal));
                            }
                        },
                    };
                }
                WakeReason::Lines => {}
            }
        }
    }

    /// Writes the last status line, and the waiting ones before it. A reader that does not read
    /// delays the helper's end until a signal arrives.
    pub(crate) fn report_end(&mut self, ended: Ended, program: &str) -> Result<()> {
        let line = status::ended(ended, program);
        self.lines.iter_mut().for_each(|lines| lines.push(&line));
        self.end_requested |= matches!(ended, Ended::Interrupted(_));
        while self.lines.as_ref().is_some_and(StatusLines::wait) {
            match self.wait(&[], None, self.end_requested.then_some(LAST))? {
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
        loop {
            let time = self.end_requested.then_some(LAST);
            match self.wait(&[AwaitedEvent::Explainer], Some(end), time)? {
                WakeReason::Signal => {
                    self.receive()?;
                }
                WakeReason::Event(_) | WakeReason::Time => return Ok(()),
                WakeReason::Lines => {}
            }
        }
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
        let _ = ppoll(&mut fds, Some(LAST), None);
        let _ = change(self.child, WaitMode::NoHang);
    }

    /// Waits for one of these, for a signal, and for room for the status lines. `other` is the
    /// explainer's descriptor.
    fn wait(
        &mut self,
        awaited: &[AwaitedEvent],
        other: Option<BorrowedFd<'_>>,
        time: Option<TimeSpec>,
    ) -> Result<WakeReason> {
        let report = self.starting.as_ref();
        let report = report.map(|starting| starting.report.readable());
        let mut fds = Vec::with_capacity(5);
        let mut woken = Vec::with_capacity(5);
        for one in awaited {
            let fd = match one {
                AwaitedEvent::Report => report.clone(),
                AwaitedEvent::Child => Some(PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)),
                // Only its hang-up counts.
                AwaitedEvent::Explainer => other.map(|end| PollFd::new(end, PollFlags::empty())),
            };
            if let Some(fd) = fd {
                fds.push(fd);
                woken.push(WakeReason::Event(*one));
            }
        }
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        woken.push(WakeReason::Signal);
        if let Some(lines) = self.lines.as_ref().filter(|lines| lines.wait()) {
            fds.push(PollFd::new(lines.as_fd(), PollFlags::POLLOUT));
            woken.push(WakeReason::Lines);
        }
        let ready = match ppoll(&mut fds, time, None) {
            Ok(0) => Some(WakeReason::Time),
            Ok(_) => {
                let ready = fds
                    .iter()
                    .zip(woken)
                    .find(|(fd, _)| fd.any() != Some(false));
                ready.map(|(_, woken)| woken)
            }
            Err(Errno::EINTR) => None,
            Err(errno) => return Err(system("poll", errno)),
        };
        if ready == Some(WakeReason::Lines) {
            self.lines.iter_mut().for_each(StatusLines::write_some);
        }
        Ok(ready.unwrap_or(WakeReason::Lines))
    }

    fn receive(&mut self) -> Result<Option<Received>> {
        let received = self.signals.next();
        let received = received.map_err(|errno| system("reading signals", errno))?;
        self.end_requested |= received.is_some_and(Received::requests_end);
        Ok(received)
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
            Err(errno) => Err(system("waiting for the program", errno)),
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
            Err(errno) => Err(system("passing a signal on", errno)),
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

/// Stops the helper.
fn stop_by(number: i32) -> Result<()> {
    signal::stop_by(number).map_err(|errno| system("stopping", errno))
}

fn system(what: &'static str, errno: Errno) -> Error {
    Error::new(ErrorKind::System, what).with_source(errno)
}

fn not_open() -> Error {
    Error::new(ErrorKind::System, "the state of the child is not open")
}
