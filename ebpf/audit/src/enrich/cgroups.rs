//! Finds the path and the container of a cgroup by its number.
//!
//! The number of a cgroup is unique within a boot, so a result stays valid, even after the
//! process that it was found by has ended.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nsexec_audit_abi::parts::Task;
use nsexec_kernel_text::procfs::cgroup;

use super::container;
use crate::cgroup_hierarchy::Hierarchy;
use crate::clock::boottime_ns;
use crate::enrich::bounded_cache::BoundedCache;
use crate::model::container::{Cgroup, Place};

/// The number of the root.
const ROOT: u64 = 1;

/// The smallest size of the cache of cgroups: a path has at most 4096 bytes.
const MOST: usize = 1 << 13;

/// Most directories that a search reads: a process may have made any number.
const MOST_SEARCHED: usize = 1 << 14;

/// A search that took this long is followed by a pause of nine times that: cgroups that
/// are made and removed must not keep the auditor busy.
const LONG_NS: u64 = 20_000_000;

/// The inode of the first cgroup namespace, PROC_CGROUP_INIT_INO of the kernel's
/// proc_ns.h: in another one, the visible root is not the real one.
const FIRST_NAMESPACE: &str = "cgroup:[4026531835]";

/// A cgroup on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Id(u64),
    /// In its hierarchy, or where that is mounted: absolute, without `..`.
    Path(PathBuf),
}

/// The cgroups that were looked up.
#[derive(Debug)]
pub struct Cgroups {
    hierarchy: Hierarchy,
    /// A cgroup that is not below a container's is the host's.
    sees_root: bool,
    known: BoundedCache<u64, Cgroup>,
    /// The last one, as most are looked up many times in a row.
    last: Option<(u64, Cgroup)>,
    /// The time of the last search, by CLOCK_BOOTTIME: a cgroup that existed then and was
    /// not found is gone.
    searched_ns: u64,
    /// The earliest time of the next search.
    again_ns: u64,
}

impl Cgroups {
    /// Those of this host.
    #[must_use]
    pub fn here() -> Self {
        let namespace = fs::read_link("/proc/self/ns/cgroup");
        Self {
            hierarchy: Hierarchy::here(),
            sees_root: namespace.is_ok_and(|name| name == Path::new(FIRST_NAMESPACE)),
            known: BoundedCache::new(MOST),
            last: None,
            searched_ns: 0,
            again_ns: 0,
        }
    }

    /// A message about cgroups that the auditor cannot see, if there are any.
    #[must_use]
    pub fn blind_spot(&self) -> Option<String> {
        let name = self.hierarchy.kind.name();
        match self.hierarchy.mounted() {
            None => Some(format!("the cgroups of {name} are not mounted")),
            Some((root, _)) if !self.sees_root || root != Path::new("/") => Some(format!(
                "cgroups of {name} outside this container cannot be seen"
            )),
            Some(_) => None,
        }
    }

    /// The cgroup that a task was in at this time of CLOCK_BOOTTIME. Cheap once it is known;
    /// call it soon, before the cgroup is removed.
    pub fn of(&mut self, task: &Task, boot_ns: u64) -> Cgroup {
        let id = task.cgroup_id;
        if let Some((_, known)) = self.last.as_ref().filter(|(last, _)| *last == id) {
            return known.clone();
        }
        if let Some(known) = self.known.get(&id) {
            let known = known.clone();
            self.last = Some((id, known.clone()));
            return known;
        }
        match id {
            // This kernel has no cgroups.
            0 => return Cgroup::default(),
            ROOT => return self.found(ROOT, Path::new("/"), Place::Host),
            _ => {}
        }
        // A search would read two files for each event and find nothing.
        if self.hierarchy.mounted().is_none() {
            return Cgroup::default();
        }
        if let Some(path) = self.path_now(task) {
            let place = self.place(&path);
            return self.found(id, &path, place);
        }
        if boot_ns >= self.searched_ns && boottime_ns() >= self.again_ns {
            self.search();
        }
        self.known.get(&id).cloned().unwrap_or_default()
    }

    /// The path of a cgroup in the hierarchy; none: it does not exist.
    pub fn path(&mut self, name: &Name) -> Option<PathBuf> {
        match name {
            Name::Id(ROOT) => Some("/".into()),
            Name::Id(id) => {
                self.search();
                Some(self.known.get(id)?.path.as_ref()?.to_path_buf())
            }
            Name::Path(path) => Some(match self.hierarchy.mounted() {
                Some((root, at)) if path.starts_with(at) => {
                    root.join(path.strip_prefix(at).unwrap_or(path))
                }
                _ => path.clone(),
            }),
        }
    }

    /// Caches the path and the place of a cgroup.
    pub(crate) fn found(&mut self, id: u64, path: &Path, place: Place) -> Cgroup {
        let path = Some(path.into());
        let cgroup = Cgroup { place, path };
        self.known.put(id, cgroup.clone());
        cgroup
    }

    /// The path of the task now by its /proc, if it is still in that cgroup.
    fn path_now(&self, task: &Task) -> Option<PathBuf> {
        let file = File::open(format!("/proc/{}/cgroup", task.tid)).ok()?;
        let most = u64::try_from(cgroup::MAX_BYTES).unwrap_or(u64::MAX);
        let mut list = Vec::new();
        file.take(most.saturating_add(1))
            .read_to_end(&mut list)
            .ok()?;
        // It may have ended, its pid may be reused, or it may have moved: the number
        // shows that.
        let path = self.hierarchy.path(&list)?;
        (self.hierarchy.id_of(&path) == Some(task.cgroup_id)).then_some(path)
    }

    /// Reads all cgroups, from the root down.
    fn search(&mut self) {
        let Some((root, at)) = self.hierarchy.mounted() else {
            return;
        };
        let (root, at) = (root.to_owned(), at.to_owned());
        let begun = boottime_ns();
        let mut waiting = VecDeque::from([PathBuf::new()]);
        for _ in 0..MOST_SEARCHED {
            let Some(directory) = waiting.pop_front() else {
                break;
            };
            // A removed one has no children.
            let entries = fs::read_dir(at.join(&directory)).into_iter().flatten();
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let below = directory.join(entry.file_name());
                    let path = root.join(&below);
                    let place = self.place(&path);
                    self.found(entry.ino(), &path, place);
                    waiting.push_back(below);
                }
            }
        }
        let ended = boottime_ns();
        let took = ended.saturating_sub(begun);
        let pause = if took < LONG_NS { 0 } else { 9 * took };
        (self.searched_ns, self.again_ns) = (begun, ended.saturating_add(pause));
    }

    fn place(&self, path: &Path) -> Place {
        match container::of_path(path) {
            Some(container) => Place::Container(Arc::new(container)),
            None if self.sees_root => Place::Host,
            None => Place::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
