//! One wait of the helper: for the child, a signal, or room for the status lines.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::{Supervisor, system};
use crate::error::Result;
use crate::prepare::status::StatusLines;
use crate::stage::signals::Received;

/// The awaited event, besides signals and room for status lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedEvent {
    /// The child's report, or its end.
    Report,
    /// The child's end.
    Child,
    /// The explainer's end.
    Explainer,
}

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WakeReason {
    Event(AwaitedEvent),
    /// A signal can be read.
    Signal,
    /// Lines were written.
    Lines,
    /// The time is over.
    Time,
}

impl Supervisor {
    /// Waits for one of these, for a signal, and for room for the status lines. `other` is the
    /// explainer's descriptor.
    pub(super) fn wait(
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
            Err(errno) => return Err(system("cannot wait for the program: poll", errno)),
        };
        if ready == Some(WakeReason::Lines) {
            self.lines.iter_mut().for_each(StatusLines::write_some);
        }
        Ok(ready.unwrap_or(WakeReason::Lines))
    }

    pub(super) fn receive(&mut self) -> Result<Option<Received>> {
        let received = self.signals.next();
        let received = received.map_err(|errno| {
            system(
                "cannot read the signals of the helper from its signalfd",
                errno,
            )
        })?;
        self.end_requested |= received.is_some_and(Received::requests_end);
        Ok(received)
    }
}
