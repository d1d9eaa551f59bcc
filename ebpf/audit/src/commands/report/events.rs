//! Events, processes and namespaces on the page.

use std::collections::BTreeMap;

use crate::model::container::{Cgroup, Place};
use crate::model::event::{
    Alert, Class, GapEvent, LineageEvent, LostEvent, MissedEvent, NamespaceEvent, Severity, Time,
};
use crate::model::namespaces::NamespaceType;
use crate::model::process::ProcessId;

/// Something that is drawn.
#[derive(Debug)]
pub(super) struct Event {
    pub file: usize,
    /// From 1.
    pub line: u64,
    pub time: Time,
    /// None of lost and missed events.
    pub process: Option<usize>,
    pub detail: Detail,
}

#[derive(Debug)]
pub(super) enum Detail {
    Namespace(Box<NamespaceEvent>),
    Gap(Box<GapEvent>),
    Lost(LostEvent),
    Missed(MissedEvent),
    Alert(Alert),
    Exec(Box<LineageEvent>),
    Fork(Box<LineageEvent>),
    Exit(Box<LineageEvent>),
}

impl Detail {
    /// As filters and styles have it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Namespace(event) => event.class.name(),
            Self::Gap(_) => "gap",
            Self::Lost(_) => "lost",
            Self::Missed(_) => "missed",
            Self::Alert(_) => "alert",
            Self::Exec(_) => "exec",
            Self::Fork(_) => "fork",
            Self::Exit(_) => "exit",
        }
    }

    /// Of an alert.
    pub(super) fn severity(&self) -> Option<&'static str> {
        match self {
            Self::Alert(alert) => Some(alert.severity.name()),
            _ => None,
        }
    }

    pub(super) fn is_lineage(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Fork(_) | Self::Exit(_))
    }
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub id: ProcessId,
    pub parent: Option<usize>,
    /// Its name when it changed namespaces first; else when it was observed last.
    pub comm: String,
    pub uid: Option<u32>,
    pub container: Option<String>,
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub first: u64,
    pub last: u64,
    /// Its end was observed.
    pub exited: bool,
    pub alert: Option<Severity>,
    /// By class and type of namespace.
    pub did: BTreeMap<(Class, NamespaceType), u64>,
    /// Changes and attempts, of any class.
    pub calls: u64,
    pub gaps: u64,
}

impl Process {
    pub(super) fn new(id: ProcessId, first: u64) -> Self {
        Self {
            id,
            parent: None,
            comm: String::new(),
            uid: None,
            container: None,
            first,
            last: 0,
            exited: false,
            alert: None,
            did: BTreeMap::new(),
            calls: 0,
            gaps: 0,
        }
    }
}

/// A namespace that someone made, joined or left.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub is_host: bool,
    pub made_by: Option<usize>,
    /// Processes that came in, and how often.
    pub joined: BTreeMap<usize, u64>,
    pub left: u64,
}

/// The types that an event is about: those that changed, or those that were requested.
pub(super) fn types(event: &NamespaceEvent, requested: bool) -> Vec<NamespaceType> {
    if requested {
        let mut types: Vec<_> = event.op.flags.types().collect();
        types.sort_unstable();
        types
    } else {
        event.ns.changed.types()
    }
}

/// The container of a cgroup, in a few words; none: the host.
pub(super) fn container(cgroup: &Cgroup) -> Option<String> {
    match &cgroup.place {
        Place::Host => None,
        Place::Unknown => Some("unknown".to_owned()),
        Place::Container(container) => Some(container.name()),
    }
}
