//! Protocol B: three stages; the runtime takes over the last one.
//!
//! | stage | file | task |
//! |---|---|---|
//! | setup | `message`, here | reads the message, opens every namespace to join |
//! | 0 | `parent` | writes ids and offsets for stage 1, compares stage 2's namespaces with the message, reports the pids, ends |
//! | 1 | `child` | joins, creates, ends |
//! | 2 | `init` | a session of its own, user and group 0; returns to the runtime |
//!
//! Stages 1 and 2 are the runtime's children (CLONE_PARENT), which reaps them.

mod channel;
mod child;
mod id_maps;
mod init;
mod message;
mod parent;

use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CpuSet, sched_getaffinity};

use super::log::{Log, print_fatal};
use super::{Callers, Options, ceiling};
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::{clean, own_file};
use crate::request::{NamespaceSource, Pid, Selection, TargetId};
use crate::stage::own_namespaces::OwnNamespaces;
use crate::stage::verifier::context::VerifierContext;
use crate::stage::verifier::expected::Expected;
use crate::stage::verifier::namespaces::{Namespaces, Of};
use crate::sys::clone::{Parentage, Side, clone};
use crate::target::{Memberships, Procfs, Target, cgroup};
use crate::wire::env_b::Environment;
use crate::wire::log_line::{BootstrapStage, Level};
use crate::wire::netlink::Bootstrap;
use channel::Channel;

/// Returns in stage 2 alone; the others end here.
pub(super) fn enter(environment: &Environment<'_>, options: Options) {
    let protocol =
        |fault: &dyn std::fmt::Display| Error::new(ErrorKind::Protocol, fault.to_string());
    let log = environment
        .log()
        .map_err(|fault| protocol(&fault))
        .and_then(Log::open);
    let mut log = match log {
        Ok(log) => log,
        Err(error) => {
            print_fatal(&error);
            crate::sys::process::exit_now(1)
        }
    };
    let prepared = environment
        .pipe()
        .map_err(|fault| protocol(&fault))
        .and_then(|pipe| match pipe {
            Some(pipe) => Prepared::new(pipe, options, &log),
            None => Err(Error::new(
                ErrorKind::Protocol,
                "_LIBCONTAINER_INITPIPE is not set: the message has no pipe",
            )),
        });
    let run = prepared.and_then(|prepared| prepared.run(&mut log));
    if let Err(error) = run {
        log.fatal(&error);
    }
}

/// Everything that the stages need, opened before the first clone.
#[derive(Debug)]
struct Prepared {
    pipe: OwnedFd,
    bootstrap: Bootstrap,
    memberships: Memberships,
    /// The pidfd of the process that all namespaces to join belong to.
    target: Option<OwnedFd>,
    procfs: Procfs,
    callers: Callers,
    options: Options,
}

impl Prepared {
    fn new(pipe: i32, options: Options, log: &Log) -> Result<Self> {
        let procfs = Procfs::open()?;
        if options.leading_nul {
            // The same as the nsexec.c of runc 1.1, whose Go code does not do it (CVE-2019-5736).
            own_file::protect_runtime(&procfs)?;
        }
        let callers = Callers::save()?;
        clean::assert_single_thread(&procfs)?;
        log.debug("=> nsexec container setup");
        log_affinity(log);
        let pipe = message::take(pipe)?;
        if options.leading_nul {
            message::send_leading_nul(&pipe)?;
        }
        let bootstrap = message::read(&pipe)?;
        if let Some(score) = bootstrap.oom_score_adj {
            let text = score.to_string();
            log.line(
                Level::Debug,
                format_args!("update /proc/self/oom_score_adj to '{text}'"),
            );
            procfs
                .write(c"self/oom_score_adj", text.as_bytes())
                .map_err(|errno| {
                    let wrong = "failed to update /proc/self/oom_score_adj";
                    Error::new(ErrorKind::System, wrong).with_source(errno)
                })?;
        }
        let (memberships, target) = open_namespaces(&bootstrap, &procfs)?;
        if !bootstrap.join.is_empty() {
            log.debug("set process as non-dumpable");
            clean::set_undumpable()?;
        }
        Ok(Self {
            pipe,
            bootstrap,
            memberships,
            target,
            procfs,
            callers,
            options,
        })
    }

    fn run(self, log: &mut Log) -> Result<()> {
        let system = |errno| Error::new(ErrorKind::System, "unable to clone").with_source(errno);
        let (child_side, child) = Channel::pair()?;
        let (init_side, init) = Channel::pair()?;
        let (memberships, created) = (&self.memberships, &self.bootstrap.create);
        let namespaces = Namespaces::new(memberships, created, Of::Child);
        // The runtime moves its processes into cgroups.
        let cgroups = cgroup::Decision::NotRequested;
        let context = VerifierContext::read(&self.procfs, memberships, namespaces, &cgroups)?;
        let expected = if self.options.ceiling {
            ceiling::expected()?
        } else {
            Expected::JOINED
        };
        log.enter(BootstrapStage::Parent);
        log.debug("~> nsexec stage-0");
        log.debug("spawn stage-1");
        match clone(Parentage::Sibling).map_err(system)? {
            Side::Parent { child: pid, pidfd } => {
                child.close();
                init.close();
                drop(self.target);
                parent::Parent {
                    pipe: self.pipe,
                    bootstrap: self.bootstrap,
                    procfs: self.procfs,
                    _memberships: self.memberships,
                    context,
                    expected,
                    child: child_side,
                    init: init_side,
                    stage1: (pid, pidfd),
                    mask: self.callers.mask,
                }
                .run(log)
            }
            Side::Child => {
                child_side.close();
                init_side.close();
                log.enter(BootstrapStage::Child);
                let own_namespaces =
                    OwnNamespaces::open(&self.procfs, &self.memberships, &self.bootstrap.create)?;
                drop((self.pipe, self.procfs));
                child::Child {
                    parent: child,
                    init,
                    bootstrap: self.bootstrap,
                    memberships: self.memberships,
                    target: self.target,
                    own_namespaces,
                    callers: self.callers,
                    ceiling: self.options.ceiling,
                }
                .run(log)
            }
        }
    }
}

/// The CPUs 0 to 63 that this process may run on, in the format of nsexec.c.
fn log_affinity(log: &Log) {
    let Ok(set) = sched_getaffinity(nix::unistd::Pid::from_raw(0)) else {
        return;
    };
    let of = |set: &CpuSet, cpu: usize| u64::from(set.is_set(cpu) == Ok(true)) << cpu;
    let cpus = (0..64).fold(0, |cpus, cpu| cpus | of(&set, cpu));
    log.line(Level::Debug, format_args!("affinity: {cpus:#x}"));
}

/// Opens the namespaces to join. If all belong to one process, opens them through one lookup of its
/// pid, so that they are not those of two processes that had the pid one after the other. Returns
/// its pidfd with them.
fn open_namespaces(
    bootstrap: &Bootstrap,
    procfs: &Procfs,
) -> Result<(Memberships, Option<OwnedFd>)> {
    let target = match one_process(bootstrap) {
        Some(pid) => Some(Target::pin(procfs, TargetId { pid, inode: None })?),
        None => None,
    };
    let source = |path: &std::ffi::CStr| match &target {
        Some(_) => NamespaceSource::Target,
        None => {
            use std::os::unix::ffi::OsStrExt as _;
            let path = std::ffi::OsStr::from_bytes(path.to_bytes());
            NamespaceSource::File(path.into())
        }
    };
    let named = bootstrap.join.iter();
    let named = named.map(|joined| (joined.namespace, source(&joined.path)));
    let selection = Selection::Only(named.collect());
    let memberships = Memberships::open(&selection, false, false, target.as_ref(), None, procfs)?;
    if let Some(target) = &target {
        target.still_there()?;
    }
    Ok((memberships, target.map(Target::into_pidfd)))
}

/// The process that the namespaces of all paths belong to, by its pid: `/proc/PID/ns/TYPE`, each of
/// its named type.
fn one_process(bootstrap: &Bootstrap) -> Option<Pid> {
    let pid = |joined: &crate::wire::ns_paths::NamespacePath| {
        let rest = joined.path.to_bytes().strip_prefix(b"/proc/")?;
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let (pid, rest) = rest.split_at_checked(end)?;
        let name = rest.strip_prefix(b"/ns/")?;
        if name != joined.namespace.name().as_bytes() {
            return None;
        }
        crate::procfs::decimal::decimal(pid).and_then(Pid::new)
    };
    let mut pids = bootstrap.join.iter().map(pid);
    let first = pids.next()??;
    pids.all(|pid| pid == Some(first)).then_some(first)
}

/// Kills the process by its pidfd, so a recycled pid does no harm.
fn kill(pidfd: &OwnedFd) {
    let _ = crate::sys::pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ns_paths;

    fn asking(paths: &str) -> Option<Pid> {
        let bootstrap = Bootstrap {
            join: ns_paths::parse(paths.as_bytes()).unwrap(),
            ..Bootstrap::default()
        };
        one_process(&bootstrap)
    }

    #[test]
    fn a_single_target_process_is_recognised_by_its_paths() {
        assert_eq!(asking("ipc:/proc/7/ns/ipc"), Pid::new(7));
        assert_eq!(asking("ipc:/proc/7/ns/ipc,mnt:/proc/7/ns/mnt"), Pid::new(7));
        for other in [
            "ipc:/proc/7/ns/ipc,mnt:/proc/8/ns/mnt",
            "ipc:/proc/7/ns/mnt",
            "ipc:/proc/7/ns/ipc,net:/run/netns/blue",
            "ipc:/proc/self/ns/ipc",
            "ipc:/proc/07/ns/ipc",
            "ipc:/proc/7/task/7/ns/ipc",
            "pid:/proc/7/ns/pid_for_children",
        ] {
            assert_eq!(asking(other), None, "{other}");
        }
    }
}
