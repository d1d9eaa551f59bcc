//! Protocol A where a runtime reads initConfig itself: joins, reports the pid of
//! a sibling, and ends; the sibling is the runtime's.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::{Callers, Options, ceiling};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Selection, TargetId};
use crate::stage::cannot_clone::cannot_clone;
use crate::stage::clean;
use crate::stage::join::{self, Inside};
use crate::stage::own_namespaces::OwnNamespaces;
use crate::stage::protocol_a::{InitPipe, open_console, start_session, wait_until_ready};
use crate::stage::verifier::expected::Expected;
use crate::stage::verifier::{Outside, Verifier};
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::pidfd;
use crate::sys::process::exit_now;
use crate::target::{Memberships, Procfs, Target, cgroup};
use crate::wire::env::ProtocolA;
use crate::wire::generic_error;

/// Returns in the sibling alone.
///
/// # Errors
/// Whatever kept the pid from being reported; there is no sibling then.
pub(super) fn enter(asked: &ProtocolA, options: Options) -> Result<()> {
    let callers = Callers::remember()?;
    let pipe = InitPipe::take(asked.pipe)?;
    let console = asked.console.as_ref().map(open_console).transpose()?;
    let procfs = Procfs::open()?;
    clean::assert_single_thread(&procfs)?;
    let id = TargetId {
        pid: asked.pid,
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
        move |errno: nix::errno::Errno| Error::new(ErrorKind::System, what).because(errno)
    };
    let pipe_failed = system("a pipe cannot be made");
    let (ready, ready_end) = pipe2(OFlag::O_CLOEXEC).map_err(pipe_failed)?;
    let (leave_end, leave) = pipe2(OFlag::O_CLOEXEC).map_err(pipe_failed)?;
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
            // The runtime's own code may change what is compared.
            let mut byte = [0];
            if nix::unistd::read(&leave_end, &mut byte) != Ok(1) {
                exit_now(1);
            }
            drop(leave_end);
            callers.put_back(None)
        }
        Side::Parent { child, pidfd } => {
            drop((ready_end, leave_end));
            let ready = wait_until_ready(&ready);
            let verified = ready.and_then(|()| verifier.verify(child, &expected));
            let reported = verified.and_then(|()| {
                let line = generic_error::pid_line(child);
                pipe.write(&line)
                    .and_then(|()| nix::unistd::write(&leave, &[1]))
                    .map_err(system("the pid cannot be reported"))
            });
            match reported {
                Ok(_) => exit_now(0),
                Err(error) => {
                    let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
                    Err(error)
                }
            }
        }
    }
}
