//! The point at which the child waits until its state has been compared with the plan.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::{Image, write_all};
use crate::error::Error;
use crate::request::Pid;
use crate::stage::failure::{Failure, Step};
use crate::stage::verifier::Verifier;
use crate::stage::verifier::expected::Expected;
use crate::stage::waits::Delivered;
use crate::sys::{process, seccomp};

/// The child's connections to its parent.
#[derive(Debug)]
pub(crate) struct ParentConnection {
    /// EOF, or failure records.
    pub(crate) report: OwnedFd,
    pub(crate) release: Release,
}

/// The process that releases the child once everything but the last filters is prepared.
#[derive(Debug)]
pub(crate) enum Release {
    /// The parent, after the verifier has checked the child: the child reports that it is ready.
    /// The descriptor is readable once the parent releases the child, and hung up when the parent
    /// ends.
    Parent(OwnedFd),
    /// There is no parent: this process itself sends the request to the verifier.
    Verifier(VerificationRequest),
    /// None: the helper has ended, and the child reads its own state back.
    Own,
}

/// A request to the verifier to check this process.
#[derive(Debug)]
pub(crate) struct VerificationRequest {
    pub(crate) verifier: Verifier,
    pub(crate) pid: Pid,
    pub(crate) expected: Expected,
    /// The reason for a refusal.
    pub(crate) refused: OnceCell<Error>,
}

impl Image {
    /// Runs after the last change of credentials, because such a change clears PDEATHSIG. The
    /// parent may have ended before that, so the child checks the parent's end of the pipe
    /// afterwards.
    pub(super) fn bind_to_parent(&self, parent: &ParentConnection) -> Result<(), Failure> {
        if !self.attributes.dies_with_parent {
            return Ok(());
        }
        process::set_killed_with_parent().map_err(|e| Failure::new(Step::DeathSignal, e))?;
        match &parent.release {
            Release::Parent(release) if hung_up(release.as_fd()) => {
                Err(Failure::new(Step::Orphan, Errno::EPIPE))
            }
            _ => Ok(()),
        }
    }

    /// All externally visible state is in place: waits until the verifier has compared it with the
    /// plan.
    pub(super) fn wait_for_release(&self, parent: &ParentConnection) -> Result<(), Failure> {
        match &parent.release {
            Release::Parent(release) => {
                write_all(&parent.report, &Failure::READY)
                    .map_err(|e| Failure::new(Step::Release, e))?;
                let mut byte = [0];
                loop {
                    match nix::unistd::read(release, &mut byte) {
                        Ok(1) => return Ok(()),
                        Err(Errno::EINTR) => {}
                        // The parent ended: no process can receive a report.
                        _ => return Err(Failure::new(Step::Release, Errno::EPIPE)),
                    }
                }
            }
            Release::Verifier(asking) => asking
                .send()
                .map_err(|()| Failure::new(Step::Verify, Errno::EPERM))
                .and_then(|()| self.verify_loading()),
            Release::Own => self.read_back().and_then(|()| self.verify_loading()),
        }
    }

    /// For a child without a parent that counts its filters.
    fn verify_loading(&self) -> Result<(), Failure> {
        if self.layers.seccomp.is_empty() || seccomp::is_executed() {
            return Ok(());
        }
        Err(Failure::new(Step::Seccomp, Errno::EBADE))
    }
}

fn hung_up(fd: BorrowedFd<'_>) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [fd] = fds;
    polled.is_err()
        || fd
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

impl VerificationRequest {
    /// Sends the request, and waits for the verifier to end: it must not become the program's
    /// child. Meanwhile each signal has its default effect on this process.
    fn send(&self) -> Result<(), ()> {
        let answer = self
            .verifier
            .verify(self.pid, &self.expected, &Delivered(None));
        answer.map_err(|error| {
            let _ = self.refused.set(error.into_error());
        })
    }
}
