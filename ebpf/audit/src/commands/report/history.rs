//! The events, processes and namespaces of the files, put together.

use std::collections::{BTreeMap, HashMap};

use super::error::{ChainBreak, ReadErrorKind};
use super::events::{Detail, Event, Process, Seen, container, types};
use crate::model::event::{Alert, Class, LineageEvent, NamespaceEvent, Severity, Time};
use crate::model::namespaces::{NamespaceId, NamespaceType};
use crate::model::process::{Actor, ProcessId, ProcessRef};
use crate::output::event_json::{Line, Start};
use crate::output::hash_chain;
use crate::output::health::Health;

/// The maximum number of drawn events; further ones are counted. A browser takes seconds
/// for more, and the page would have tens of megabytes.
pub const MAX_DRAWN: usize = 50_000;

/// The contents of the files.
#[derive(Debug, Default)]
pub struct History {
    start: Option<Start>,
    pub(super) files: Vec<(String, u64)>,
    /// The last chain value; only if it is whole.
    pub(super) last: hash_chain::Value,
    pub(super) broken: Option<ChainBreak>,
    /// In the order of the lines.
    pub(super) events: Vec<Event>,
    /// How many of each name there are in all, drawn or not.
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) alerts: BTreeMap<Severity, u64>,
    /// Events that did not fit, as lost lines count them.
    pub(super) lost: u64,
    /// Calls that no hook observed, as missed lines count them.
    pub(super) missed: u64,
    /// The first file continues one that was not given.
    pub(super) continues: bool,
    /// Sums that did not agree, of the last health line that has some.
    pub(super) sums: Vec<String>,
    /// Those of lineage that are not drawn, and all others.
    pub(super) undrawn: [u64; 2],
    pub(super) processes: Vec<Process>,
    by_exec_id: HashMap<ProcessId, usize>,
    pub(super) namespaces: BTreeMap<(NamespaceType, NamespaceId), Seen>,
    /// The first and the last event; `None`: there is none.
    pub(super) span: Option<(Time, Time)>,
    pub(super) health: Option<Health>,
    /// The last line is the health of an auditor that ended.
    pub(super) ended: bool,
    kept: [usize; 2],
}

impl History {
    pub(super) fn open(&mut self, file: &str) {
        self.files.push((file.to_owned(), 0));
    }

    pub(super) fn first_file(&self) -> &str {
        self.files.first().map_or("no file", |(name, _)| name)
    }

    /// Whether this line is the first of all, which may continue a file that is not
    /// given.
    pub(super) fn continues_after(&mut self, number: u64) -> bool {
        self.continues = number == 1 && self.files.len() == 1;
        self.continues
    }

    /// Only the first break means something.
    pub(super) fn breaks(&mut self, file: &str, line: u64, wrong: hash_chain::Wrong) {
        if let Some((_, lines)) = self.files.last_mut() {
            *lines = line;
        }
        self.broken.get_or_insert_with(|| ChainBreak {
            file: file.to_owned(),
            line,
            wrong,
        });
    }

    /// The start, which is there once anything else is.
    pub(super) fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    pub(super) fn take(&mut self, number: u64, line: Line) -> Result<(), ReadErrorKind> {
        if let Some((_, lines)) = self.files.last_mut() {
            *lines = number;
        }
        if let Line::Start(start) = line {
            return self.begin(start);
        }
        if self.start.is_none() {
            return Err(ReadErrorKind::NoStart);
        }
        self.ended = matches!(&line, Line::Health(health) if health.ended);
        let (time, process, detail) = match line {
            Line::Start(_) => return Ok(()),
            Line::Health(health) => {
                if !health.broken.is_empty() {
                    self.sums.clone_from(&health.broken);
                }
                self.health = Some(*health);
                return Ok(());
            }
            Line::NsJoin(event)
            | Line::NsCreate(event)
            | Line::NsDenied(event)
            | Line::NsNoop(event) => self.namespace(event),
            Line::NsGap(gap) => {
                let time = Time::from(&gap.envelope);
                let process = self.process(gap.exec_id, time);
                self.with(process, |process| process.gaps += 1);
                (time, Some(process), Detail::Gap(gap))
            }
            Line::Alert(alert) => self.alert(alert),
            Line::Lost(lost) => {
                self.lost = self.lost.saturating_add(lost.count);
                ((&lost.envelope).into(), None, Detail::Lost(lost))
            }
            Line::Missed(missed) => {
                self.missed = self.missed.saturating_add(missed.count);
                (missed.time, None, Detail::Missed(missed))
            }
            Line::Fork(event) => self.fork(event),
            Line::Exec(event) => {
                let time = Time::from(&event.envelope);
                let process = self.actor(&event.actor, time);
                if let Some(parent) = event.parent {
                    self.parent(process, parent.exec_id);
                }
                (time, Some(process), Detail::Exec(event))
            }
            Line::Exit(event) => {
                let time = Time::from(&event.envelope);
                let process = self.actor(&event.actor, time);
                self.with(process, |process| process.exited = true);
                (time, Some(process), Detail::Exit(event))
            }
        };
        self.keep(number, time, process, detail);
        Ok(())
    }

    fn begin(&mut self, start: Start) -> Result<(), ReadErrorKind> {
        match &self.start {
            Some(first) if first.boot_id != start.boot_id => Err(ReadErrorKind::OtherBoot),
            Some(_) => Ok(()),
            None => {
                self.start = Some(start);
                Ok(())
            }
        }
    }

    fn alert(&mut self, alert: Alert) -> (Time, Option<usize>, Detail) {
        let severity = alert.severity;
        let process = self.process(alert.exec_id, alert.time);
        self.with(process, |process| {
            process.alert = process.alert.max(Some(severity));
        });
        *self.alerts.entry(severity).or_default() += 1;
        (alert.time, Some(process), Detail::Alert(alert))
    }

    fn fork(&mut self, event: Box<LineageEvent>) -> (Time, Option<usize>, Detail) {
        let time = Time::from(&event.envelope);
        let process = self.actor(&event.actor, time);
        if let Some(child) = event.child {
            self.child(process, child, &event.actor, time);
        }
        (time, Some(process), Detail::Fork(event))
    }

    fn child(&mut self, parent: usize, child: ProcessRef, actor: &Actor, time: Time) {
        let child = self.process(child.exec_id, time);
        self.with(child, |child| {
            if child.comm.is_empty() {
                child.comm.clone_from(&actor.comm);
            }
        });
        self.descends(child, parent);
    }

    fn keep(&mut self, line: u64, time: Time, process: Option<usize>, detail: Detail) {
        *self.counts.entry(detail.name()).or_default() += 1;
        self.span = Some(match self.span {
            None => (time, time),
            Some((first, last)) => (
                if time.ts_boot_ns < first.ts_boot_ns {
                    time
                } else {
                    first
                },
                if time.ts_boot_ns >= last.ts_boot_ns {
                    time
                } else {
                    last
                },
            ),
        });
        let lineage = usize::from(detail.is_lineage());
        let [other, of_lineage] = &mut self.kept;
        let kept = if lineage == 1 { of_lineage } else { other };
        if *kept < MAX_DRAWN {
            *kept += 1;
            self.events.push(Event {
                file: self.files.len().saturating_sub(1),
                line,
                time,
                process,
                detail,
            });
        } else if let Some(undrawn) = self.undrawn.get_mut(lineage) {
            *undrawn += 1;
        }
    }

    /// Decides which events are drawn: changes of namespaces have priority over forks and
    /// execs.
    pub(super) fn end(mut self, last: hash_chain::Value) -> Result<Self, ReadErrorKind> {
        if self.start.is_none() {
            return Err(ReadErrorKind::Empty);
        }
        self.last = last;
        let [other, _] = self.kept;
        let mut left = MAX_DRAWN.saturating_sub(other);
        let [_, undrawn] = &mut self.undrawn;
        self.events.retain(|event| {
            let drawn = !event.detail.is_lineage() || left > 0;
            if event.detail.is_lineage() {
                left = left.saturating_sub(1);
                *undrawn += u64::from(!drawn);
            }
            drawn
        });
        Ok(self)
    }

    fn with(&mut self, process: usize, change: impl FnOnce(&mut Process)) {
        if let Some(process) = self.processes.get_mut(process) {
            change(process);
        }
    }

    /// The number of a process that existed at this time.
    fn process(&mut self, id: ProcessId, time: Time) -> usize {
        let next = self.processes.len();
        let number = *self.by_exec_id.entry(id).or_insert(next);
        if number == next {
            self.processes.push(Process::new(id, time.ts_boot_ns));
        }
        self.with(number, |process| {
            process.first = process.first.min(time.ts_boot_ns);
            process.last = process.last.max(time.ts_boot_ns);
        });
        number
    }

    fn actor(&mut self, actor: &Actor, time: Time) -> usize {
        let number = self.process(actor.exec_id, time);
        self.with(number, |process| {
            process.uid = Some(actor.uid);
            if process.calls == 0 {
                process.comm.clone_from(&actor.comm);
            }
            if let Some(container) = container(&actor.cgroup) {
                process.container = Some(container);
            }
        });
        number
    }

    fn parent(&mut self, child: usize, parent: ProcessId) {
        if let Some(parent) = self.by_exec_id.get(&parent).copied() {
            self.descends(child, parent);
        }
    }

    /// A process descends from one that was observed before it: so there is no cycle.
    fn descends(&mut self, child: usize, parent: usize) {
        if parent < child {
            self.with(child, |child| child.parent = Some(parent));
        }
    }

    fn namespace(&mut self, event: Box<NamespaceEvent>) -> (Time, Option<usize>, Detail) {
        let (time, class) = (Time::from(&event.envelope), event.class);
        let process = self.actor(&event.actor, time);
        self.parent(process, event.parent.exec_id);
        if let Some(child) = event.child {
            self.child(process, child, &event.actor, time);
        }
        let types = types(&event, matches!(class, Class::Denied | Class::Noop));
        self.with(process, |process| {
            process.calls += 1;
            process.comm.clone_from(&event.actor.comm);
            for one in types {
                *process.did.entry((class, one)).or_default() += 1;
            }
        });
        self.moves(process, &event);
        (time, Some(process), Detail::Namespace(event))
    }

    /// The namespaces that the call made, joined and left.
    fn moves(&mut self, process: usize, event: &NamespaceEvent) {
        let host = self.start.as_ref().map(|start| &start.host);
        let host = host.cloned().unwrap_or_default();
        for slot in event.ns.changed.iter() {
            let is_host = event.ns.host.contains(slot);
            let kind = NamespaceType::of_slot(slot);
            let after = if is_host {
                host.get(slot)
            } else {
                event.ns.after.get(slot)
            };
            if let Some(id) = after {
                let seen = self.namespaces.entry((kind, id)).or_default();
                seen.is_host |= is_host;
                if event.class.is_creation() {
                    seen.made_by = Some(process);
                } else {
                    *seen.joined.entry(process).or_default() += 1;
                }
            }
            if let Some(id) = event.ns.before.get(slot) {
                let is_host = host.get(slot) == Some(id);
                let seen = self.namespaces.entry((kind, id)).or_default();
                seen.is_host |= is_host;
                seen.left += 1;
            }
        }
    }
}
