//! Which of what happened is told.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::cgroups::{Cgroup, Cgroups, Name};
use crate::container::{Container, Place};
use crate::crossing::Passage;
use crate::judge::Class;
use crate::record::{ExecId, Flags};
use crate::slots::SlotSet;
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
    /// Only what happens in this cgroup and all below it.
    pub cgroup: Option<Name>,
    /// Only what happens in the containers of this name, or beginning of an id, and
    /// what enters them.
    pub container: Option<String>,
    /// Forks, execs and exits as well.
    pub lineage: bool,
}

/// Fewer characters are no beginning of an id: only a whole name.
const LEAST_PREFIX: usize = 4;

/// A filter at work.
#[derive(Debug)]
pub struct Filtering {
    filter: Filter,
    /// Its own doings are nobody's question.
    own: u32,
    /// By their exec_id: the root, and all that comes from it.
    tree: HashSet<ExecId>,
    /// The path of the cgroup that was asked for.
    below: Option<PathBuf>,
}

impl Filtering {
    /// `own`: the auditor's pid.
    #[must_use]
    pub fn new(filter: Filter, own: u32) -> Self {
        Self {
            filter,
            own,
            tree: HashSet::new(),
            below: None,
        }
    }

    /// Looks up the cgroup that is asked for.
    ///
    /// # Errors
    /// There is none of this number, in words.
    pub fn resolve(&mut self, cgroups: &mut Cgroups) -> Result<(), String> {
        self.below = match &self.filter.cgroup {
            None => None,
            Some(name) => Some(
                cgroups
                    .path(name)
                    .ok_or("--cgroup: there is no cgroup of this number here")?,
            ),
        };
        Ok(())
    }

    /// Only what comes from this process, from here on.
    pub fn follow(&mut self, root: u32) {
        self.filter.root = Some(root);
    }

    /// Whether this is told. Every thing has to be shown to it, in order.
    pub fn passes(&mut self, told: &Told) -> bool {
        match told {
            Told::Lost(_) => true,
            Told::Gap(line) => {
                line.tgid != self.own
                    && self.in_tree(line.tgid, line.exec_id)
                    && self.happens(&line.cgroup, &Passage::default())
            }
            Told::Namespace(line, class) => {
                let inside = self.in_tree(line.actor.tgid, line.actor.exec_id);
                if inside && let Some(child) = &line.child {
                    self.grow(child.exec_id);
                }
                let classes = &self.filter.classes;
                inside
                    && line.actor.tgid != self.own
                    && (classes.is_empty() || classes.contains(class))
                    && self.happens(&line.actor.cgroup, &line.passage)
                    && self.changes(line.ns.changed, line.op.flags)
                    && self.executes(line.actor.exe.as_deref())
            }
            Told::Lineage(line) => {
                let inside = self.in_tree(line.actor.tgid, line.actor.exec_id);
                if inside && let Some(child) = &line.child {
                    self.grow(child.exec_id);
                }
                inside
                    && self.filter.lineage
                    && self.happens(&line.actor.cgroup, &Passage::default())
                    && line.actor.tgid != self.own
                    && self.executes(line.actor.exe.as_deref())
            }
        }
    }

    fn in_tree(&mut self, tgid: u32, exec_id: ExecId) -> bool {
        match self.filter.root {
            None => true,
            Some(root) => {
                if tgid == root {
                    self.grow(exec_id);
                }
                self.tree.contains(&exec_id)
            }
        }
    }

    fn grow(&mut self, exec_id: ExecId) {
        if self.filter.root.is_some() {
            self.tree.insert(exec_id);
        }
    }

    /// Whether it happens where it is asked for. Where that is not known it could be
    /// there, and is not to be missing.
    fn happens(&self, cgroup: &Cgroup, passage: &Passage) -> bool {
        let is_below = match (&self.below, &cgroup.path) {
            (Some(below), Some(path)) => path.starts_with(below),
            (None, _) | (_, None) => true,
        };
        let wanted = |container: &Container| {
            let id = self.filter.container.as_deref().unwrap_or_default();
            container.id == id || (id.len() >= LEAST_PREFIX && container.id.starts_with(id))
        };
        let from = [&cgroup.place, &passage.from];
        let is_inside = self.filter.container.is_none()
            || cgroup.place == Place::Unknown
            || passage.entered.as_deref().is_some_and(wanted)
            || from
                .iter()
                .any(|place| matches!(place, Place::Container(one) if wanted(one)));
        is_below && is_inside
    }

    fn changes(&self, changed: SlotSet, flags: Flags) -> bool {
        let slots = &self.filter.slots;
        slots.is_empty()
            || slots.iter().any(|slot| {
                let flag = flag_of(slot);
                changed
                    .names()
                    .any(|one| one.trim_end_matches("_for_children") == slot)
                    || flags.names().any(|one| Some(one) == flag)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::container;

    const ID: &str = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";

    fn at(path: &str) -> Cgroup {
        let place = match container::of_path(path.as_ref()) {
            Some(container) => Place::Container(Arc::new(container)),
            None => Place::Host,
        };
        let path = Some(PathBuf::from(path).into());
        Cgroup { place, path }
    }

    fn container(of: &Cgroup) -> Arc<Container> {
        match &of.place {
            Place::Container(container) => Arc::clone(container),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_container_is_asked_for_by_its_name_or_by_the_beginning_of_it() {
        let docker = at(&format!("/docker/{ID}"));
        let (web, host) = (at("/web"), at("/system.slice/a.service"));
        let unknown = Cgroup::default();
        for (wanted, told) in [
            ("4f79", [true, false, false, true]),
            (ID, [true, false, false, true]),
            ("4f7", [false, false, false, true]),
            ("web", [false, true, false, true]),
            ("we", [false, false, false, true]),
            ("webs", [false, false, false, true]),
        ] {
            let filter = Filter {
                container: Some(wanted.to_owned()),
                ..Filter::default()
            };
            let filtering = Filtering::new(filter, 1);
            let none = Passage::default();
            let found = [&docker, &web, &host, &unknown].map(|at| filtering.happens(at, &none));
            assert_eq!(found, told, "{wanted}");
        }
    }

    #[test]
    fn what_enters_a_container_and_what_leaves_it_is_told_with_it() {
        let filter = Filter {
            container: Some("web".to_owned()),
            ..Filter::default()
        };
        let filtering = Filtering::new(filter, 1);
        let (web, host) = (at("/web"), at("/"));
        let passage = |entered, from: &Cgroup| Passage {
            entered,
            from: from.place.clone(),
            ..Passage::default()
        };
        let inside = Some(container(&web));
        assert!(filtering.happens(&host, &passage(inside, &host)));
        assert!(filtering.happens(&host, &passage(None, &web)));
        assert!(!filtering.happens(&host, &passage(Some(container(&at("/c1"))), &host)));
    }

    #[test]
    fn a_cgroup_is_asked_for_with_all_below_it() {
        let mut filtering = Filtering::new(Filter::default(), 1);
        filtering.below = Some("/system.slice".into());
        for (path, told) in [
            ("/system.slice", true),
            ("/system.slice/a.service/b", true),
            ("/system.slices", false),
            ("/", false),
        ] {
            let found = filtering.happens(&at(path), &Passage::default());
            assert_eq!(found, told, "{path}");
        }
        assert!(filtering.happens(&Cgroup::default(), &Passage::default()));
    }
}
