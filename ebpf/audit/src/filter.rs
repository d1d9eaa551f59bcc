//! Which of what happened is told.

use std::collections::HashSet;

use crate::judge::Class;
use crate::story::Told;

/// What is asked for; what is not asked for is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these classes.
    pub classes: Vec<Class>,
    /// Only where one of these slots changed, or was asked for.
    pub slots: Vec<String>,
    /// Only what this process does, and what comes from it.
    pub root: Option<u32>,
    /// Only programs whose path ends so.
    pub exe: Option<String>,
    /// Forks, execs and exits as well.
    pub lineage: bool,
}

/// A filter at work.
#[derive(Debug)]
pub struct Filtering {
    filter: Filter,
    /// Its own doings are nobody's question.
    own: u32,
    /// By their exec_id: the root, and all that comes from it.
    tree: HashSet<String>,
}

impl Filtering {
    /// `own`: the auditor's pid.
    #[must_use]
    pub fn new(filter: Filter, own: u32) -> Self {
        Self {
            filter,
            own,
            tree: HashSet::new(),
        }
    }

    /// Only what comes from this process, from here on.
    pub fn follow(&mut self, root: u32) {
        self.filter.root = Some(root);
    }

    /// Whether this is told. Every thing has to be shown to it, in order.
    pub fn passes(&mut self, told: &Told) -> bool {
        match told {
            Told::Lost(_) => true,
            Told::Gap(line) => line.tgid != self.own && self.in_tree(line.tgid, &line.exec_id),
            Told::Namespace(line, class) => {
                let inside = self.in_tree(line.actor.tgid, &line.actor.exec_id);
                if inside && let Some(child) = &line.child {
                    self.grow(&child.exec_id);
                }
                let classes = &self.filter.classes;
                inside
                    && line.actor.tgid != self.own
                    && (classes.is_empty() || classes.contains(class))
                    && self.changes(&line.ns.changed, &line.op.flags)
                    && self.executes(line.actor.exe.as_deref())
            }
            Told::Lineage(line) => {
                let inside = self.in_tree(line.actor.tgid, &line.actor.exec_id);
                if inside && let Some(child) = &line.child {
                    self.grow(&child.exec_id);
                }
                inside
                    && self.filter.lineage
                    && line.actor.tgid != self.own
                    && self.executes(line.actor.exe.as_deref())
            }
        }
    }

    fn in_tree(&mut self, tgid: u32, exec_id: &str) -> bool {
        match self.filter.root {
            None => true,
            Some(root) => {
                if tgid == root {
                    self.grow(exec_id);
                }
                self.tree.contains(exec_id)
            }
        }
    }

    fn grow(&mut self, exec_id: &str) {
        if self.filter.root.is_some() && !self.tree.contains(exec_id) {
            self.tree.insert(exec_id.to_owned());
        }
    }

    fn changes(&self, changed: &[&str], flags: &[&str]) -> bool {
        let slots = &self.filter.slots;
        slots.is_empty()
            || slots.iter().any(|slot| {
                let flag = flag_of(slot);
                changed
                    .iter()
                    .any(|one| one.trim_end_matches("_for_children") == slot)
                    || flags.iter().any(|one| Some(*one) == flag)
            })
    }

    fn executes(&self, exe: Option<&str>) -> bool {
        match &self.filter.exe {
            None => true,
            Some(wanted) => exe.is_some_and(|exe| {
                exe.strip_suffix(wanted.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.ends_with('/') || wanted.starts_with('/')
                })
            }),
        }
    }
}

/// The types that can be asked for, with the flag of each.
pub const TYPES: [(&str, &str); 8] = [
    ("cgroup", "NEWCGROUP"),
    ("ipc", "NEWIPC"),
    ("mnt", "NEWNS"),
    ("net", "NEWNET"),
    ("pid", "NEWPID"),
    ("time", "NEWTIME"),
    ("user", "NEWUSER"),
    ("uts", "NEWUTS"),
];

fn flag_of(slot: &str) -> Option<&'static str> {
    let mut types = TYPES.iter();
    types.find(|(name, _)| *name == slot).map(|(_, flag)| *flag)
}
