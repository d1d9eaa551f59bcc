//! Protocol A: libcontainer starts the helper, which joins, reports the pid of a sibling, and ends;
//! the sibling reads initConfig and becomes the program.
//!
//! initConfig arrives after the joins. So a process under the ceiling parses it, which can do no
//! harm yet.

mod child;
mod console;
mod image;
mod init_pipe;
mod ready;

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::SockType;

use super::own_files;
use super::signals::Signals;
use super::verifier::expected::{Expected, Place};
use super::waits::{End, WaitError, WaitResult};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::prepare::cannot_clone::cannot_clone;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::pidfd;
use crate::sys::signal::{self, CallersSignals};
use crate::target::Procfs;
use crate::target::directory::ProgramRoot;
use crate::target::procfs_root::read_all;
use crate::wire::generic_error;
use child::Child;
pub(crate) use console::{open_console, start_session};
pub(crate) use init_pipe::InitPipe;
use init_pipe::PID;
pub(crate) use ready::wait_until_ready;

/// Joins, clones, reports the pid. Returns in the helper only.
///
/// # Errors
/// The reason why the pid could not be reported; there is no child then.
pub(crate) fn run(
    mut plan: Plan,
    pipe: InitPipe,
    console: Option<OwnedFd>,
    handed_over: u32,
) -> Result<()> {
    let caller = plan.signals.take().map_or_else(CallersSignals::take, Ok);
    let caller = caller.context("the signals cannot be blocked")?;
    let oom_score_adj = own_oom_score_adj(&plan.procfs)?;
    let joined = plan.join(true)?;
    let (verifier_files, child_files) = own_files::pair()?;
    let confined = joined.confine()?;
    let verifier = confined.verifier;
    verifier.send_files_on(verifier_files)?;
    let has_power_over_callers_network = confined.unjoined.has_power_over_callers_network;
    let process = confined.unjoined.policy.process;
    let expected = expected(
        &confined.opened.root,
        process.no_new_privs,
        confined.filters,
    )?;
    caller.block().context("the signals cannot be blocked")?;
    let (ready, ready_end) =
        End::pair(SockType::Stream).context("a pair of sockets cannot be made")?;
    let (child, pidfd) = match clone(Parentage::Sibling).map_err(cannot_clone)? {
        Side::Child => {
            drop((ready, verifier));
            let child = Child {
                child_files,
                root: confined.opened.root,
                accounts: confined.opened.accounts,
                process,
                workload: confined.workload,
                ceiling_refuses_32_bit: confined.refuses_32_bit,
                oom_score_adj,
                has_power_over_callers_network,
                signals: caller,
                // The pipe comes right after the passed files.
                handed_over: handed_over.min(pipe.before),
            };
            child.run(pipe, console, ready_end)
        }
        Side::Parent { child, pidfd } => (child, pidfd),
    };
    drop((ready_end, child_files));
    let report = || -> WaitResult<()> {
        let signals = Signals::open().context(PID)?;
        wait_until_ready(&ready, &signals)?;
        verifier.verify(child, &expected, &signals)?;
        pipe.write(&generic_error::pid_line(child), &signals)
    };
    let reported = report();
    if reported.is_err() {
        let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
        let _ = caller.obey();
    }
    reported.or_else(end_with)
}

/// The error; a signal ends this process.
fn end_with(error: WaitError) -> Result<()> {
    match error {
        WaitError::Failed(error) => Err(error),
        WaitError::Signal(signal) => {
            signal::die_of(signal);
            let wrong = format!("{PID}: signal {signal}");
            Err(Error::new(ErrorKind::System, wrong))
        }
    }
}

/// The state that the child must have before its pid is reported.
fn expected(root: &ProgramRoot, no_new_privs: bool, filters: u32) -> Result<Expected> {
    let root = root.directory().map(Place::of).transpose()?;
    Ok(Expected {
        root_mount: root.map(Place::mount),
        ..Expected::confined(no_new_privs, filters)
    })
}

fn own_oom_score_adj(procfs: &Procfs) -> Result<Vec<u8>> {
    let name = "/proc/self/oom_score_adj";
    let file = procfs
        .open_file(c"self/oom_score_adj")
        .context("/proc/self/oom_score_adj cannot be opened")?;
    read_all(file, 16, &name)
}
