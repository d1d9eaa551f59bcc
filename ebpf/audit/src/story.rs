//! What happened: events in their order, judged, with what is missing between them.

use std::collections::HashMap;
use std::io;

use nix::time::{ClockId, clock_gettime};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::counters::Position;
use nsexec_audit_abi::parts::Task;
use nsexec_audit_abi::record::Snapshot;
use serde::{Serialize, Serializer};

use crate::cgroups::{Cgroup, Cgroups};
use crate::container::Place;
use crate::crossing::Owners;
use crate::judge::{self, Class, Host};
use crate::lineage::{File, Gap, Lineage, Process};
use crate::order::Order;
use crate::record::{
    self, Boot, Envelope, GapLine, LineageLine, LostLine, NamespaceLine, StartLine, Who,
};
use crate::repeated::Repeated;

/// kthreadd: a kernel thread, which is in the first namespaces of all.
pub(crate) const KTHREADD: u32 = 2;

/// One thing that is told.
#[derive(Debug)]
pub enum Told {
    Namespace(Box<NamespaceLine>, Class),
    Gap(Box<GapLine>),
    Lineage(Box<LineageLine>),
    Lost(LostLine),
}

/// As it stands in a line of JSON.
impl Serialize for Told {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Namespace(line, _) => line.serialize(to),
            Self::Gap(line) => line.serialize(to),
            Self::Lineage(line) => line.serialize(to),
            Self::Lost(line) => line.serialize(to),
        }
    }
}

/// What the first line of each file says.
#[derive(Clone, Debug)]
pub struct Beginning {
    boot: Boot,
    host: Host,
}

impl Beginning {
    /// The first line of a file that begins now.
    #[must_use]
    pub fn line(&self) -> StartLine<'_> {
        self.boot.start(&self.host, now_ns())
    }
}

/// Everything that is known, event by event.
#[derive(Debug)]
pub struct Story {
    boot: Boot,
    order: Order,
    lineage: Lineage,
    host: Host,
    cgroups: Cgroups,
    owners: Owners,
    repeated: Repeated,
    /// How many events of a processor did not fit into a ring, when last told.
    lost: HashMap<(u32, Ring), u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ring {
    Namespaces,
    Lineage,
}

impl Ring {
    fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Lineage => "lineage",
        }
    }
}

impl Story {
    /// `nsexec`: the files that are nsexec.
    ///
    /// # Errors
    /// The kernel does not tell its boot's id, or its clocks.
    pub fn begin(nsexec: Vec<File>) -> io::Result<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let now = |clock| -> io::Result<i128> {
            let time = clock_gettime(clock)?;
            Ok(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
        };
        let wall_ns = now(ClockId::CLOCK_REALTIME)? - now(ClockId::CLOCK_BOOTTIME)?;
        let boot = Boot {
            id: id.trim().to_owned(),
            wall_ns,
        };
        Ok(Self {
            boot,
            order: Order::default(),
            lineage: Lineage::new(nsexec),
            host: Host::default(),
            cgroups: Cgroups::here(),
            owners: Owners::default(),
            repeated: Repeated::default(),
            lost: HashMap::new(),
        })
    }

    /// What the lines are read with.
    #[must_use]
    pub fn beginning(&self) -> Beginning {
        let (boot, host) = (self.boot.clone(), self.host.clone());
        Beginning { boot, host }
    }

    /// CLOCK_BOOTTIME in nanoseconds, and the time of day in milliseconds.
    #[must_use]
    pub fn now(&self) -> (u64, i64) {
        let now = now_ns();
        (now, self.boot.wall_ms(now))
    }

    /// What was lost until the rings were where they are in `positions`, and was not
    /// told: no event came after it. Those that came before have to be told already.
    pub fn lost_until(&mut self, positions: &[Vec<Position>; 2]) -> Vec<Told> {
        let (ts_boot_ns, ts_wall_ms) = self.now();
        let mut all = Vec::new();
        for (ring, positions) in [Ring::Namespaces, Ring::Lineage].into_iter().zip(positions) {
            for (cpu, position) in (0..).zip(positions) {
                let Some(count) = self.newly_lost(cpu, ring, position.lost) else {
                    continue;
                };
                all.push(Told::Lost(LostLine {
                    envelope: Envelope {
                        kind: "lost",
                        ts_boot_ns,
                        ts_wall_ms,
                        cpu,
                        cpu_seq: position.sequence,
                        lost_before: position.lost,
                        backend: "positions",
                    },
                    ring: ring.name(),
                    count,
                }));
            }
        }
        all
    }

    /// Learns of the tasks that are there.
    pub fn know(&mut self, tasks: &[Snapshot]) {
        for task in tasks {
            if task.task.tgid == KTHREADD {
                self.host = Host::of(&task.vector);
                // What was made ready says which are the host's.
                self.repeated = Repeated::default();
            }
            self.lineage.see(&Event::Snapshot(*task));
        }
        // Whose a namespace is, its oldest process says: others have come into it.
        let mut oldest: Vec<&Snapshot> = tasks.iter().collect();
        oldest.sort_by_key(|task| task.task.start_ns);
        for one in oldest {
            let cgroup = self.cgroups.of(&one.task, one.header.boot_ns);
            self.owners.see(&one.vector, &cgroup.place, &self.host);
        }
    }

    /// The cgroups, by which containers are known.
    pub fn cgroups(&mut self) -> &mut Cgroups {
        &mut self.cgroups
    }

    /// How many tasks were not remembered for want of room: of those no gap is found.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.lineage.forgotten()
    }

    /// Whether it is known which namespaces are the host's.
    #[must_use]
    pub fn knows_host(&self) -> bool {
        self.host.is_known()
    }

    /// Whether another event of this ring can be held back. What is not read fills the
    /// ring, where what does not fit is counted.
    #[must_use]
    pub fn has_room(&self, ring: u32) -> bool {
        self.order.has_room(ring)
    }

    /// Takes an event as it was read.
    pub fn push(&mut self, event: Event) {
        // While it is still there: the event itself waits for others.
        self.cgroups.of(task(&event), event.header().boot_ns);
        self.order.push(event);
    }

    /// Tells the next thing, with `tell`; false when nothing is to be told yet.
    /// `now_ns`: the time by CLOCK_BOOTTIME; none: no event comes any more.
    pub fn tell(&mut self, now_ns: Option<u64>, tell: impl FnMut(Told)) -> bool {
        // Looked at where it comes to lie: it is large.
        let Some(event) = &self.order.pop(now_ns) else {
            return false;
        };
        self.tell_of(event, tell);
        true
    }

    fn tell_of(&mut self, event: &Event, mut tell: impl FnMut(Told)) {
        let header = event.header();
        let ring = ring(header.hook);
        if let Some(count) = self.newly_lost(header.cpu, ring, header.lost) {
            let envelope = self.boot.envelope("lost", event.header());
            tell(Told::Lost(LostLine {
                envelope,
                ring: ring.name(),
                count,
            }));
        }
        // Of a process that ends, what it executed is still to be told.
        let program = self.lineage.program(process(event)).cloned();
        let cgroup = self.cgroups.of(task(event), header.boot_ns);
        let gap = self.lineage.see(event);
        if let Some(gap) = gap {
            let line = self.gap(event, cgroup.clone(), &gap);
            tell(Told::Gap(Box::new(line)));
        }
        let program = match event {
            Event::Exec(_) => self.lineage.program(process(event)).cloned(),
            _ => program,
        };
        let (boot, host) = (&self.boot, &self.host);
        let who = |cgroup| Who {
            program: program.as_deref(),
            cgroup,
        };
        // Whose a namespace is, those say who live in it, which a runtime on its way
        // does not.
        tell(match event {
            Event::Namespace(record) => {
                let class = judge::class(record, host);
                let (before, after) = (&record.before, &record.after);
                let place = &cgroup.place;
                if matches!(class, Class::Create | Class::Nested) {
                    self.owners.made(before, after, place, host);
                }
                let passage = self.owners.passage(record, class, place, host);
                let program = program.as_ref();
                let parts = self.repeated.parts(record, program, &cgroup, host);
                let line = record::namespace(boot, record, class, passage, parts);
                Told::Namespace(Box::new(line), class)
            }
            Event::Fork(fork) => {
                if cgroup.place != Place::Host {
                    self.owners.see(&fork.vector, &cgroup.place, host);
                }
                Told::Lineage(Box::new(record::fork(boot, fork, who(cgroup))))
            }
            Event::Exec(exec) => {
                self.owners.see(&exec.vector, &cgroup.place, host);
                Told::Lineage(Box::new(record::exec(boot, exec, who(cgroup))))
            }
            Event::Exit(exit) => Told::Lineage(Box::new(record::exit(boot, exit, who(cgroup)))),
            Event::Snapshot(_) => return,
        });
    }

    fn gap(&self, event: &Event, cgroup: Cgroup, gap: &Gap) -> GapLine {
        let who = match event {
            Event::Fork(fork) if gap.of_child => (Process::of_kin(&fork.child), fork.child.tid),
            other => {
                let task = task(other);
                (Process::of(task), task.tid)
            }
        };
        record::gap(&self.boot, event.header(), who, cgroup, gap, &self.host)
    }

    /// How many were lost on this processor and ring since it was last told.
    fn newly_lost(&mut self, cpu: u32, ring: Ring, lost: u64) -> Option<u64> {
        let told = self.lost.entry((cpu, ring)).or_default();
        let count = lost.checked_sub(*told).filter(|count| *count > 0)?;
        *told = lost;
        Some(count)
    }
}

fn ring(hook: Hook) -> Ring {
    match hook.writes() {
        Some(Kind::Namespace) => Ring::Namespaces,
        _ => Ring::Lineage,
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

fn process(event: &Event) -> Process {
    Process::of(task(event))
}

/// CLOCK_BOOTTIME; 0 when the kernel has none, so that events wait for each other.
pub(crate) fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
        let rest = u64::try_from(time.tv_nsec()).unwrap_or_default();
        seconds * 1_000_000_000 + rest
    })
}

#[cfg(test)]
#[path = "story_tests.rs"]
pub(crate) mod tests;
