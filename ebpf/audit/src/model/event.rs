//! The events, with everything that is known about them.

use std::borrow::Cow;
use std::sync::Arc;

use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::parts::Header;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::{self, Cgroup, Container, Place};
use super::names::{self, by_name, names};
use super::namespaces::NamespaceChange;
use super::operation::Operation;
use super::process::{Actor, ProcessId, ProcessRef};
use super::shared::Shared;

names! {
    /// The result of a call that changes namespaces.
    pub enum Class {
        /// setns(2): the process is in one of the host's namespaces, and was not before.
        JoinHost => "join_host",
        /// setns(2): it is in namespaces that existed before, and are not the host's.
        JoinOther => "join_other",
        /// It is in namespaces that it made.
        Create => "create",
        /// It made a user namespace inside one that is not the host's.
        Nested => "nested",
        /// The kernel refused.
        Denied => "denied",
        /// Nothing changed.
        Noop => "noop",
    }
}

impl Class {
    /// The kind of its line in JSON.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::JoinHost | Self::JoinOther => "ns_join",
            Self::Create | Self::Nested => "ns_create",
            Self::Denied => "ns_denied",
            Self::Noop => "ns_noop",
        }
    }

    /// Whether it is a join.
    #[must_use]
    pub const fn is_join(self) -> bool {
        matches!(self, Self::JoinHost | Self::JoinOther)
    }

    /// Whether it made namespaces.
    #[must_use]
    pub const fn is_creation(self) -> bool {
        matches!(self, Self::Create | Self::Nested)
    }
}

names! {
    /// The boundary that a join crosses.
    pub enum Boundary {
        /// From the host into a container.
        Enter => "host->container",
        /// From a container to the host.
        Escape => "container->host",
        /// From a container into another one that is not inside it.
        Lateral => "container->container",
    }
}

names! {
    /// The evidence for the place that a join came from.
    pub enum Evidence {
        /// The owner of its mount namespace.
        Mnt => "mnt",
        /// Its cgroup. A runtime is in the container's cgroup before it is in its
        /// namespaces.
        Cgroup => "cgroup",
    }
}

/// The origin and the destination of a join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// The boundary that was crossed; left out: none, or one of both places is unknown.
    #[serde(rename = "crossed", skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
    #[serde(rename = "crossed_by", skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The container, RUNTIME/ID, whose namespaces were joined: that of the first process
    /// that was observed in them; left out: the host's, or it is unknown.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "container::by_name"
    )]
    #[schemars(with = "Option<String>")]
    pub entered: Option<Arc<Container>>,
    /// The place of the process before the join.
    #[serde(skip)]
    pub from: Place,
}

names! {
    /// How much an alert matters.
    pub enum Severity {
        /// Worth a look.
        Low => "low",
        /// Unusual.
        Medium => "medium",
        /// Probably an attack, or a hole in the record.
        High => "high",
        /// A process reached the host.
        Critical => "critical",
    }
}

names! {
    /// One of the two rings of the probes.
    pub enum Ring {
        /// Calls that change namespaces.
        Namespaces => "namespaces",
        /// Forks, execs and exits.
        Lineage => "lineage",
    }
}

impl Ring {
    /// The ring that a hook writes to.
    #[must_use]
    pub fn of(hook: Hook) -> Self {
        match hook.writes() {
            Some(Kind::Namespace) => Self::Namespaces,
            _ => Self::Lineage,
        }
    }
}

names! {
    /// Why a hook did not observe a call.
    pub enum MissReason {
        /// The kernel did not run it, because another program ran on that processor.
        Recursion => "recursion",
        /// The kernel had no memory for the beginning of the call.
        PendingFull => "pending_full",
    }
}

/// The members that most lines begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// CLOCK_BOOTTIME, in nanoseconds.
    pub ts_boot_ns: u64,
    /// The time of day, in milliseconds since 1970.
    pub ts_wall_ms: i64,
    pub cpu: u32,
    /// Counts this processor's events of this ring from 0: a missing number is a missing
    /// event.
    pub cpu_seq: u64,
    /// The events of this processor that did not fit into this ring until now.
    pub lost_before: u64,
    /// The hook that wrote the event.
    pub backend: Cow<'static, str>,
}

impl Envelope {
    /// Of the header of a record, at this time of day.
    #[must_use]
    pub fn of(header: &Header, ts_wall_ms: i64) -> Self {
        Self {
            ts_boot_ns: header.boot_ns,
            ts_wall_ms,
            cpu: header.cpu,
            cpu_seq: header.sequence,
            lost_before: header.lost,
            backend: header.hook.name().into(),
        }
    }
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Time {
    /// CLOCK_BOOTTIME, in nanoseconds.
    pub ts_boot_ns: u64,
    /// The time of day, in milliseconds since 1970.
    pub ts_wall_ms: i64,
}

impl From<&Envelope> for Time {
    fn from(envelope: &Envelope) -> Self {
        Self {
            ts_boot_ns: envelope.ts_boot_ns,
            ts_wall_ms: envelope.ts_wall_ms,
        }
    }
}

/// A call that changed namespaces, or was refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceEvent {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub class: Class,
    pub actor: Arc<Shared<Actor>>,
    pub parent: ProcessRef,
    pub op: Arc<Shared<Operation>>,
    /// The process that the call made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<ProcessRef>,
    pub ns: Arc<Shared<NamespaceChange>>,
    #[serde(flatten)]
    pub crossing: Crossing,
}

/// A task is not in the namespaces that it was last observed in: no probe observed the
/// change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GapEvent {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub exec_id: ProcessId,
    pub tgid: u32,
    pub tid: u32,
    #[serde(flatten)]
    pub cgroup: Cgroup,
    /// The event that showed it.
    #[serde(with = "by_name")]
    #[schemars(schema_with = "names::schema::<Kind>")]
    pub found_at: Kind,
    pub ns: NamespaceChange,
}

names! {
    /// A step in the life of a task.
    pub enum LineageKind {
        /// A task was made.
        Fork => "fork",
        /// A program was executed.
        Exec => "exec",
        /// A thread ended.
        Exit => "exit",
    }
}

/// A fork, an exec, or the end of a thread.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineageEvent {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub actor: Actor,
    /// Of an exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessRef>,
    /// Of a fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<ProcessRef>,
    /// Of an exec: the program as its caller named it; hostile text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of an exec; hostile text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Of an exit, as wait(2) has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// Events that did not fit into a ring, at the place where they are missing. If no event
/// of this processor came after them, `backend` is `positions`, and the times are those
/// of the moment when the loss was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostEvent {
    #[serde(flatten)]
    pub envelope: Envelope,
    pub ring: Ring,
    pub count: u64,
}

/// Calls that a hook did not observe; the kernel does not report the processor.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissedEvent {
    #[serde(flatten)]
    pub time: Time,
    /// The program or hook.
    pub backend: Cow<'static, str>,
    pub why: MissReason,
    pub count: u64,
}

/// A rule fired on the line before, or on an earlier one of this process. With
/// `--on-loss`, `events-lost`: `exec_id` and `tgid` are the auditor's.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    #[serde(flatten)]
    pub time: Time,
    pub rule: Cow<'static, str>,
    pub severity: Severity,
    /// The technique of MITRE ATT&CK.
    pub mitre: Cow<'static, str>,
    pub about: Cow<'static, str>,
    pub exec_id: ProcessId,
    pub tgid: u32,
}

/// One event of the stream that rules and filters see.
#[derive(Debug)]
pub enum OutputEvent {
    Namespace(Box<NamespaceEvent>),
    Gap(Box<GapEvent>),
    Lineage(LineageKind, Box<LineageEvent>),
    Lost(LostEvent),
}
