//! A run of the program: its notifications and the audit records about it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::listener::{ExplainedChild, reports_end};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::explain::{Arguments, RefusalExplainer};
use crate::policy::manifest::LayerSet;
use crate::policy::resolved::{Layer, ResolvedPolicy};
use crate::seccomp::interpret::{Call, run_stacked};
use crate::seccomp::notify;
use crate::seccomp::program::Program;
use crate::stage::explain::audit_socket::AuditSocket;
use crate::stage::explain::notes::Notes;
use crate::sys::notify::{Answer, Notification, answer, receive};
use nsexec_kernel_text::audit::{self, Fact};

/// How long records may still arrive after the program's end, in milliseconds: a kernel thread
/// delivers them.
const LATE: u16 = 50;
/// How many requests of processes that outlive the program the explainer answers before it prints
/// the table. After that, the kernel returns ENOSYS to them.
const MAX_ROUNDS: u32 = 10_000;

/// The source of the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Listener,
    Control,
    Audit,
}

/// A run of the program.
pub(super) struct Run {
    explainer: RefusalExplainer,
    /// In the policy's order, oldest first.
    filters: Vec<Program>,
    /// The helper; the report leaves its own refusals out.
    own: u32,
    child: u32,
    /// Processes that were observed under the filters.
    known: BTreeSet<u32>,
    /// The layers that created each Landlock domain.
    domains: BTreeMap<u64, Option<LayerSet>>,
    /// Records of events that have not ended.
    events: BTreeMap<u64, Vec<Fact>>,
    pub(super) notes: Notes,
}

impl Run {
    pub(super) fn new(
        policy: &ResolvedPolicy,
        explainer: RefusalExplainer,
        watched: &ExplainedChild,
        notes: Notes,
    ) -> Self {
        Self {
            explainer,
            filters: programs(policy),
            own: watched.helper,
            known: BTreeSet::from([watched.child]),
            child: watched.child,
            domains: BTreeMap::new(),
            events: BTreeMap::new(),
            notes,
        }
    }

    pub(super) fn until_end(
        &mut self,
        control: &OwnedFd,
        listener: &OwnedFd,
        audit: Option<&AuditSocket>,
    ) -> Result<()> {
        let mut open = vec![Source::Listener, Source::Control];
        open.extend(audit.map(|_| Source::Audit));
        // Rounds after the program's end: its remaining descendants must not delay the report
        // forever.
        let mut left: Option<u32> = None;
        while left != Some(0) {
            let mut fds = Vec::with_capacity(open.len());
            for source in &open {
                let fd = match (source, audit) {
                    (Source::Audit, Some(audit)) => audit.as_fd(),
                    (Source::Control | Source::Audit, _) => control.as_fd(),
                    (Source::Listener, _) => listener.as_fd(),
                };
                fds.push(PollFd::new(fd, PollFlags::POLLIN));
            }
            let limit = match left {
                None => PollTimeout::NONE,
                Some(_) => PollTimeout::from(LATE),
            };
            match poll(&mut fds, limit) {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(failed(errno)),
            }
            left = left.map(|left| left - 1);
            let events = fds
                .iter()
                .map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            let ready: Vec<(Source, PollFlags)> = open.iter().copied().zip(events).collect();
            for (source, events) in ready {
                if events.is_empty() || self.serve(source, events, control, listener, audit)? {
                    continue;
                }
                // No process is left under the filter, or the helper waits.
                open.retain(|other| *other != source);
                if source == Source::Control {
                    left = Some(MAX_ROUNDS);
                }
            }
        }
        self.unfinished();
        Ok(())
    }

    /// Serves a source with an event; `false`: it has ended.
    fn serve(
        &mut self,
        source: Source,
        events: PollFlags,
        control: &OwnedFd,
        listener: &OwnedFd,
        audit: Option<&AuditSocket>,
    ) -> Result<bool> {
        if !events.contains(PollFlags::POLLIN) {
            return Ok(false);
        }
        match source {
            Source::Listener => {
                if let Some(call) = receive(listener.as_fd()).map_err(failed)? {
                    let decided = self.decide(&call);
                    answer(listener.as_fd(), call.id, decided).map_err(failed)?;
                }
                Ok(true)
            }
            Source::Audit => {
                audit.into_iter().for_each(|audit| self.records(audit));
                Ok(true)
            }
            // Messages of other senders are ignored.
            Source::Control => Ok(!reports_end(control, self.own).map_err(failed)?),
        }
    }

    /// Reports events without an end. If an audit rule `never,task` excludes tasks, no event has
    /// an end: each record is an event of its own, and the record of a domain follows those of
    /// its refusals.
    fn unfinished(&mut self) {
        let events = std::mem::take(&mut self.events);
        events.values().for_each(|facts| self.record_domains(facts));
        events.values().for_each(|facts| self.event(facts));
    }

    /// The result of the policy's own filters alone.
    fn decide(&mut self, report: &Notification) -> Answer {
        self.known.insert(report.pid);
        let filters: Vec<&Program> = self.filters.iter().collect();
        let arguments = report.call.arguments.map(Some);
        match run_stacked(&filters, &report.call) {
            Some(value) if notify::is_errno(value) => {
                self.refused(&report.call, &arguments);
                let errno = u16::try_from(value & 0xffff).unwrap_or(1);
                Answer::Errno(errno)
            }
            // SECCOMP_RET_ALLOW and SECCOMP_RET_LOG
            Some(0x7fff_0000 | 0x7ffc_0000) => Answer::Continue,
            // Unreachable: the filter sends no notification of a call that it kills or traps.
            _ => Answer::Errno(1),
        }
    }

    fn refused(&mut self, call: &Call, arguments: &Arguments) {
        match self.explainer.call(call, arguments) {
            Some(refusal) => self.notes.refused(refusal),
            None => self.notes.remark(&format!(
                "call {} was refused, and no rule of the policy explains it",
                call.number
            )),
        }
    }

    fn records(&mut self, audit: &AuditSocket) {
        let datagram = match audit.next() {
            Ok(Some(datagram)) => datagram,
            Ok(None) => return,
            Err(errno) => {
                let why = format!("audit records were lost: {}", errno.desc());
                self.notes.unknown("some refusals by Landlock", &why);
                self.notes
                    .unknown("some calls for which a filter killed the process", &why);
                return;
            }
        };
        let Ok(messages) = audit::messages(&datagram) else {
            self.notes
                .remark("a message of the kernel's audit system could not be parsed");
            return;
        };
        for message in messages {
            match audit::record(message.kind, message.payload) {
                Ok(Some(record)) if record.fact == Fact::End => {
                    if let Some(facts) = self.events.remove(&record.serial) {
                        self.event(&facts);
                    }
                }
                // A kill is an event of one record, without an end.
                Ok(Some(record)) if matches!(record.fact, Fact::Seccomp { .. }) => {
                    self.event(&[record.fact]);
                }
                Ok(Some(record)) => {
                    self.events
                        .entry(record.serial)
                        .or_default()
                        .push(record.fact);
                }
                Ok(None) => {}
                Err(fault) => self
                    .notes
                    .remark(&format!("an audit record could not be parsed: {fault}")),
            }
        }
    }

    /// Records the layers that created each reported domain.
    fn record_domains(&mut self, facts: &[Fact]) {
        for fact in facts {
            if let Fact::Domain { domain, pid, .. } = fact {
                let layer_set = match *pid {
                    pid if pid == self.own => Some(LayerSet::Ceiling),
                    pid if pid == self.child => Some(LayerSet::Workload),
                    _ => None,
                };
                self.domains.entry(*domain).or_insert(layer_set);
            }
        }
    }

    fn event(&mut self, facts: &[Fact]) {
        self.record_domains(facts);
        let called = facts.iter().find_map(|fact| match fact {
            Fact::Syscall { pid, number, .. } => Some((*pid, *number)),
            _ => None,
        });
        if called.is_some_and(|(pid, _)| pid == self.own) {
            return;
        }
        for fact in facts {
            match fact {
                Fact::Denied {
                    domain,
                    blockers,
                    object,
                } => {
                    let Some(Some(layer_set)) = self.domains.get(domain).copied() else {
                        continue;
                    };
                    let object = String::from_utf8_lossy(object);
                    for blocker in blockers {
                        let number = called.map(|(_, number)| number);
                        let refusal = self.explainer.access(layer_set, blocker, &object, number);
                        self.notes.refused(refusal);
                    }
                }
                // SECCOMP_RET_KILL_PROCESS, KILL_THREAD, TRAP
                Fact::Seccomp {
                    pid,
                    arch,
                    number,
                    action: 0x8000_0000 | 0 | 0x0003_0000,
                } if self.known.contains(pid) => {
                    let call = Call {
                        number: *number,
                        arch: *arch,
                        instruction_pointer: 0,
                        arguments: [0; 6],
                    };
                    self.refused(&call, &[None; 6]);
                }
                _ => {}
            }
        }
    }
}

fn programs(policy: &ResolvedPolicy) -> Vec<Program> {
    [&policy.ceiling.seccomp, &policy.workload.seccomp]
        .into_iter()
        .filter_map(Layer::enforced)
        .cloned()
        .collect()
}

fn failed(errno: Errno) -> Error {
    let wrong = "the notifications of the program's filter cannot be read";
    Error::new(ErrorKind::System, wrong).with_source(errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::policy_origin::Origin;

    #[test]
    fn a_refusal_before_the_record_of_its_domain_is_reported() {
        let policy = nsexec_shipped_policies::builtin("strict").unwrap().unwrap();
        let origin = Origin::Ships("strict".to_owned());
        let refused = Fact::Denied {
            domain: 7,
            blockers: vec!["fs.make_reg".to_owned()],
            object: b"/etc".to_vec(),
        };
        let made = Fact::Domain {
            domain: 7,
            pid: 22,
            exe: b"/usr/bin/nsexec".to_vec(),
        };
        let mut run = Run {
            explainer: origin.explainer(&policy).unwrap(),
            filters: Vec::new(),
            own: 21,
            child: 22,
            known: BTreeSet::new(),
            domains: BTreeMap::new(),
            events: BTreeMap::from([(1, vec![refused]), (2, vec![made])]),
            notes: Notes::new(),
        };
        run.unfinished();
        let report = run.notes.table("strict");
        assert!(report.contains("fs.make_reg /etc"), "{report}");
    }
}
