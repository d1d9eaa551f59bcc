//! Stage 1: joins and creates the namespaces, and starts stage 2 in them.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::channel::{Channel, Message};
use super::init::Init;
use super::kill;
use crate::error::{Error, ErrorKind, Result};
use crate::library::log::Log;
use crate::library::{Callers, ceiling};
use crate::prepare::clean;
use crate::request::{Namespace, Pid};
use crate::stage::join::{self, Inside};
use crate::stage::own_namespaces::OwnNamespaces;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::credentials;
use crate::sys::process::{self, exit_now};
use crate::target::Memberships;
use crate::wire::clone_flags;
use crate::wire::log_line::{BootstrapStage, Level};
use crate::wire::netlink::Bootstrap;

#[derive(Debug)]
pub(super) struct Child {
    pub(super) parent: Channel,
    pub(super) init: Channel,
    pub(super) bootstrap: Bootstrap,
    pub(super) memberships: Memberships,
    /// The pidfd of the process that all of them belong to.
    pub(super) target: Option<OwnedFd>,
    pub(super) own_namespaces: OwnNamespaces,
    pub(super) callers: Callers,
    pub(super) ceiling: bool,
}

impl Child {
    /// Returns in stage 2 alone.
    pub(super) fn run(self, log: &mut Log) -> Result<()> {
        let _ = process::set_name(c"runc:[1:CHILD]");
        log.debug("~> nsexec stage-1");
        let joins = !self.bootstrap.join.is_empty();
        self.log_joins(log);
        let target = self.target.as_ref().map(OwnedFd::as_fd);
        join::join(self.memberships.into_joins(), target, Inside::User0)?;
        drop(self.target);
        create(&self.bootstrap, &self.parent, joins, log)?;
        self.own_namespaces.verify()?;
        if joins {
            clean::set_undumpable()?;
        }
        if self.ceiling {
            ceiling::enforce()?;
        }
        log.debug("spawn stage-2");
        match clone(Parentage::Sibling).map_err(system("unable to spawn stage-2"))? {
            Side::Parent { child, pidfd } => {
                self.init.close();
                report(&self.parent, child, &pidfd, log)
            }
            Side::Child => {
                self.parent.close();
                log.enter(BootstrapStage::Init);
                Init {
                    parent: self.init,
                    callers: self.callers,
                    bootstrap: self.bootstrap,
                }
                .run(log)
            }
        }
    }

    fn log_joins(&self, log: &mut Log) {
        for joined in &self.bootstrap.join {
            let flag = clone_flags::print(&BTreeSet::from([joined.namespace]));
            let (name, path) = (joined.namespace.name(), joined.path.to_string_lossy());
            log.line(
                Level::Debug,
                format_args!("setns({flag:#x}) into {name} namespace (with path {path})"),
            );
        }
    }
}

/// Creates the namespaces of the message, after the joins.
fn create(bootstrap: &Bootstrap, parent: &Channel, joins: bool, log: &mut Log) -> Result<()> {
    let mut rest = bootstrap.create.clone();
    if rest.remove(&Namespace::User) {
        log.debug("unshare user namespace");
        unshare_user()?;
        // If it were undumpable, stage 0 could not reach /proc/self.
        if joins {
            log.debug("temporarily set process as dumpable");
            set_dumpable()?;
        }
        log.debug("request stage-0 to map user namespace");
        parent.request(Message::MapIds, None)?;
        if joins {
            log.debug("re-set process as non-dumpable");
            clean::set_undumpable()?;
        }
        credentials::set_uid(0).map_err(system("failed to become root in user namespace"))?;
    }
    if !rest.is_empty() {
        log.debug("unshare remaining namespaces");
        unshare(flags(&rest)).map_err(system("failed to unshare remaining namespaces"))?;
    }
    if bootstrap.time_offsets.is_some() {
        log.debug("request stage-0 to write timens offsets");
        parent.request(Message::SetTimeOffsets, None)?;
    }
    Ok(())
}

/// Stage 1 reports stage 2, and ends.
fn report(parent: &Channel, stage2: Pid, pidfd: &OwnedFd, log: &mut Log) -> Result<()> {
    log.line(
        Level::Debug,
        format_args!("request stage-0 to forward stage-2 pid ({stage2})"),
    );
    let reported = parent
        .request(Message::Started(stage2), Some(pidfd))
        .and_then(|()| {
            log.debug("signal completion to stage-0");
            let sent = parent.send(Message::Finished, None);
            sent.map_err(system("cannot communicate with stage 0"))
        });
    match reported {
        Ok(()) => {
            log.debug("<~ nsexec stage-1");
            exit_now(0)
        }
        Err(error) => {
            kill(pidfd);
            Err(error)
        }
    }
}

/// Some kernels return EINVAL while another member of the thread group exits (nsexec.c tries five
/// times as well).
fn unshare_user() -> Result<()> {
    let mut left = 5;
    loop {
        match unshare(CloneFlags::CLONE_NEWUSER) {
            Err(Errno::EINVAL) if left > 1 => left -= 1,
            other => return other.map_err(system("failed to unshare user namespace")),
        }
    }
}

fn flags(namespaces: &BTreeSet<Namespace>) -> CloneFlags {
    CloneFlags::from_bits_retain(clone_flags::print(namespaces).cast_signed())
}

fn set_dumpable() -> Result<()> {
    process::restore_dumpable(1).map_err(system("stage 1 cannot be made dumpable for its id maps"))
}

fn system(wrong: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(ErrorKind::System, wrong).with_source(errno)
}
