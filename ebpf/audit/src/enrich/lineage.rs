//! The state of every task: its namespaces, its program, its parent.
//!
//! Every fork, exec and exit carries the namespaces of the task. Where they differ from
//! the last ones that were observed, something changed them that no probe observed (a call
//! of the 32-bit table, a probe that was removed): a gap.

use std::collections::HashMap;
use std::rc::Rc;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{EventFlags, Slot};
use nsexec_audit_abi::parts::{NamespaceSet, TaskId};
use nsexec_audit_abi::record::{Exec, Exit, Fork, Namespace, Snapshot};

use crate::model::namespaces::SlotSet;
use crate::model::process::{FileId, ProcessId, Program, ThreadId};

/// Most tasks that are remembered: more than a machine has by default
/// (kernel.pid_max).
const MAX_TASKS: usize = 1 << 17;

/// A task is in other namespaces than it was last observed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// It is the new task of a fork. Else it is the task of the event.
    pub of_child: bool,
    /// The last namespaces that it was observed in.
    pub known: NamespaceSet,
    /// Its namespaces now.
    pub found: NamespaceSet,
}

impl Gap {
    fn between(known: &NamespaceSet, found: &NamespaceSet) -> Option<Self> {
        let differs = !SlotSet::differing(known, found).is_empty();
        differs.then_some(Self {
            of_child: false,
            known: *known,
            found: *found,
        })
    }

    /// The slots that changed.
    pub fn slots(&self) -> impl Iterator<Item = &'static str> {
        SlotSet::differing(&self.known, &self.found).names()
    }
}

/// The namespaces that a thread was last observed in, and when.
#[derive(Clone, Copy, Debug)]
struct LastSeen {
    namespaces: NamespaceSet,
    /// CLOCK_BOOTTIME. An older event does not contradict it: the list of tasks is newer
    /// than the first events.
    since_ns: u64,
}

/// Every task that was observed.
#[derive(Debug)]
pub struct Lineage {
    threads: HashMap<ThreadId, LastSeen>,
    programs: HashMap<ProcessId, Rc<Program>>,
    parents: HashMap<ProcessId, ProcessId>,
    nsexec: Vec<FileId>,
    /// How many times a task was not tracked because the table was full.
    forgotten: u64,
}

impl Lineage {
    /// `nsexec`: the files that are nsexec.
    #[must_use]
    pub fn new(nsexec: Vec<FileId>) -> Self {
        Self {
            threads: HashMap::new(),
            programs: HashMap::new(),
            parents: HashMap::new(),
            nsexec,
            forgotten: 0,
        }
    }

    /// Learns from an event; returns the gap, if the namespaces of the task differ from
    /// those that were last observed.
    pub fn observe(&mut self, event: &Event) -> Option<Gap> {
        match event {
            Event::Namespace(record) => self.namespace(record),
            Event::Fork(record) => self.fork(record),
            Event::Exec(record) => self.exec(record),
            Event::Exit(record) => self.exit(record),
            Event::Snapshot(record) => {
                self.snapshot(record);
                None
            }
        }
    }

    fn namespace(&mut self, record: &Namespace) -> Option<Gap> {
        let at_ns = record.header.boot_ns;
        let unseen = record.call.notes.has(EventFlags::BEGINNING_UNSEEN);
        let before = (!unseen).then_some(&record.before);
        let actor = ThreadId::of(&record.actor);
        if record.child == TaskId::NONE {
            return self.moved(actor, before, record.after, at_ns);
        }
        let gap = before.and_then(|before| self.check(actor, before, at_ns));
        self.set(ThreadId::from_id(&record.child), record.after, at_ns);
        gap
    }

    fn fork(&mut self, record: &Fork) -> Option<Gap> {
        let at_ns = record.header.boot_ns;
        let child = ThreadId::from_id(&record.child);
        let process = ProcessId::from_id(&record.child);
        let parent = ProcessId::of(&record.actor);
        if process != parent {
            self.parents.insert(process, parent);
            if let Some(program) = self.programs.get(&parent).cloned() {
                self.programs.insert(process, program);
            }
        }
        // A task that was made in namespaces of its own is known already.
        let gap = if self.threads.contains_key(&child) {
            let gap = self.check(child, &record.namespaces, at_ns);
            gap.map(|gap| Gap {
                of_child: true,
                ..gap
            })
        } else {
            self.check_fork(ThreadId::of(&record.actor), &record.namespaces, at_ns)
        };
        self.set(child, record.namespaces, at_ns);
        gap
    }

    fn exec(&mut self, record: &Exec) -> Option<Gap> {
        let at_ns = record.header.boot_ns;
        let thread = ThreadId {
            tid: record.old_tid,
            ..ThreadId::of(&record.actor)
        };
        let gap = self.check_exec(thread, &record.namespaces, at_ns);
        self.threads.remove(&thread);
        self.set(ThreadId::of(&record.actor), record.namespaces, at_ns);
        let process = ProcessId::of(&record.actor);
        let file = FileId::of(&record.actor);
        let path = record.path.get();
        // nsexec executes itself again from a file that no process can write to.
        let again = path.is_empty() || path.starts_with(b"/dev/fd/");
        let before = self.programs.get(&process).is_some_and(|p| p.is_nsexec);
        let program = Program {
            file,
            path: path.to_vec(),
            arguments: record.arguments.get().to_vec(),
            is_nsexec: self.is_nsexec(file) || (again && before),
        };
        self.programs.insert(process, Rc::new(program));
        self.parents
            .insert(process, ProcessId::from_id(&record.parent));
        gap
    }

    fn exit(&mut self, record: &Exit) -> Option<Gap> {
        let thread = ThreadId::of(&record.actor);
        let gap = self.check(thread, &record.namespaces, record.header.boot_ns);
        self.threads.remove(&thread);
        if record.live == 0 {
            let process = ProcessId::of(&record.actor);
            self.programs.remove(&process);
            self.parents.remove(&process);
        }
        gap
    }

    fn snapshot(&mut self, record: &Snapshot) {
        // An event since then is newer.
        self.threads
            .entry(ThreadId::of(&record.task))
            .or_insert(LastSeen {
                namespaces: record.namespaces,
                since_ns: record.header.boot_ns,
            });
        let process = ProcessId::of(&record.task);
        let parent = ProcessId::from_id(&record.parent);
        self.parents.entry(process).or_insert(parent);
        let file = FileId::of(&record.task);
        let is_nsexec = self.is_nsexec(file);
        self.programs.entry(process).or_insert_with(|| {
            Rc::new(Program {
                file,
                path: Vec::new(),
                arguments: Vec::new(),
                is_nsexec,
            })
        });
    }

    fn is_nsexec(&self, file: Option<FileId>) -> bool {
        file.is_some_and(|file| self.nsexec.contains(&file))
    }

    /// The program of the process, as far as it was observed.
    #[must_use]
    pub fn program(&self, process: ProcessId) -> Option<&Rc<Program>> {
        self.programs.get(&process)
    }

    /// The ancestors of the process, its parent first; at most eight.
    pub fn ancestors(&self, process: ProcessId) -> impl Iterator<Item = ProcessId> {
        let next = |process: &ProcessId| self.parents.get(process).copied();
        std::iter::successors(next(&process), move |process| next(process)).take(8)
    }

    /// How many times a task was not tracked because the table was full.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The namespaces of the thread, as far as they are older than the event.
    fn known(&self, thread: ThreadId, at_ns: u64) -> Option<NamespaceSet> {
        let known = self.threads.get(&thread)?;
        (known.since_ns <= at_ns).then_some(known.namespaces)
    }

    fn check(&self, thread: ThreadId, found: &NamespaceSet, at_ns: u64) -> Option<Gap> {
        Gap::between(&self.known(thread, at_ns)?, found)
    }

    /// A child is where its parent is, except for the two namespaces that a task has for
    /// its children: those do not show where the parent itself is.
    fn check_fork(&mut self, parent: ThreadId, child: &NamespaceSet, at_ns: u64) -> Option<Gap> {
        let known = self.known(parent, at_ns)?;
        let found = child
            .with(Slot::Pid, known.get(Slot::Pid))
            .with(Slot::Time, known.get(Slot::Time));
        let gap = Gap::between(&known, &found)?;
        self.set(parent, found, at_ns);
        Some(gap)
    }

    /// At execve(2) the time namespace for children becomes the task's own; Linux 6.1
    /// leaves it where it is.
    fn check_exec(&self, thread: ThreadId, found: &NamespaceSet, at_ns: u64) -> Option<Gap> {
        let before = self.known(thread, at_ns)?;
        let taken = before.with(Slot::Time, before.get(Slot::TimeForChildren));
        Gap::between(&before, found).and_then(|_| Gap::between(&taken, found))
    }

    /// A thread changes its namespaces; `found`: those that it was in, if that was
    /// observed.
    fn moved(
        &mut self,
        thread: ThreadId,
        found: Option<&NamespaceSet>,
        namespaces: NamespaceSet,
        at_ns: u64,
    ) -> Option<Gap> {
        let Some(known) = self.threads.get_mut(&thread) else {
            self.set(thread, namespaces, at_ns);
            return None;
        };
        let last = LastSeen {
            namespaces,
            since_ns: at_ns,
        };
        let before = std::mem::replace(known, last);
        let found = found.filter(|_| before.since_ns <= at_ns)?;
        Gap::between(&before.namespaces, found)
    }

    fn set(&mut self, thread: ThreadId, namespaces: NamespaceSet, since_ns: u64) {
        if self.threads.len() < MAX_TASKS || self.threads.contains_key(&thread) {
            let last = LastSeen {
                namespaces,
                since_ns,
            };
            self.threads.insert(thread, last);
        } else {
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests;
