//! The rules that raise alerts.
//!
//! A rule uses facts of the kernel. Text that a process chooses itself, its name and its
//! arguments, only ever raises a suspicion and never lowers one.

use std::collections::{HashMap, VecDeque};

use nsexec_audit_abi::code::{Abi, Slot, Source, Syscall};

use crate::model::event::{Alert, Boundary, Class, NamespaceEvent, OutputEvent, Severity, Time};
use crate::model::process::ProcessId;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, on the command line and in JSON.
    pub name: &'static str,
    pub severity: Severity,
    /// Of MITRE ATT&CK for containers.
    pub mitre: &'static str,
    /// The meaning of its alert.
    pub about: &'static str,
}

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.into_iter().find(|rule| rule.name == name)
    }

    /// The alert that it raises.
    #[must_use]
    pub fn alert(&self, process: ProcessId, time: Time) -> Alert {
        Alert {
            time,
            rule: self.name.into(),
            severity: self.severity,
            mitre: self.mitre.into(),
            about: self.about.into(),
            exec_id: process,
            tgid: process.tgid,
        }
    }
}

const fn rule(
    name: &'static str,
    severity: Severity,
    mitre: &'static str,
    about: &'static str,
) -> Rule {
    Rule {
        name,
        severity,
        mitre,
        about,
    }
}

static JOIN_HOST: Rule = rule(
    "join-host",
    Severity::Critical,
    "T1611",
    "a process returned to a namespace of the host",
);
static PIDFD_INIT: Rule = rule(
    "pidfd-of-init",
    Severity::High,
    "T1611",
    "namespaces were joined through a pidfd of the host's first process",
);
static JOIN_CONTAINER: Rule = rule(
    "join-container",
    Severity::High,
    "T1611",
    "a process of one container joined namespaces of another one",
);
static COMPAT_CALL: Rule = rule(
    "compat-call",
    Severity::High,
    "T1562",
    "a 32-bit call on a 64-bit machine, which filters and probes often miss",
);
static UNSEEN: Rule = rule(
    "unseen-change",
    Severity::High,
    "T1562",
    "a task is in other namespaces than any probe observed",
);
static USER_AND_NET: Rule = rule(
    "user-and-net",
    Severity::Medium,
    "T1068",
    "an ordinary user made a user and a network namespace: the beginning of many exploits",
);
static NESTED: Rule = rule(
    "nested-user",
    Severity::Medium,
    "T1068",
    "a user namespace more than three deep",
);
static DENIED_THEN: Rule = rule(
    "denied-then-in",
    Severity::High,
    "T1611",
    "a join succeeded after five or more were refused within ten seconds",
);
static FALSE_NAME: Rule = rule(
    "false-name",
    Severity::Medium,
    "T1036",
    "a process is named nsexec, but its file is another one",
);
static TIME: Rule = rule(
    "time-namespace",
    Severity::Low,
    "T1070",
    "a time namespace was made: logs inside have other times",
);

/// Of `--on-loss`; it cannot be switched off otherwise.
pub static EVENTS_LOST: Rule = rule(
    "events-lost",
    Severity::High,
    "T1562",
    "events were lost: the record is incomplete",
);

/// Every rule that can be switched off, the most severe first.
pub static RULES: [&Rule; 10] = [
    &JOIN_HOST,
    &PIDFD_INIT,
    &JOIN_CONTAINER,
    &COMPAT_CALL,
    &UNSEEN,
    &DENIED_THEN,
    &USER_AND_NET,
    &NESTED,
    &FALSE_NAME,
    &TIME,
];

/// The refusals that make a burst, and their period.
const BURST: usize = 5;
const BURST_NS: u64 = 10_000_000_000;
/// Most processes whose refusals are remembered.
const MAX_PROCESSES: usize = 4096;
/// The deepest user namespace that is normal: a container's inside a container's.
const MAX_DEPTH: u32 = 3;

/// The rules that are switched on, and their state.
#[derive(Debug)]
pub struct Rules {
    enabled: Vec<&'static Rule>,
    refusals: HashMap<ProcessId, VecDeque<u64>>,
}

impl Rules {
    /// All but these.
    #[must_use]
    pub fn without(off: &[&'static Rule]) -> Self {
        let all = RULES.into_iter();
        Self {
            enabled: all.filter(|rule| !off.contains(rule)).collect(),
            refusals: HashMap::new(),
        }
    }

    /// The alerts that an event raises. Every event has to be passed to it, in order.
    pub fn evaluate(&mut self, event: &OutputEvent) -> Vec<Alert> {
        match event {
            OutputEvent::Namespace(event) => {
                let fired = self.namespace(event);
                self.alerts(&fired, event.actor.exec_id, (&event.envelope).into())
            }
            OutputEvent::Gap(gap) => self.alerts(&[&UNSEEN], gap.exec_id, (&gap.envelope).into()),
            OutputEvent::Lineage(..) | OutputEvent::Lost(_) => Vec::new(),
        }
    }

    fn namespace(&mut self, event: &NamespaceEvent) -> Vec<&'static Rule> {
        let changed = |slot| event.ns.changed.contains(slot);
        let (op, class) = (&event.op, event.class);
        let target = op.target.as_ref();
        let is_init =
            target.is_some_and(|target| target.source == Source::Pidfd && target.pid == Some(1));
        let level = event.ns.user.as_ref().map_or(0, |user| user.level);
        let created = class.is_creation();
        let fires = [
            (&JOIN_HOST, class == Class::JoinHost),
            (&PIDFD_INIT, class.is_join() && is_init),
            (
                &JOIN_CONTAINER,
                event.crossing.boundary == Some(Boundary::Lateral),
            ),
            (
                &COMPAT_CALL,
                op.abi == Abi::Compat && op.syscall != Syscall::Unseen,
            ),
            (&DENIED_THEN, self.succeeds_after_burst(event)),
            (
                &USER_AND_NET,
                created && changed(Slot::User) && changed(Slot::Net) && event.actor.uid != 0,
            ),
            (&NESTED, created && level > MAX_DEPTH),
            (
                &FALSE_NAME,
                event.actor.comm == "nsexec" && event.actor.nsexec.is_none(),
            ),
            (&TIME, created && changed(Slot::TimeForChildren)),
        ];
        fires
            .into_iter()
            .filter_map(|(rule, fires)| fires.then_some(rule))
            .collect()
    }

    /// Whether a setns succeeds after a burst of refused ones.
    fn succeeds_after_burst(&mut self, event: &NamespaceEvent) -> bool {
        let (process, now) = (event.actor.exec_id, event.envelope.ts_boot_ns);
        let is_recent = |time: &u64| now.saturating_sub(*time) < BURST_NS;
        if event.op.syscall != Syscall::Setns {
            return false;
        }
        if event.class.is_join() {
            let times = self.refusals.remove(&process).unwrap_or_default();
            return times.iter().filter(|time| is_recent(time)).count() >= BURST;
        }
        if event.class == Class::Denied {
            if self.refusals.len() >= MAX_PROCESSES && !self.refusals.contains_key(&process) {
                // Expired ones make room, or there is none.
                self.refusals
                    .retain(|_, times| times.back().is_some_and(is_recent));
                if self.refusals.len() >= MAX_PROCESSES {
                    return false;
                }
            }
            let times = self.refusals.entry(process).or_default();
            times.push_back(now);
            if times.len() > BURST {
                times.pop_front();
            }
        }
        false
    }

    fn alerts(&self, fired: &[&'static Rule], process: ProcessId, time: Time) -> Vec<Alert> {
        let on = fired.iter().filter(|rule| self.enabled.contains(rule));
        on.map(|rule| rule.alert(process, time)).collect()
    }
}

#[cfg(test)]
mod tests;
