//! Puts events in order and adds everything that is known about them; adds what is
//! missing between them.

use std::collections::HashMap;
use std::io;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::counters::Position;
use nsexec_audit_abi::parts::{Task, TaskId};
use nsexec_audit_abi::record::{Namespace, Snapshot};

use super::cgroups::Cgroups;
use super::classify::classify;
use super::crossing::Owners;
use super::lineage::{Gap, Lineage};
use super::part_cache::{PartCache, Parts};
use crate::clock;
use crate::ingest::reader::EventSink;
use crate::ingest::reorder::ReorderBuffer;
use crate::model::container::{Cgroup, Place};
use crate::model::event::{
    Class, Envelope, GapEvent, LineageEvent, LineageKind, LostEvent, NamespaceEvent, OutputEvent,
    Ring, Time,
};
use crate::model::namespaces::{HostNamespaces, NamespaceChange};
use crate::model::process::{
    Actor, FileId, ProcessId, ProcessRef, Program, ThreadId, arguments, lossy,
};
use crate::model::stream_info::StreamInfo;

/// kthreadd: a kernel thread, which is in the initial namespaces.
pub(crate) const KTHREADD: u32 = 2;

/// Everything that is known, event by event.
#[derive(Debug)]
pub struct Enricher {
    info: StreamInfo,
    reorder: ReorderBuffer,
    lineage: Lineage,
    cgroups: Cgroups,
    owners: Owners,
    parts: PartCache,
    /// The losses of each processor and ring that were reported already.
    reported_losses: HashMap<(u32, Ring), u64>,
}

impl Enricher {
    /// `nsexec`: the files that are nsexec.
    ///
    /// # Errors
    /// The id of the boot or the clocks cannot be read.
    pub fn start(nsexec: Vec<FileId>) -> io::Result<Self> {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let info = StreamInfo {
            boot_id: boot_id.trim().to_owned(),
            host: HostNamespaces::default(),
            wall_offset_ns: clock::wall_offset_ns()?,
        };
        Ok(Self {
            info,
            reorder: ReorderBuffer::default(),
            lineage: Lineage::new(nsexec),
            cgroups: Cgroups::here(),
            owners: Owners::default(),
            parts: PartCache::default(),
            reported_losses: HashMap::new(),
        })
    }

    /// The constants of this run.
    #[must_use]
    pub fn stream_info(&self) -> StreamInfo {
        self.info.clone()
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.info.now()
    }

    /// The losses until the rings were at `positions` that were not reported yet, because
    /// no event followed them. All events before them have to be emitted already.
    pub fn losses_until(&mut self, positions: &[Vec<Position>; 2]) -> Vec<OutputEvent> {
        let now = self.now();
        let mut all = Vec::new();
        for (ring, positions) in Ring::ALL.iter().zip(positions) {
            for (cpu, position) in (0..).zip(positions) {
                let Some(count) = self.newly_lost(cpu, *ring, position.lost) else {
                    continue;
                };
                all.push(OutputEvent::Lost(LostEvent {
                    envelope: Envelope {
                        ts_boot_ns: now.ts_boot_ns,
                        ts_wall_ms: now.ts_wall_ms,
                        cpu,
                        cpu_seq: position.sequence,
                        lost_before: position.lost,
                        backend: "positions".into(),
                    },
                    ring: *ring,
                    count,
                }));
            }
        }
        all
    }

    /// Learns from the list of tasks that existed when the probes were loaded.
    pub fn load_snapshot(&mut self, tasks: &[Snapshot]) {
        for task in tasks {
            if task.task.tgid == KTHREADD {
                self.info.host = HostNamespaces::of(&task.namespaces);
                // The parts were built with other namespaces of the host.
                self.parts = PartCache::default();
            }
            self.lineage.observe(&Event::Snapshot(*task));
        }
        // The oldest process of a namespace determines its owner: others joined it.
        let mut oldest: Vec<&Snapshot> = tasks.iter().collect();
        oldest.sort_by_key(|task| task.task.start_ns);
        for one in oldest {
            let cgroup = self.cgroups.of(&one.task, one.header.boot_ns);
            self.owners
                .observe(&one.namespaces, &cgroup.place, &self.info.host);
        }
    }

    /// The cgroups, by which containers are known.
    pub fn cgroups(&mut self) -> &mut Cgroups {
        &mut self.cgroups
    }

    /// How many times a task was not tracked because the table was full: the auditor
    /// detects no gap for such a task.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.lineage.forgotten()
    }

    /// Whether the host's namespaces are known.
    #[must_use]
    pub fn host_is_known(&self) -> bool {
        self.info.host.is_known()
    }

    /// Emits the next event, with the loss or gap before it; false when none is due yet.
    /// `now_ns`: the time by CLOCK_BOOTTIME; none: no more events come.
    pub fn emit_next(&mut self, now_ns: Option<u64>, emit: impl FnMut(OutputEvent)) -> bool {
        // Borrowed where it is returned: it is large.
        let Some(event) = &self.reorder.pop(now_ns) else {
            return false;
        };
        self.emit(event, emit);
        true
    }

    fn emit(&mut self, event: &Event, mut emit: impl FnMut(OutputEvent)) {
        let header = event.header();
        let ring = Ring::of(header.hook);
        if let Some(count) = self.newly_lost(header.cpu, ring, header.lost) {
            emit(OutputEvent::Lost(LostEvent {
                envelope: self.info.envelope(header),
                ring,
                count,
            }));
        }
        // A process that ends still has the program that it executed.
        let process = ProcessId::of(task(event));
        let program = self.lineage.program(process).cloned();
        let cgroup = self.cgroups.of(task(event), header.boot_ns);
        let gap = self.lineage.observe(event);
        if let Some(gap) = gap {
            let gap = self.gap(event, cgroup.clone(), &gap);
            emit(OutputEvent::Gap(Box::new(gap)));
        }
        let program = match event {
            Event::Exec(_) => self.lineage.program(process).cloned(),
            _ => program,
        };
        match event {
            Event::Namespace(record) => {
                let class = classify(record, &self.info.host);
                let parts = self
                    .parts
                    .parts(record, program.as_ref(), &cgroup, &self.info.host);
                let event = self.namespace(record, class, parts, &cgroup.place);
                emit(OutputEvent::Namespace(Box::new(event)));
            }
            Event::Fork(_) | Event::Exec(_) | Event::Exit(_) => {
                self.observe_owner(event, &cgroup.place);
                if let Some((kind, event)) = self.lineage_event(event, program.as_deref(), cgroup) {
                    emit(OutputEvent::Lineage(kind, Box::new(event)));
                }
            }
            Event::Snapshot(_) => {}
        }
    }

    /// Tasks that live in a namespace determine its owner; a runtime on its way into one
    /// does not.
    fn observe_owner(&mut self, event: &Event, place: &Place) {
        let host = &self.info.host;
        match event {
            Event::Fork(fork) if *place != Place::Host => {
                self.owners.observe(&fork.namespaces, place, host);
            }
            Event::Exec(exec) => self.owners.observe(&exec.namespaces, place, host),
            _ => {}
        }
    }

    fn namespace(
        &mut self,
        record: &Namespace,
        class: Class,
        parts: Parts,
        place: &Place,
    ) -> NamespaceEvent {
        let host = &self.info.host;
        if class.is_creation() {
            self.owners
                .created(&record.before, &record.after, place, host);
        }
        let Parts { actor, op, ns } = parts;
        NamespaceEvent {
            envelope: self.info.envelope(&record.header),
            class,
            actor,
            parent: ProcessRef::from_id(&record.parent),
            op,
            child: (record.child != TaskId::NONE).then(|| ProcessRef::from_id(&record.child)),
            ns,
            crossing: self.owners.crossing(record, class, place, host),
        }
    }

    fn gap(&self, event: &Event, cgroup: Cgroup, gap: &Gap) -> GapEvent {
        let (process, thread) = match event {
            Event::Fork(fork) if gap.of_child => (
                ProcessId::from_id(&fork.child),
                ThreadId::from_id(&fork.child),
            ),
            other => (ProcessId::of(task(other)), ThreadId::of(task(other))),
        };
        GapEvent {
            envelope: self.info.envelope(event.header()),
            exec_id: process,
            tgid: process.tgid,
            tid: thread.tid,
            cgroup,
            found_at: event.header().kind,
            ns: NamespaceChange::between(Some(&gap.known), &gap.found, &self.info.host),
        }
    }

    /// The event of a fork, exec or exit.
    fn lineage_event(
        &self,
        event: &Event,
        program: Option<&Program>,
        cgroup: Cgroup,
    ) -> Option<(LineageKind, LineageEvent)> {
        let plain = LineageEvent {
            envelope: self.info.envelope(event.header()),
            actor: Actor::of(task(event), program, cgroup),
            parent: None,
            child: None,
            path: None,
            argv: None,
            status: None,
        };
        Some(match event {
            Event::Fork(fork) => (
                LineageKind::Fork,
                LineageEvent {
                    child: Some(ProcessRef::from_id(&fork.child)),
                    ..plain
                },
            ),
            Event::Exec(exec) => (
                LineageKind::Exec,
                LineageEvent {
                    parent: Some(ProcessRef::from_id(&exec.parent)),
                    path: Some(lossy(exec.path.get())),
                    argv: Some(arguments(exec.arguments.get())),
                    ..plain
                },
            ),
            Event::Exit(exit) => (
                LineageKind::Exit,
                LineageEvent {
                    status: Some(exit.status),
                    ..plain
                },
            ),
            Event::Namespace(_) | Event::Snapshot(_) => return None,
        })
    }

    /// The events that were lost on this processor and ring and were not reported yet.
    fn newly_lost(&mut self, cpu: u32, ring: Ring, lost: u64) -> Option<u64> {
        let reported = self.reported_losses.entry((cpu, ring)).or_default();
        let count = lost.checked_sub(*reported).filter(|count| *count > 0)?;
        *reported = lost;
        Some(count)
    }
}

impl EventSink for Enricher {
    fn has_room(&self, ring: u32) -> bool {
        self.reorder.has_room(ring)
    }

    fn push(&mut self, event: Event) {
        // While the cgroup still exists: the event itself waits for others.
        self.cgroups.of(task(&event), event.header().boot_ns);
        self.reorder.push(event);
    }
}

fn task(event: &Event) -> &Task {
    match event {
        Event::Namespace(record) => &record.actor,
        Event::Fork(record) => &record.actor,
        Event::Exec(record) => &record.actor,
        Event::Exit(record) => &record.actor,
        Event::Snapshot(record) => &record.task,
    }
}

#[cfg(test)]
pub(crate) mod tests;
