//! What was read, put together: events, processes, namespaces, counts.

use std::collections::{BTreeMap, HashMap};

use crate::chain::{self, Wrong};
use crate::filter::TYPES;
use crate::judge::Class;
use crate::rules::Severity;

use super::line::{
    Actor, Alert, Gap, Health, Id, Line, Lineage, Lost, Missed, Namespace, Start, Time,
};
use super::read::{Broken, Why};

/// Most events that are drawn; the others are counted. A browser takes seconds for
/// more, and the page tens of megabytes.
pub const MAX_DRAWN: usize = 50_000;

/// What files of lines tell.
#[derive(Debug, Default)]
pub struct Run {
    start: Option<Start>,
    pub(super) files: Vec<(String, u64)>,
    /// The last chain value; only if it is whole.
    pub(super) last: chain::Value,
    pub(super) broken: Option<Broken>,
    /// In the order of the lines.
    pub(super) events: Vec<Event>,
    /// How many of each name there are in all, drawn or not.
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) alerts: BTreeMap<Severity, u64>,
    /// Events that did not fit, as lost lines count them.
    pub(super) lost: u64,
    /// Calls that no hook saw, as missed lines count them.
    pub(super) missed: u64,
    /// The first file continues one that was not given.
    pub(super) continues: bool,
    /// Sums of counters that did not agree, as the last health that has some tells.
    pub(super) sums: Vec<String>,
    /// Those of lineage that are not drawn, and all others.
    pub(super) undrawn: [u64; 2],
    pub(super) processes: Vec<Process>,
    by_exec_id: HashMap<String, usize>,
    pub(super) namespaces: BTreeMap<(&'static str, Id), Seen>,
    /// The first and the last event; `None`: there is none.
    pub(super) span: Option<(Time, Time)>,
    pub(super) health: Option<Health>,
    /// The last line is the health of an auditor that ended.
    pub(super) ended: bool,
    kept: [usize; 2],
}

/// Something that is drawn.
#[derive(Debug)]
pub(super) struct Event {
    pub file: usize,
    /// From 1.
    pub line: u64,
    pub time: Time,
    /// Whose; of what was lost or missed, no one's.
    pub process: Option<usize>,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Namespace(Class, Box<Namespace>),
    Gap(Box<Gap>),
    Lost(Lost),
    Missed(Missed),
    Alert(Severity, Alert),
    Exec(Box<Lineage>),
    Fork(Box<Lineage>),
    Exit(Box<Lineage>),
}

impl What {
    /// As filters and styles have it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Namespace(class, _) => class.name(),
            Self::Gap(_) => "gap",
            Self::Lost(_) => "lost",
            Self::Missed(_) => "missed",
            Self::Alert(..) => "alert",
            Self::Exec(_) => "exec",
            Self::Fork(_) => "fork",
            Self::Exit(_) => "exit",
        }
    }

    fn is_lineage(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Fork(_) | Self::Exit(_))
    }
}

/// A process, by its exec_id.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub exec_id: String,
    pub tgid: u64,
    pub parent: Option<usize>,
    /// As it was called when it changed namespaces first; else when it was seen last.
    pub comm: String,
    pub uid: Option<u64>,
    pub container: Option<String>,
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub first: u64,
    pub last: u64,
    /// Its fork was seen.
    pub forked: bool,
    /// Its end was seen.
    pub exited: bool,
    pub alert: Option<Severity>,
    /// By class and type of namespace.
    pub did: BTreeMap<(&'static str, &'static str), u64>,
    /// Changes and attempts, of any class.
    pub calls: u64,
    pub gaps: u64,
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

/// The type of a slot, as `--type` has it.
pub(super) fn type_of(slot: &str) -> &'static str {
    let base = slot.strip_suffix("_for_children").unwrap_or(slot);
    TYPES
        .iter()
        .find_map(|(name, _)| (*name == base).then_some(*name))
        .unwrap_or("")
}

/// The types of slots, or of flags like NEWNET, each once.
pub(super) fn types<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = names
        .into_iter()
        .map(|name| match name.strip_prefix("NEW") {
            Some("NS") => "mnt",
            Some(flag) => type_of(&flag.to_ascii_lowercase()),
            None => type_of(name),
        })
        .filter(|name| !name.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Run {
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
    pub(super) fn breaks(&mut self, file: &str, line: u64, wrong: Wrong) {
        if let Some((_, lines)) = self.files.last_mut() {
            *lines = line;
        }
        self.broken.get_or_insert_with(|| Broken {
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

    pub(super) fn take(&mut self, number: u64, line: Line) -> Result<(), Why> {
        if let Some((_, lines)) = self.files.last_mut() {
            *lines = number;
        }
        if let Line::Start(start) = line {
            if self
                .start
                .as_ref()
                .is_some_and(|first| first.boot_id != start.boot_id)
            {
                return Err(Why::OtherBoot);
            }
            self.start.get_or_insert(start);
            return Ok(());
        }
        if self.start.is_none() {
            return Err(Why::NoStart);
        }
        self.ended = matches!(&line, Line::Health(health) if health.ended);
        let (time, process, what) = match line {
            Line::Start(_) => return Ok(()),
            Line::Health(health) => {
                if !health.broken.is_empty() {
                    self.sums.clone_from(&health.broken);
                }
                self.health = Some(health);
                return Ok(());
            }
            Line::NsJoin(namespace) => self.namespace(namespace),
            Line::NsGap(gap) => {
                let process = self.process(&gap.exec_id, gap.tgid, gap.time);
                self.with(process, |process| process.gaps += 1);
                (gap.time, Some(process), What::Gap(gap))
            }
            Line::Alert(alert) => {
                let severity = severity(&alert.severity);
                let process = self.process(&alert.exec_id, alert.tgid, alert.time);
                self.with(process, |process| {
                    process.alert = process.alert.max(Some(severity))
                });
                *self.alerts.entry(severity).or_default() += 1;
                (alert.time, Some(process), What::Alert(severity, alert))
            }
            Line::Lost(lost) => {
                self.lost = self.lost.saturating_add(lost.count);
                (lost.time, None, What::Lost(lost))
            }
            Line::Missed(missed) => {
                self.missed = self.missed.saturating_add(missed.count);
                (missed.time, None, What::Missed(missed))
            }
            Line::Fork(line) => {
                let process = self.actor(&line.actor, line.time);
                if let Some(child) = &line.child {
                    let child = self.process(&child.exec_id, child.tgid, line.time);
                    self.with(child, |child| {
                        child.forked = true;
                        if child.comm.is_empty() {
                            child.comm.clone_from(&line.actor.comm);
                        }
                    });
                    self.descends(child, process);
                }
                (line.time, Some(process), What::Fork(line))
            }
            Line::Exec(line) => {
                let process = self.actor(&line.actor, line.time);
                if let Some(parent) = &line.parent {
                    self.parent(process, &parent.exec_id);
                }
                (line.time, Some(process), What::Exec(line))
            }
            Line::Exit(line) => {
                let process = self.actor(&line.actor, line.time);
                self.with(process, |process| process.exited = true);
                (line.time, Some(process), What::Exit(line))
            }
        };
        self.keep(number, time, process, what);
        Ok(())
    }

    fn keep(&mut self, line: u64, time: Time, process: Option<usize>, what: What) {
        *self.counts.entry(what.name()).or_default() += 1;
        self.span = Some(match self.span {
            None => (time, time),
            Some((first, last)) => (
                if time.boot_ns < first.boot_ns {
                    time
                } else {
                    first
                },
                if time.boot_ns >= last.boot_ns {
                    time
                } else {
                    last
                },
            ),
        });
        let lineage = usize::from(what.is_lineage());
        let [other, of_lineage] = &mut self.kept;
        let kept = if lineage == 1 { of_lineage } else { other };
        if *kept < MAX_DRAWN {
            *kept += 1;
            self.events.push(Event {
                file: self.files.len().saturating_sub(1),
                line,
                time,
                process,
                what,
            });
        } else if let Some(undrawn) = self.undrawn.get_mut(lineage) {
            *undrawn += 1;
        }
    }

    /// What is drawn is settled: changes of namespaces go before forks and execs.
    pub(super) fn end(mut self, last: chain::Value) -> Result<Self, Why> {
        if self.start.is_none() {
            return Err(Why::Empty);
        }
        self.last = last;
        let [other, _] = self.kept;
        let mut left = MAX_DRAWN.saturating_sub(other);
        let [_, undrawn] = &mut self.undrawn;
        self.events.retain(|event| {
            let drawn = !event.what.is_lineage() || left > 0;
            if event.what.is_lineage() {
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

    /// The number of a process that was there at this time.
    fn process(&mut self, exec_id: &str, tgid: u64, time: Time) -> usize {
        let number = match self.by_exec_id.get(exec_id) {
            Some(number) => *number,
            None => {
                let number = self.processes.len();
                self.by_exec_id.insert(exec_id.to_owned(), number);
                self.processes.push(Process {
                    exec_id: exec_id.to_owned(),
                    tgid,
                    first: time.boot_ns,
                    ..Process::default()
                });
                number
            }
        };
        self.with(number, |process| {
            process.first = process.first.min(time.boot_ns);
            process.last = process.last.max(time.boot_ns);
        });
        number
    }

    fn actor(&mut self, actor: &Actor, time: Time) -> usize {
        let number = self.process(&actor.exec_id, actor.tgid, time);
        self.with(number, |process| {
            process.uid = Some(actor.uid);
            if process.calls == 0 {
                process.comm.clone_from(&actor.comm);
            }
            if let Some(container) = &actor.container {
                process.container = super::named(container);
            }
        });
        number
    }

    fn parent(&mut self, child: usize, parent: &str) {
        if let Some(parent) = self.by_exec_id.get(parent).copied() {
            self.descends(child, parent);
        }
    }

    /// A process comes from one that was seen before it: so there is no circle.
    fn descends(&mut self, child: usize, parent: usize) {
        if parent < child {
            self.with(child, |child| child.parent = Some(parent));
        }
    }

    fn namespace(&mut self, line: Box<Namespace>) -> (Time, Option<usize>, What) {
        let class = Class::ALL
            .into_iter()
            .find(|class| class.name() == line.class);
        let class = class.unwrap_or(Class::Noop);
        let process = self.actor(&line.actor, line.time);
        self.parent(process, &line.parent.exec_id);
        if let Some(child) = &line.child {
            let child = self.process(&child.exec_id, child.tgid, line.time);
            self.with(child, |child| {
                if child.comm.is_empty() {
                    child.comm.clone_from(&line.actor.comm);
                }
            });
            self.descends(child, process);
        }
        let asked = match class {
            Class::Denied | Class::Noop => types(&line.op.flags),
            _ => types(&line.ns.changed),
        };
        self.with(process, |process| {
            process.calls += 1;
            process.comm.clone_from(&line.actor.comm);
            if let Some(container) = &line.container {
                process.container = super::named(container);
            }
            for name in asked {
                *process.did.entry((class.name(), name)).or_default() += 1;
            }
        });
        self.moves(class, process, &line);
        (line.time, Some(process), What::Namespace(class, line))
    }

    fn moves(&mut self, class: Class, process: usize, line: &Namespace) {
        let host = self.start.as_ref().map(|start| &start.host);
        for slot in &line.ns.changed {
            let is_host = line.ns.host.contains(slot);
            let after = match host {
                Some(host) if is_host => host.get(slot),
                _ => line.ns.after.get(slot),
            };
            if let Some(id) = after {
                let seen = self.namespaces.entry((type_of(slot), *id)).or_default();
                seen.is_host |= is_host;
                if matches!(class, Class::Create | Class::Nested) {
                    seen.made_by = Some(process);
                } else {
                    *seen.joined.entry(process).or_default() += 1;
                }
            }
            if let Some(id) = line.ns.before.get(slot) {
                let is_host = host.and_then(|host| host.get(slot)) == Some(id);
                let seen = self.namespaces.entry((type_of(slot), *id)).or_default();
                seen.is_host |= is_host;
                seen.left += 1;
            }
        }
    }
}

/// The schema has no other names; what is not known is not played down.
fn severity(name: &str) -> Severity {
    let named = Severity::ALL.into_iter().find(|one| one.name() == name);
    named.unwrap_or(Severity::Critical)
}
