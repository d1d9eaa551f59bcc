//! What is worth an alert: rules over what was told.
//!
//! A rule goes by what the kernel says. What a process chose itself, its name and
//! its arguments, only ever raises a suspicion and never lowers one.

use std::collections::{HashMap, VecDeque};

use serde::{Serialize, Serializer};

use crate::crossing::Crossed;
use crate::judge::Class;
use crate::record::{ExecId, GapLine, NamespaceLine};
use crate::story::Told;

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// All of them, from the least.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name in JSON, in pages and in the manual.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, on the command line and in JSON.
    pub name: &'static str,
    pub severity: Severity,
    /// Of MITRE ATT&CK for containers.
    pub mitre: &'static str,
    /// What it means when it fires.
    pub about: &'static str,
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
    "a process came back into a namespace of the host",
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
    "a process of one container came into namespaces of another one",
);
static COMPAT_CALL: Rule = rule(
    "compat-call",
    Severity::High,
    "T1562",
    "a 32-bit call on a 64-bit machine: filters and probes often miss them",
);
static UNSEEN: Rule = rule(
    "unseen-change",
    Severity::High,
    "T1562",
    "a task is in other namespaces than any probe saw it enter",
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
    "five joins or more were refused within ten seconds, and then one was not",
);
static FALSE_NAME: Rule = rule(
    "false-name",
    Severity::Medium,
    "T1036",
    "it calls itself nsexec, and its file is not",
);
static TIME: Rule = rule(
    "time-namespace",
    Severity::Low,
    "T1070",
    "a time namespace was made: what is logged inside has other times",
);

/// Every rule, the gravest first.
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

/// How many refusals make a burst, within how long.
const BURST: usize = 5;
const BURST_NS: u64 = 10_000_000_000;
/// Most processes whose refusals are remembered.
const MOST: usize = 4096;
/// The deepest user namespace that is nobody's concern: a container's inside a
/// container's.
const DEEP: u32 = 3;

/// A rule has fired.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    pub kind: &'static str,
    pub ts_boot_ns: u64,
    pub ts_wall_ms: i64,
    pub rule: &'static str,
    pub severity: Severity,
    pub mitre: &'static str,
    pub about: &'static str,
    pub exec_id: ExecId,
    pub tgid: u32,
}

/// The rules that are switched on, and what they remember.
#[derive(Debug)]
pub struct Rules {
    on: Vec<&'static Rule>,
    refused: HashMap<ExecId, VecDeque<u64>>,
}

impl Rules {
    /// All but these.
    #[must_use]
    pub fn without(off: &[String]) -> Self {
        let on = RULES.into_iter();
        Self {
            on: on
                .filter(|rule| !off.iter().any(|name| name == rule.name))
                .collect(),
            refused: HashMap::new(),
        }
    }

    /// The alerts that this raises. Everything has to be shown to it, in order.
    pub fn judge(&mut self, told: &Told) -> Vec<Alert> {
        match told {
            Told::Namespace(line, class) => {
                let fired = self.namespace(line, *class);
                self.alerts(
                    &fired,
                    line.actor.exec_id,
                    line.actor.tgid,
                    (line.envelope.ts_boot_ns, line.envelope.ts_wall_ms),
                )
            }
            Told::Gap(line) => self.gap(line),
            Told::Lineage(_) | Told::Lost(_) => Vec::new(),
        }
    }

    fn gap(&self, line: &GapLine) -> Vec<Alert> {
        self.alerts(
            &[&UNSEEN],
            line.exec_id,
            line.tgid,
            (line.envelope.ts_boot_ns, line.envelope.ts_wall_ms),
        )
    }

    fn namespace(&mut self, line: &NamespaceLine, class: Class) -> Vec<&'static Rule> {
        let changed = |slot: &str| line.ns.changed.contains(slot);
        let joined = matches!(class, Class::JoinHost | Class::JoinOther);
        let made = matches!(class, Class::Create | Class::Nested);
        let target = line.op.target.as_ref();
        let of_init =
            target.is_some_and(|target| target.source == "pidfd" && target.pid == Some(1));
        let level = line.ns.user.as_ref().map_or(0, |user| user.level);
        let fires = [
            (&JOIN_HOST, class == Class::JoinHost),
            (&PIDFD_INIT, joined && of_init),
            (
                &JOIN_CONTAINER,
                line.passage.crossed == Some(Crossed::Between),
            ),
            (
                &COMPAT_CALL,
                line.op.abi == "compat" && line.op.syscall != "unseen",
            ),
            (&DENIED_THEN, self.was_refused_before(line, class)),
            (
                &USER_AND_NET,
                made && changed("user") && changed("net") && line.actor.uid != 0,
            ),
            (&NESTED, made && level > DEEP),
            (
                &FALSE_NAME,
                line.actor.comm == "nsexec" && line.actor.nsexec.is_none(),
            ),
            (&TIME, made && changed("time_for_children")),
        ];
        fires
            .into_iter()
            .filter_map(|(rule, fires)| fires.then_some(rule))
            .collect()
    }

    fn was_refused_before(&mut self, line: &NamespaceLine, class: Class) -> bool {
        let (id, now) = (line.actor.exec_id, line.envelope.ts_boot_ns);
        if line.op.syscall != "setns" {
            return false;
        }
        match class {
            Class::Denied => {
                if self.refused.len() >= MOST && !self.refused.contains_key(&id) {
                    // Those whose time is over have made room, or there is none.
                    self.refused.retain(|_, times| {
                        times
                            .back()
                            .is_some_and(|last| now.saturating_sub(*last) < BURST_NS)
                    });
                    if self.refused.len() >= MOST {
                        return false;
                    }
                }
                let times = self.refused.entry(id).or_default();
                times.push_back(now);
                if times.len() > BURST {
                    times.pop_front();
                }
                false
            }
            Class::JoinHost | Class::JoinOther => {
                let times = self.refused.remove(&id).unwrap_or_default();
                let recent = times
                    .iter()
                    .filter(|time| now.saturating_sub(**time) < BURST_NS);
                recent.count() >= BURST
            }
            _ => false,
        }
    }

    fn alerts(
        &self,
        fired: &[&'static Rule],
        exec_id: ExecId,
        tgid: u32,
        at: (u64, i64),
    ) -> Vec<Alert> {
        let on = fired.iter().filter(|rule| self.on.contains(rule));
        on.map(|rule| Alert {
            kind: "alert",
            ts_boot_ns: at.0,
            ts_wall_ms: at.1,
            rule: rule.name,
            severity: rule.severity,
            mitre: rule.mitre,
            about: rule.about,
            exec_id,
            tgid,
        })
        .collect()
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
