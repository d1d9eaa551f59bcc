//! Protocol A for a runtime that reads initConfig itself: joins, reports the pid of a sibling, and
//! ends; the sibling belongs to the runtime.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::SockType;

use super::{Callers, Options, ceiling};
use crate::error::{Context, Result};
use crate::exit_status::PROTOCOL_FAILED;
use crate::prepare::cannot_clone::cannot_clone;
use crate::prepare::clean;
use crate::request::{Selection, TargetId};
use crate::stage::join::Inside;
use crate::stage::joining::Joining;
use crate::stage::protocol_a::{InitPipe, open_console, start_session, wait_until_ready};
use crate::stage::verifier::expected::Expected;
use crate::stage::waits::{Delivered, End};
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::pidfd;
use crate::sys::process::exit_now;
use crate::target::{Memberships, Procfs, Target, cgroup};
use crate::wire::env::ProtocolA;
use crate::wire::generic_error;

/// Returns in the sibling alone.
///
/// # Errors
/// The reason why the pid could not be reported; there is no sibling then.
pub(super) fn enter(requested: &ProtocolA, options: Options) -> Result<()> {
    let callers = Callers::save()?;
    let pipe = InitPipe::take(requested.pipe)?;
    let console = requested.console.as_ref().map(open_console).transpose()?;
    let procfs = Procfs::open()?;
    clean::assert_single_thread(&procfs)?;
    clean::refuse_foreign_children(&procfs)?;
    let id = TargetId {
        pid: requested.pid,
        inode: None,
    };
    let target = Target::pin(&procfs, id)?;
    let selection = Selection::ProtocolA;
    let memberships = Memberships::open(&selection, false, false, Some(&target), None, &procfs)?;
    clean::set_undumpable()?;
    let cgroups = cgroup::Decision::NotRequested;
    let joining = Joining::start(procfs, memberships, Some(target), cgroups, false, false)?;
    let verifier = joining.join(Inside::Root)?;
    let expected = if options.ceiling {
        ceiling::enforce()?;
        ceiling::expected()?
    } else {
        Expected::JOINED
    };
    let pair = || End::pair(SockType::Stream).context("a pair of sockets cannot be made");
    let (ready, ready_end) = pair()?;
    let (release, release_end) = pair()?;
    match clone(Parentage::Sibling).map_err(cannot_clone)? {
        Side::Child => {
            drop((ready, pipe, verifier, release));
            start_sibling(console, ready_end, release_end);
            callers.restore(None)
        }
        Side::Parent { child, pidfd } => {
            drop((ready_end, release_end));
            // The runtime decides which signals end this process: its mask, its dispositions. The
            // sibling ends by itself then, because `release` is closed.
            let waits = Delivered(Some(callers.mask.set()));
            let reported = wait_until_ready(&ready, &waits)
                .and_then(|()| verifier.verify(child, &expected, &waits))
                .and_then(|()| pipe.write(&generic_error::pid_line(child), &waits))
                .and_then(|()| {
                    let released = release.send(&[1]);
                    Ok(released.context("the sibling cannot be reached")?)
                });
            match reported {
                Ok(()) => exit_now(0),
                Err(unmet) => {
                    let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
                    Err(unmet.into_error())
                }
            }
        }
    }
}

/// Starts the session of the sibling, and waits for its release. A failure ends the process.
fn start_sibling(console: Option<OwnedFd>, ready: OwnedFd, release: OwnedFd) {
    let started = start_session(console);
    let record = match &started {
        Ok(()) => [1].to_vec(),
        Err(failure) => failure.to_bytes().to_vec(),
    };
    let written = nix::unistd::write(&ready, &record);
    if started.is_err() || written != Ok(record.len()) {
        exit_now(PROTOCOL_FAILED);
    }
    drop(ready);
    // Waits until the verifier has compared this process: afterwards the runtime's own code may
    // change the compared state.
    let mut byte = [0];
    if nix::unistd::read(&release, &mut byte) != Ok(1) {
        exit_now(PROTOCOL_FAILED);
    }
}
