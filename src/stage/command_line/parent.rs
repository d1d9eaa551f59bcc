//! Both sides of the clone: the child becomes the program, and the helper supervises it.

use std::os::fd::AsFd;

use nix::sys::socket::SockType;

use crate::ended::Ended;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::exit_status;
use crate::landlock::ruleset::Domain;
use crate::prepare::cannot_clone::cannot_clone;
use crate::prepare::filters;
use crate::prepare::status::StatusLines;
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::stage::exec::{Image, ParentConnection, Release};
use crate::stage::explain::Explainer;
use crate::stage::failure::{Failure, Step};
use crate::stage::signals::Session;
use crate::stage::supervise::{Start, Supervisor};
use crate::stage::verifier::Verifier;
use crate::stage::verifier::expected::Expected;
use crate::stage::waits::{End, WaitError, WaitResult};
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::process::{self, exit_now};
use crate::sys::signal::CallersSignals;
use crate::sys::terminal;

/// The helper's part of an exec, from the clone on.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) verifier: Verifier,
    /// The state that the child must have before it is released.
    pub(super) expected: Expected,
    pub(super) supervisor: Option<Domain>,
    /// The layers, as the status lines report them.
    pub(super) status: Option<serde_json::Value>,
    pub(super) signals: CallersSignals,
    pub(super) session: Session,
    pub(super) explainer: Option<Explainer>,
    /// The working directory that was requested, for messages.
    pub(super) directory: Option<String>,
}

impl Parent {
    /// Clones the child, and waits for the end of the program.
    pub(super) fn start(
        mut self,
        image: Image,
        program: &str,
        lines: &mut Option<StatusLines>,
    ) -> Result<Ended> {
        let pair = || End::pair(SockType::Stream).context("a pair of sockets cannot be made");
        let (report, report_end) = pair()?;
        let (release, release_end) = pair()?;
        let filter = filters::supervisor()?;
        // The helper reads its signals from here on: the child must not outlive its parent.
        self.signals
            .block()
            .context("the signals cannot be blocked")?;
        let (child, pidfd) = match clone(Parentage::Own).map_err(cannot_clone)? {
            Side::Child => {
                let session = self.session;
                // The child must keep none of the parent's descriptors.
                drop((report, release, self, lines.take()));
                let parent = ParentConnection {
                    report: report_end,
                    release: Release::Parent(release_end),
                };
                become_program(&image, &parent, session)
            }
            Side::Parent { child, pidfd } => (child, pidfd),
        };
        let last_filters = image.last_filters();
        drop((release_end, image));
        // An open copy in this process would keep the child's report from ending.
        nix::unistd::close(report_end).context("the child's end of its report cannot be closed")?;
        let sockets = (self.session, self.signals);
        let mut supervisor = Supervisor::new((child, pidfd), report, sockets, lines.take())?;
        let explainer = self.explainer.take();
        let supervised = Supervised {
            child,
            release,
            explainer: explainer.as_ref(),
            last_filters,
            program,
        };
        let ended = match self.supervise(&mut supervisor, supervised, &filter) {
            Ok(ended) => Ok(ended),
            Err(WaitError::Signal(signal)) => Ok(Ended::Interrupted(signal)),
            Err(WaitError::Failed(error)) => Err(error),
        };
        if matches!(ended, Err(_) | Ok(Ended::Interrupted(_))) {
            supervisor.kill();
        }
        // The status is known: no failure from here on may lose it.
        if let Ok(ended) = ended {
            let _ = supervisor.report_end(ended, program);
        }
        if let Some(explainer) = explainer {
            let _ = supervisor.wait_for_explainer(explainer.finish().as_fd());
        }
        *lines = supervisor.into_lines();
        ended
    }

    /// From the clone to the end of the program.
    fn supervise(
        self,
        supervisor: &mut Supervisor,
        supervised: Supervised<'_>,
        filter: &Program,
    ) -> WaitResult<Ended> {
        let Supervised {
            child,
            release,
            explainer,
            last_filters,
            program,
        } = supervised;
        let verifier = self.verifier;
        let not_started = |start| not_started(start, program, self.directory.as_deref());
        let filters = verifier.filters_before() + self.expected.filters + last_filters;
        supervisor.watch(verifier.open(child, supervisor.signals())?);
        verifier.move_to_cgroups(child, supervisor.signals())?;
        let mut others = vec![release.number(), verifier.number()];
        others.extend(explainer.iter().flat_map(|e| e.numbers()));
        supervisor.lock_down(self.supervisor, filter, &others)?;
        match supervisor.wait_for_start(explainer.map(Explainer::end))? {
            Start::Ready => {}
            other => return Ok(not_started(other)?),
        }
        verifier.verify(child, &self.expected, supervisor.signals())?;
        drop(verifier);
        if let Some(explainer) = explainer {
            explainer.watch(child)?;
        }
        release
            .send(&[1])
            .context("the program's process cannot be reached")?;
        match supervisor.wait_for_start(explainer.map(Explainer::end))? {
            Start::Executed => {}
            other => return Ok(not_started(other)?),
        }
        drop(release);
        supervisor.verify_filters(filters)?;
        if let Some(layers) = &self.status {
            supervisor.report_start(layers);
        }
        Ok(supervisor.wait_for_end()?)
    }
}

/// The child, and what the helper needs for it.
struct Supervised<'a> {
    child: Pid,
    /// The child continues once a byte is sent here.
    release: End,
    explainer: Option<&'a Explainer>,
    /// The number of filters that the child loads after the comparison.
    last_filters: u32,
    /// The name of the program, for messages.
    program: &'a str,
}

/// The child did not become the program, or a signal ended the helper before.
fn not_started(start: Start, program: &str, directory: Option<&str>) -> Result<Ended> {
    match start {
        Start::Failed(failure) => Err(failure.into_error_in(program, directory)),
        Start::Interrupted(signal) => Ok(Ended::Interrupted(signal)),
        Start::Ended | Start::Ready | Start::Executed => {
            let wrong = format!("{program}: the process ended before it executed the program");
            Err(Error::new(ErrorKind::System, wrong))
        }
    }
}

/// The child becomes the program.
fn become_program(image: &Image, parent: &ParentConnection, session: Session) -> ! {
    let failure = match begin(session) {
        Ok(()) => image.become_program(parent),
        Err(failure) => failure,
    };
    let _ = nix::unistd::write(&parent.report, &failure.to_bytes());
    exit_now(exit_status::HELPER_FAILED)
}

fn begin(session: Session) -> std::result::Result<(), Failure> {
    // A change of credentials clears it: `Image` sets it again.
    process::set_killed_with_parent().map_err(|e| Failure::new(Step::DeathSignal, e))?;
    if session == Session::Own {
        terminal::new_session().map_err(|e| Failure::new(Step::Session, e))?;
    }
    Ok(())
}
