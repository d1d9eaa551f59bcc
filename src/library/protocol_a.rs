//! Protocol A for a runtime that reads initConfig itself: joins, reports the pid of a sibling, and
//! ends; the sibling belongs to the runtime.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use nix::sys::socket::SockType;

use super::{Callers, Options, ceiling};
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::cannot_clone::cannot_clone;
use crate::prepare::clean;
use crate::request::{Selection, TargetId};
use crate::stage::join::{self, Inside};
use crate::stage::own_namespaces::OwnNamespaces;
use crate::stage::protocol_a::{InitPipe, open_console, start_session, wait_until_ready};
use crate::stage::verifier::expected::Expected;
use crate::stage::verifier::{Outside, Verifier};
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
    let callers = Callers::remember()?;
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
    let memberships =
        Memberships::open(&Selection::ProtocolA, false, false, Some(&target), &procfs)?;
    target.still_there()?;
    clean::set_undumpable()?;
    let own_namespaces = OwnNamespaces::open(&procfs, &memberships, &BTreeSet::new())?;
    let verifier = Verifier::start(Outside {
        procfs,
        memberships: &memberships,
        cgroups: cgroup::Decision::NotRequested,
        no_fork: false,
        gift: None,
    })?;
    let target = target.into_pidfd();
    join::join(memberships.into_joins(), Some(target.as_fd()), Inside::Root)?;
    drop(target);
    own_namespaces.verify()?;
    let expected = if options.ceiling {
        ceiling::enforce()?;
        ceiling::expected()?
    } else {
        Expected::JOINED
    };
    let system = |what: &'static str| {
        move |errno: nix::errno::Errno| Error::new(ErrorKind::System, what).with_source(errno)
    };
    let pair = || End::pair(SockType::Stream).map_err(system("a pair of sockets"));
    let (ready, ready_end) = pair()?;
    let (leave, leave_end) = pair()?;
    match clone(Parentage::Sibling).map_err(cannot_clone)? {
        Side::Child => {
            drop((ready, pipe, verifier, leave));
            let started = start_session(console);
            let record = match &started {
                Ok(()) => [1].to_vec(),
                Err(failure) => failure.to_bytes().to_vec(),
            };
            let told = nix::unistd::write(&ready_end, &record);
            if started.is_err() || told != Ok(record.len()) {
                exit_now(1);
            }
            drop(ready_end);
            // The runtime's own code may change the compared state.
            let mut byte = [0];
            if nix::unistd::read(&leave_end, &mut byte) != Ok(1) {
                exit_now(1);
            }
            drop(leave_end);
            callers.put_back(None)
        }
        Side::Parent { child, pidfd } => {
            drop((ready_end, leave_end));
            // The runtime decides which signals end this process: its mask, its dispositions. The
            // sibling ends by itself then, because `leave` is closed.
            let waits = Delivered(Some(callers.mask.set()));
            let reported = wait_until_ready(&ready, &waits)
                .and_then(|()| verifier.verify(child, &expected, &waits))
                .and_then(|()| pipe.write(&generic_error::pid_line(child), &waits))
                .and_then(|()| {
                    let told = leave.send(&[1]);
                    Ok(told.map_err(system("the sibling cannot be reached"))?)
                });
            match reported {
                Ok(()) => exit_now(0),
                Err(error) => {
                    let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
                    Err(error.into_error())
                }
            }
        }
    }
}
