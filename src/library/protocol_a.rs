//! Protocol A where a runtime reads initConfig itself: joins, reports the pid of
//! a sibling, and ends; the sibling is the runtime's.

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::{Callers, Options, ceiling};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Selection, TargetId};
use crate::stage::clean;
use crate::stage::join::{self, Inside};
use crate::stage::protocol_a::{InitPipe, open_console, start_session, wait_until_ready};
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::pidfd;
use crate::sys::process::exit_now;
use crate::target::{Memberships, Procfs, Target};
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
    drop(procfs);
    clean::set_undumpable()?;
    join::join(memberships.into_joins(), Some(target.pidfd()), Inside::Root)?;
    drop(target);
    if options.ceiling {
        ceiling::enforce()?;
    }
    let system = |what: &'static str| {
        move |errno: nix::errno::Errno| Error::new(ErrorKind::System, what).because(errno)
    };
    let (ready, ready_end) = pipe2(OFlag::O_CLOEXEC).map_err(system("a pipe"))?;
    match clone(Parentage::Sibling).map_err(system("clone"))? {
        Side::Child => {
            drop((ready, pipe));
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
            callers.put_back(None)
        }
        Side::Parent { child, pidfd } => {
            drop(ready_end);
            let reported = wait_until_ready(&ready).and_then(|()| {
                let line = generic_error::pid_line(child);
                pipe.write(&line)
                    .map_err(system("the pid cannot be reported"))
            });
            match reported {
                Ok(()) => exit_now(0),
                Err(error) => {
                    let _ = pidfd::send_signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
                    Err(error)
                }
            }
        }
    }
}
