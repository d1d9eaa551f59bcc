//! The events that are reported.

use std::collections::HashSet;
use std::path::PathBuf;

use nsexec_audit_abi::code::Slot;

use crate::enrich::cgroups::{Cgroups, Name};
use crate::model::container::{Cgroup, Container, Place};
use crate::model::event::{Class, Crossing, NamespaceEvent, OutputEvent};
use crate::model::namespaces::NamespaceType;
use crate::model::process::{Actor, ProcessId, ProcessRef};

/// The criteria; all of them have to hold, and one that is not set always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only calls of these classes.
    pub classes: Vec<Class>,
    /// Only calls that changed a namespace of one of these types, or requested one.
    pub types: Vec<NamespaceType>,
    /// Only this process and its descendants.
    pub root: Option<u32>,
    /// Only programs with a path that ends with this.
    pub exe: Option<String>,
    /// Only tasks in this cgroup and below it.
    pub cgroup: Option<Name>,
    /// Only tasks in the containers of this name, or beginning of an id, and those that
    /// enter or leave them.
    pub container: Option<String>,
    /// Forks, execs and exits as well.
    pub lineage: bool,
}

/// Fewer characters are no beginning of an id: only a whole name.
const MIN_PREFIX: usize = 4;

/// A filter with the state that it needs.
#[derive(Debug)]
pub struct ActiveFilter {
    criteria: Filter,
    /// The auditor, whose own events are not reported.
    own: u32,
    /// The root process and its descendants.
    tree: HashSet<ProcessId>,
    /// The path of the cgroup of the criteria.
    below: Option<PathBuf>,
}

impl ActiveFilter {
    /// `own`: the auditor's pid.
    #[must_use]
    pub fn new(criteria: Filter, own: u32) -> Self {
        Self {
            criteria,
            own,
            tree: HashSet::new(),
            below: None,
        }
    }

    /// Looks up the cgroup of the criteria.
    ///
    /// # Errors
    /// No cgroup has this number.
    pub fn resolve(&mut self, cgroups: &mut Cgroups) -> Result<(), String> {
        self.below = match &self.criteria.cgroup {
            None => None,
            Some(name) => Some(
                cgroups
                    .path(name)
                    .ok_or("--cgroup: no cgroup has this number")?,
            ),
        };
        Ok(())
    }

    /// From now on, only this process and its descendants.
    pub fn follow(&mut self, root: u32) {
        self.criteria.root = Some(root);
    }

    /// Whether the event is reported. Every event has to be passed to it, in order.
    pub fn matches(&mut self, event: &OutputEvent) -> bool {
        match event {
            OutputEvent::Lost(_) => true,
            OutputEvent::Gap(gap) => {
                gap.tgid != self.own
                    && self.is_in_tree(gap.exec_id)
                    && self.is_in_place(&gap.cgroup, &Crossing::default())
            }
            OutputEvent::Namespace(event) => {
                let inside = self.follows(&event.actor, event.child);
                let classes = &self.criteria.classes;
                inside
                    && (classes.is_empty() || classes.contains(&event.class))
                    && self.is_in_place(&event.actor.cgroup, &event.crossing)
                    && self.is_of_type(event)
                    && self.executes(event.actor.exe.as_deref())
            }
            OutputEvent::Lineage(_, event) => {
                let inside = self.follows(&event.actor, event.child);
                inside
                    && self.criteria.lineage
                    && self.is_in_place(&event.actor.cgroup, &Crossing::default())
                    && self.executes(event.actor.exe.as_deref())
            }
        }
    }

    /// Whether the actor is in the tree, as its child then is, and is not the auditor.
    fn follows(&mut self, actor: &Actor, child: Option<ProcessRef>) -> bool {
        let inside = self.is_in_tree(actor.exec_id);
        if inside && let Some(child) = child {
            self.add_to_tree(child.exec_id);
        }
        inside && actor.tgid != self.own
    }

    fn is_in_tree(&mut self, process: ProcessId) -> bool {
        match self.criteria.root {
            None => true,
            Some(root) => {
                if process.tgid == root {
                    self.add_to_tree(process);
                }
                self.tree.contains(&process)
            }
        }
    }

    fn add_to_tree(&mut self, process: ProcessId) {
        if self.criteria.root.is_some() {
            self.tree.insert(process);
        }
    }

    /// Whether the task is in the cgroup and container of the criteria. An unknown place
    /// could be that one, so its events are reported.
    fn is_in_place(&self, cgroup: &Cgroup, crossing: &Crossing) -> bool {
        let is_below = match (&self.below, &cgroup.path) {
            (Some(below), Some(path)) => path.starts_with(below),
            (None, _) | (_, None) => true,
        };
        let wanted = |container: &Container| {
            let id = self.criteria.container.as_deref().unwrap_or_default();
            container.id == id || (id.len() >= MIN_PREFIX && container.id.starts_with(id))
        };
        let from = [&cgroup.place, &crossing.from];
        let is_inside = self.criteria.container.is_none()
            || cgroup.place == Place::Unknown
            || crossing.entered.as_deref().is_some_and(wanted)
            || from
                .iter()
                .any(|place| matches!(place, Place::Container(one) if wanted(one)));
        is_below && is_inside
    }

    fn is_of_type(&self, event: &NamespaceEvent) -> bool {
        let types = &self.criteria.types;
        let wanted = |one: &NamespaceType| types.contains(one);
        let changed = |slot: Slot| wanted(&NamespaceType::of_slot(slot));
        types.is_empty()
            || event.ns.changed.iter().any(changed)
            || event.op.flags.types().any(|one| wanted(&one))
    }

    fn executes(&self, exe: Option<&str>) -> bool {
        match &self.criteria.exe {
            None => true,
            Some(wanted) => exe.is_some_and(|exe| {
                exe.strip_suffix(wanted.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.ends_with('/') || wanted.starts_with('/')
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests;
