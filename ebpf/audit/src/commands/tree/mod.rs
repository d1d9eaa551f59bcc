//! `nsexec-audit tree`: the processes and their namespaces, now.
//!
//! Processes that are in the same container and in the same ten namespaces are a
//! set. Each set is drawn once, and its processes beneath it as the tree that
//! they are.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal as _};

use nsexec_audit_abi::code::Slot;
use nsexec_audit_abi::parts::{NamespaceSet, SLOTS, Task};
use nsexec_audit_abi::record::Snapshot;
use nsexec_kernel_text::procfs::stat;
use serde_json::{Map, Value, json};

use super::{probes, write_json};
use crate::cli::options::TreeOptions;
use crate::clock::TICK_NS;
use crate::config::Format;
use crate::enrich::cgroups::Cgroups;
use crate::enrich::enricher::KTHREADD;
use crate::loader::probes::Sizes;
use crate::model::container::Place;
use crate::model::namespaces::{NamespaceId, SlotSet, slots};
use crate::model::process::{ProcessId, comm};
use crate::output::text::Text;

mod text;

/// Draws the processes and their namespaces.
///
/// # Errors
/// The probes cannot be loaded, or the output cannot be written.
pub fn run(options: &TreeOptions, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    let probes = options.probes.as_deref();
    let tasks = probes::load(probes, Sizes::DEFAULT, None)?.snapshot()?;
    let tree = Tree::of(&tasks, &look_up(&tasks));
    match options.format.unwrap_or_default() {
        Format::Json => write_json(&tree.json(), out)?,
        Format::Text => {
            let colour = io::stdout().is_terminal();
            out.write_all(tree.text(Text { colour }).as_bytes())?;
        }
    }
    Ok(0)
}

/// Facts about a process that the probes do not report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    pub place: Place,
    /// The path of its executable, in its own root.
    pub exe: Option<String>,
}

/// The other facts about every process among the tasks.
#[must_use]
pub fn look_up(tasks: &[Snapshot]) -> HashMap<ProcessId, ProcessInfo> {
    let mut cgroups = Cgroups::here();
    let mut known = HashMap::new();
    for snapshot in tasks {
        let process = ProcessId::of(&snapshot.task);
        known.entry(process).or_insert_with(|| ProcessInfo {
            place: cgroups.of(&snapshot.task, snapshot.header.boot_ns).place,
            exe: exe(process),
        });
    }
    known
}

fn exe(process: ProcessId) -> Option<String> {
    let link = fs::read_link(format!("/proc/{}/exe", process.tgid)).ok()?;
    // The process still exists, so the link was its own.
    let stat = fs::read(format!("/proc/{}/stat", process.tgid)).ok()?;
    let stat = stat::parse(&stat).ok()?;
    let same = stat.start_time == process.start_ns / TICK_NS;
    same.then(|| link.to_string_lossy().into_owned())
}

/// Every process in its set.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The host's set first, if it is known; then in the order of their first processes, so
    /// that a set comes after the set of its parent.
    sets: Vec<Set>,
    /// In the order of their creation.
    nodes: Vec<Node>,
    /// The number of each set.
    numbers: HashMap<Key, usize>,
}

/// The properties that the members of a set share.
type Key = (Place, [u32; SLOTS], [u64; SLOTS]);

/// Processes of one container and the same namespaces.
#[derive(Clone, Debug)]
struct Set {
    place: Place,
    namespaces: NamespaceSet,
    /// The set of the parent of its first process.
    from: Option<usize>,
    /// The slots that differ from those of `from`.
    differs: SlotSet,
    roots: Vec<usize>,
}

/// A process; or a thread with other namespaces than its process.
#[derive(Clone, Debug)]
struct Node {
    task: Task,
    is_thread: bool,
    /// The pid of the parent; of a thread, its process.
    parent: u32,
    exe: Option<String>,
    set: usize,
    /// Its parent is in another set, or does not exist.
    is_first: bool,
    /// Those in the same set.
    children: Vec<usize>,
    /// A kernel thread in the same set as kthreadd.
    is_kernels: bool,
}

impl Tree {
    /// Builds the tree of all tasks and the other facts about their processes. A process in
    /// an unknown place is drawn in the place of its parent.
    #[must_use]
    pub fn of(tasks: &[Snapshot], known: &HashMap<ProcessId, ProcessInfo>) -> Self {
        let mut tree = Self {
            sets: Vec::new(),
            nodes: Vec::new(),
            numbers: HashMap::new(),
        };
        let kthreadd = |task: &&Snapshot| task.task.tgid == KTHREADD && task.task.exe_inode == 0;
        if let Some(kthreadd) = tasks.iter().find(kthreadd) {
            tree.set(Place::Host, kthreadd.namespaces, None);
        }
        let mut threads: HashMap<ProcessId, Vec<&Snapshot>> = HashMap::new();
        for task in tasks {
            threads
                .entry(ProcessId::of(&task.task))
                .or_default()
                .push(task);
        }
        let mut processes: Vec<(ProcessId, Vec<&Snapshot>)> = threads.into_iter().collect();
        // A parent is older than its children, so it is added before them.
        processes.sort_by_key(|(process, _)| (process.start_ns, process.tgid));
        let mut places: HashMap<ProcessId, usize> = HashMap::new();
        let unknown = ProcessInfo::default();
        for (process, mut threads) in processes {
            // A leader that has ended has left its namespaces.
            threads.sort_by_key(|thread| {
                let left = thread
                    .namespaces
                    .inum
                    .iter()
                    .filter(|inum| **inum == 0)
                    .count();
                (left, thread.task.tid != thread.task.tgid, thread.task.tid)
            });
            let Some((main, others)) = threads.split_first() else {
                continue;
            };
            let parent = places.get(&ProcessId::from_id(&main.parent)).copied();
            let known = known.get(&process).unwrap_or(&unknown);
            let node = tree.add(main, parent, known, false);
            places.insert(process, node);
            for thread in others {
                let own = tree.namespaces_of(node);
                if !SlotSet::differing(&own, &thread.namespaces).is_empty() {
                    tree.add(thread, Some(node), known, true);
                }
            }
        }
        tree
    }

    fn namespaces_of(&self, node: usize) -> NamespaceSet {
        let set = self
            .nodes
            .get(node)
            .and_then(|node| self.sets.get(node.set));
        set.map_or(NamespaceSet::NONE, |set| set.namespaces)
    }

    /// Adds a node below another one: to its set, or to the new set that it starts.
    fn add(
        &mut self,
        snapshot: &Snapshot,
        parent: Option<usize>,
        known: &ProcessInfo,
        is_thread: bool,
    ) -> usize {
        let parent_set = parent
            .and_then(|parent| self.nodes.get(parent))
            .map(|node| node.set);
        // A process without a known place is taken for the host's.
        let from = parent_set.or_else(|| (!self.sets.is_empty()).then_some(0));
        let above = from.and_then(|set| self.sets.get(set));
        let namespaces = filled(snapshot.namespaces, above.map(|set| &set.namespaces));
        let place = match (&known.place, parent_set.and(above)) {
            (Place::Unknown, Some(above)) => above.place.clone(),
            (place, _) => place.clone(),
        };
        let set = self.set(place, namespaces, from);
        let node = self.nodes.len();
        let is_first = parent_set != Some(set);
        let siblings = if is_first {
            self.sets.get_mut(set).map(|set| &mut set.roots)
        } else {
            let parent = parent.and_then(|parent| self.nodes.get_mut(parent));
            parent.map(|parent| &mut parent.children)
        };
        if let Some(siblings) = siblings {
            siblings.push(node);
        }
        let task = snapshot.task;
        self.nodes.push(Node {
            task,
            is_thread,
            parent: if is_thread {
                task.tgid
            } else {
                snapshot.parent.tgid
            },
            exe: known.exe.clone(),
            set,
            is_first,
            children: Vec::new(),
            is_kernels: task.exe_inode == 0 && snapshot.parent.tgid == KTHREADD && !is_first,
        });
        node
    }

    /// The number of a set, which is created at its first use.
    fn set(&mut self, place: Place, namespaces: NamespaceSet, from: Option<usize>) -> usize {
        let key = (place.clone(), namespaces.inum, namespaces.id);
        if let Some(set) = self.numbers.get(&key) {
            return *set;
        }
        let above = from.and_then(|set| self.sets.get(set));
        let differs = above.map(|above| SlotSet::differing(&above.namespaces, &namespaces));
        self.sets.push(Set {
            place,
            namespaces,
            from,
            differs: differs.unwrap_or_default(),
            roots: Vec::new(),
        });
        let set = self.sets.len() - 1;
        self.numbers.insert(key, set);
        set
    }

    /// As one object: every set with its processes, parents before children.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut members: Vec<Vec<Value>> = vec![Vec::new(); self.sets.len()];
        for node in &self.nodes {
            if let Some(members) = members.get_mut(node.set) {
                members.push(node.json());
            }
        }
        let sets = self.sets.iter().zip(members);
        let sets: Vec<Value> = sets.map(|(set, members)| set.json(members)).collect();
        json!({ "kind": "tree", "sets": sets })
    }
}

/// Fills the slots that a task has left with those of its parent.
fn filled(mut namespaces: NamespaceSet, parent: Option<&NamespaceSet>) -> NamespaceSet {
    let Some(parent) = parent else {
        return namespaces;
    };
    let own = namespaces.inum.iter_mut().zip(&mut namespaces.id);
    for ((inum, id), (_, theirs)) in own.zip(slots(parent)) {
        if *inum == 0 {
            (*inum, *id) = theirs;
        }
    }
    namespaces
}

impl Set {
    /// The drawn slots with their namespaces: those that differ, and all of them for a set
    /// without a parent.
    fn shown(&self) -> impl Iterator<Item = (Slot, NamespaceId)> {
        slots(&self.namespaces).filter(|(slot, id)| {
            let shown = self.from.is_none() || self.differs.contains(*slot);
            shown && id.0 != 0
        })
    }

    fn json(&self, processes: Vec<Value>) -> Value {
        let container = match &self.place {
            Place::Container(container) => json!({
                "runtime": container.runtime.name(),
                "id": container.id,
                "pod": container.pod,
                "path": container.path.to_string_lossy(),
            }),
            Place::Host | Place::Unknown => Value::Null,
        };
        let namespaces: Map<String, Value> = slots(&self.namespaces)
            .map(|(slot, (inum, id))| (slot.name().to_owned(), json!({ "inum": inum, "id": id })))
            .collect();
        json!({
            "place": match self.place {
                Place::Host => "host",
                Place::Container(_) => "container",
                Place::Unknown => "unknown",
            },
            "container": container,
            "from": self.from,
            "differs": self.differs,
            "ns": namespaces,
            "processes": processes,
        })
    }
}

impl Node {
    fn json(&self) -> Value {
        json!({
            "tgid": self.task.tgid,
            "tid": self.task.tid,
            "ns_tgid": self.task.ns_tgid,
            "parent": self.parent,
            "start_boottime_ns": self.task.start_ns,
            "comm": comm(&self.task),
            "exe": self.exe,
            "uid": self.task.uid,
        })
    }
}

#[cfg(test)]
mod tests;
