//! What is known of every task: its namespaces, its program, its parent.
//!
//! Every fork, exec and exit carries the namespaces that the task is in. Where
//! they are not those that it was left in, something happened that no probe saw
//! (a call of the 32-bit table, a probe that was taken out), and that is said.

use std::collections::HashMap;
use std::rc::Rc;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Notes;
use nsexec_audit_abi::parts::{Kin, SLOT_NAMES, Task, Vector};

use crate::slots::SlotSet;

/// Most tasks that are remembered: more than a machine has by default
/// (kernel.pid_max).
const MOST: usize = 1 << 17;

/// A thread, for good: its id and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub tid: u32,
    pub start_ns: u64,
}

/// A process, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub tgid: u32,
    pub start_ns: u64,
}

impl Process {
    /// Whose thread the task is.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        Self {
            tgid: task.tgid,
            start_ns: task.leader_start_ns,
        }
    }

    /// As a parent or child is named.
    #[must_use]
    pub fn of_kin(kin: &Kin) -> Self {
        Self {
            tgid: kin.tgid,
            start_ns: kin.leader_start_ns,
        }
    }
}

/// The file of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// As the kernel has it.
    pub device: u32,
    pub inode: u64,
}

impl File {
    /// What the task executes; a kernel thread has none.
    #[must_use]
    pub fn of(task: &Task) -> Option<Self> {
        (task.exe_inode != 0).then_some(Self {
            device: task.exe_device,
            inode: task.exe_inode,
        })
    }
}

/// A program that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub file: Option<File>,
    /// As the caller named it.
    pub path: Vec<u8>,
    /// Each ends with a zero.
    pub arguments: Vec<u8>,
    /// It is nsexec, by the identity of its file, or was executed by one that was.
    pub is_nsexec: bool,
}

/// A task is in other namespaces than it was left in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Found at a fork: it is the task that was made. Else the one whose event it is.
    pub of_child: bool,
    /// The last that was seen of it.
    pub known: Vector,
    /// What it is in.
    pub found: Vector,
}

impl Gap {
    fn between(known: &Vector, found: &Vector) -> Option<Self> {
        let differs = !SlotSet::differing(known, found).is_empty();
        differs.then_some(Self {
            of_child: false,
            known: *known,
            found: *found,
        })
    }

    /// The slots that changed unseen.
    pub fn slots(&self) -> impl Iterator<Item = &'static str> {
        SlotSet::differing(&self.known, &self.found).names()
    }
}

/// Where a thread was left, and when.
#[derive(Clone, Copy, Debug)]
struct Known {
    vector: Vector,
    /// CLOCK_BOOTTIME. What is older says nothing against it: the list of tasks is
    /// newer than what is written first.
    since_ns: u64,
}

/// Every task that was seen.
#[derive(Debug)]
pub struct Lineage {
    threads: HashMap<Thread, Known>,
    programs: HashMap<Process, Rc<Program>>,
    parents: HashMap<Process, Process>,
    nsexec: Vec<File>,
    /// Tasks that were not remembered for want of room.
    forgotten: u64,
}

impl Lineage {
    /// `nsexec`: the files that are nsexec.
    #[must_use]
    pub fn new(nsexec: Vec<File>) -> Self {
        Self {
            threads: HashMap::new(),
            programs: HashMap::new(),
            parents: HashMap::new(),
            nsexec,
            forgotten: 0,
        }
    }

    /// Learns from an event; the gap, if the task was not where it was left.
    pub fn see(&mut self, event: &Event) -> Option<Gap> {
        let at_ns = event.header().boot_ns;
        match event {
            Event::Namespace(record) => {
                let before = Some(&record.before);
                let unseen = record.call.notes.has(Notes::BEGINNING_UNSEEN);
                let before = before.filter(|_| !unseen);
                let actor = thread(&record.actor);
                if record.child == Kin::NONE {
                    return self.moved(actor, before, record.after, at_ns);
                }
                let gap = before.and_then(|before| self.check(actor, before, at_ns));
                self.left_in(thread_of(&record.child), record.after, at_ns);
                gap
            }
            Event::Fork(record) => {
                let child = thread_of(&record.child);
                let process = Process::of_kin(&record.child);
                let parent = Process::of(&record.actor);
                if process != parent {
                    self.parents.insert(process, parent);
                    if let Some(program) = self.programs.get(&parent).cloned() {
                        self.programs.insert(process, program);
                    }
                }
                // A task that was made in namespaces of its own is known already.
                let gap = if self.threads.contains_key(&child) {
                    let gap = self.check(child, &record.vector, at_ns);
                    gap.map(|gap| Gap {
                        of_child: true,
                        ..gap
                    })
                } else {
                    self.check_fork(thread(&record.actor), &record.vector, at_ns)
                };
                self.left_in(child, record.vector, at_ns);
                gap
            }
            Event::Exec(record) => {
                let thread = Thread {
                    tid: record.old_tid,
                    ..thread(&record.actor)
                };
                let gap = self.check_exec(thread, &record.vector, at_ns);
                self.threads.remove(&thread);
                self.left_in(self::thread(&record.actor), record.vector, at_ns);
                let process = Process::of(&record.actor);
                let file = File::of(&record.actor);
                let known = file.is_some_and(|file| self.nsexec.contains(&file));
                // It executes itself again from a file that cannot be written to.
                let again =
                    record.path.get().is_empty() || record.path.get().starts_with(b"/dev/fd/");
                let before = self.programs.get(&process).is_some_and(|p| p.is_nsexec);
                let program = Program {
                    file,
                    path: record.path.get().to_vec(),
                    arguments: record.arguments.get().to_vec(),
                    is_nsexec: known || (again && before),
                };
                self.programs.insert(process, Rc::new(program));
                self.parents
                    .insert(process, Process::of_kin(&record.parent));
                gap
            }
            Event::Exit(record) => {
                let thread = thread(&record.actor);
                let gap = self.check(thread, &record.vector, at_ns);
                self.threads.remove(&thread);
                if record.live == 0 {
                    let process = Process::of(&record.actor);
                    self.programs.remove(&process);
                    self.parents.remove(&process);
                }
                gap
            }
            Event::Snapshot(record) => {
                // What happened since is newer.
                self.threads.entry(thread(&record.task)).or_insert(Known {
                    vector: record.vector,
                    since_ns: at_ns,
                });
                let process = Process::of(&record.task);
                let parent = Process::of_kin(&record.parent);
                self.parents.entry(process).or_insert(parent);
                let file = File::of(&record.task);
                let is_nsexec = file.is_some_and(|file| self.nsexec.contains(&file));
                self.programs.entry(process).or_insert_with(|| {
                    Rc::new(Program {
                        file,
                        path: Vec::new(),
                        arguments: Vec::new(),
                        is_nsexec,
                    })
                });
                None
            }
        }
    }

    /// What the process executes, as far as it was seen.
    #[must_use]
    pub fn program(&self, process: Process) -> Option<&Rc<Program>> {
        self.programs.get(&process)
    }

    /// The processes above it, the nearest first; at most eight.
    pub fn ancestors(&self, process: Process) -> impl Iterator<Item = Process> {
        let next = |process: &Process| self.parents.get(process).copied();
        std::iter::successors(next(&process), move |process| next(process)).take(8)
    }

    /// How many tasks were not remembered for want of room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Where the thread was left, as far as that is older than what is found now.
    fn left(&self, thread: Thread, at_ns: u64) -> Option<Vector> {
        let known = self.threads.get(&thread)?;
        (known.since_ns <= at_ns).then_some(known.vector)
    }

    fn check(&self, thread: Thread, found: &Vector, at_ns: u64) -> Option<Gap> {
        Gap::between(&self.left(thread, at_ns)?, found)
    }

    /// Any other is where its parent is, but for the two namespaces that a task has for
    /// its children: those show nothing of where the parent itself is.
    fn check_fork(&mut self, parent: Thread, child: &Vector, at_ns: u64) -> Option<Gap> {
        let known = self.left(parent, at_ns)?;
        let mut found = *child;
        for slot in ["pid", "time"].into_iter().filter_map(place) {
            copy_slot(&known, slot, &mut found, slot);
        }
        let gap = Gap::between(&known, &found)?;
        self.left_in(parent, found, at_ns);
        Some(gap)
    }

    /// At execve(2) the time namespace for children becomes the task's own; Linux 6.1
    /// leaves it where it is.
    fn check_exec(&self, thread: Thread, found: &Vector, at_ns: u64) -> Option<Gap> {
        let before = self.left(thread, at_ns)?;
        let mut taken = before;
        if let (Some(time), Some(children)) = (place("time"), place("time_for_children")) {
            copy_slot(&before, children, &mut taken, time);
        }
        Gap::between(&before, found).and_then(|_| Gap::between(&taken, found))
    }

    /// From where it is found, if that was seen, to another place.
    fn moved(
        &mut self,
        thread: Thread,
        found: Option<&Vector>,
        vector: Vector,
        at_ns: u64,
    ) -> Option<Gap> {
        let Some(known) = self.threads.get_mut(&thread) else {
            self.left_in(thread, vector, at_ns);
            return None;
        };
        let left = Known {
            vector,
            since_ns: at_ns,
        };
        let before = std::mem::replace(known, left);
        let found = found.filter(|_| before.since_ns <= at_ns)?;
        Gap::between(&before.vector, found)
    }

    fn left_in(&mut self, thread: Thread, vector: Vector, since_ns: u64) {
        if self.threads.len() < MOST || self.threads.contains_key(&thread) {
            self.threads.insert(thread, Known { vector, since_ns });
        } else {
            self.forgotten += 1;
        }
    }
}

fn place(slot: &str) -> Option<usize> {
    SLOT_NAMES.iter().position(|name| *name == slot)
}

fn copy_slot(of: &Vector, from: usize, into: &mut Vector, to: usize) {
    if let (Some(inum), Some(id)) = (of.inum.get(from), of.id.get(from))
        && let (Some(to_inum), Some(to_id)) = (into.inum.get_mut(to), into.id.get_mut(to))
    {
        (*to_inum, *to_id) = (*inum, *id);
    }
}

pub(crate) fn thread(task: &Task) -> Thread {
    Thread {
        tid: task.tid,
        start_ns: task.start_ns,
    }
}

fn thread_of(kin: &Kin) -> Thread {
    Thread {
        tid: kin.tid,
        start_ns: kin.start_ns,
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
pub(crate) mod tests;
