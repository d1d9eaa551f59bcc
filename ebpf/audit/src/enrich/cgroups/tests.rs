use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::fixtures::task;

const ID: &str = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";

/// A hierarchy of ordinary directories, removed at the end.
struct Machine {
    directory: PathBuf,
    cgroups: Cgroups,
}

impl Machine {
    fn new(test: &str) -> Self {
        let name = format!("nsexec-cgroups-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let cgroups = Cgroups {
            last: None,
            hierarchy: Hierarchy::at(&directory),
            sees_root: true,
            known: BoundedCache::new(MOST),
            searched_ns: 0,
            again_ns: 0,
        };
        Self { directory, cgroups }
    }

    fn make(&self, path: &str) -> u64 {
        let directory = self.directory.join(path);
        fs::create_dir_all(&directory).unwrap();
        fs::metadata(&directory).unwrap().ino()
    }

    /// The cgroup of an ended task.
    fn of(&mut self, id: u64, boot_ns: u64) -> Cgroup {
        let mut task = task(u32::MAX, 1);
        task.cgroup_id = id;
        self.cgroups.of(&task, boot_ns)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn container(cgroup: &Cgroup) -> Option<&str> {
    match &cgroup.place {
        Place::Container(container) => Some(&container.id),
        Place::Host | Place::Unknown => None,
    }
}

#[test]
fn the_cgroup_of_an_ended_task_is_found_by_id() {
    let mut machine = Machine::new("ended");
    let inner = machine.make(&format!("docker/{ID}/init.scope"));
    let service = machine.make("system.slice/sshd.service");
    let found = machine.of(inner, 1);
    assert_eq!(container(&found), Some(ID));
    let path = PathBuf::from(format!("/docker/{ID}/init.scope"));
    assert_eq!(found.path.as_deref(), Some(path.as_path()));
    assert_eq!(machine.of(service, 1).place, Place::Host);
    assert_eq!(machine.of(ROOT, 1).place, Place::Host);
    // A cgroup id keeps its meaning.
    fs::remove_dir_all(machine.directory.join("docker")).unwrap();
    assert_eq!(machine.of(inner, u64::MAX), found);
}

#[test]
fn an_unknown_cgroup_is_not_the_hosts() {
    let mut machine = Machine::new("gone");
    for id in [0, u64::MAX] {
        assert_eq!(machine.of(id, 1), Cgroup::default());
    }
    assert_eq!(Cgroup::default().place, Place::Unknown);
    // A cgroup that is no container here can be one outside this namespace.
    let service = machine.make("system.slice/sshd.service");
    machine.cgroups.sees_root = false;
    assert_eq!(machine.of(service, u64::MAX).place, Place::Unknown);
}

#[test]
fn a_task_that_moved_on_is_where_it_was() {
    let mut machine = Machine::new("moved");
    let before = machine.make("before");
    // The task of this test is in another cgroup.
    let mut task = task(nix::unistd::gettid().as_raw().cast_unsigned(), 1);
    task.cgroup_id = before;
    let found = machine.cgroups.of(&task, 1);
    assert_eq!(found.path.as_deref(), Some(Path::new("/before")));
}

#[test]
fn a_search_is_repeated_only_for_newer_cgroups() {
    let mut machine = Machine::new("again");
    machine.of(u64::MAX, 1);
    let searched = machine.cgroups.searched_ns;
    let late = machine.make("late");
    assert_eq!(machine.of(late, searched - 1), Cgroup::default());
    machine.cgroups.again_ns = u64::MAX;
    assert_eq!(machine.of(late, searched), Cgroup::default());
    machine.cgroups.again_ns = 0;
    assert_eq!(container(&machine.of(late, searched)), Some("late"));
}

#[test]
fn names_are_numbers_or_paths_in_the_hierarchy_or_where_it_is_mounted() {
    let mut machine = Machine::new("names");
    let id = machine.make("a/b");
    let mounted = machine.directory.join("a/b");
    for (name, path) in [
        (Name::Id(ROOT), Some("/")),
        (Name::Id(id), Some("/a/b")),
        (Name::Id(u64::MAX), None),
        (Name::Path(mounted), Some("/a/b")),
        (Name::Path("/to/come".into()), Some("/to/come")),
    ] {
        let found = machine.cgroups.path(&name);
        assert_eq!(found.as_deref(), path.map(Path::new), "{name:?}");
    }
}
