use nsexec_audit_abi::code::{Abi, Hook, Kind, Syscall};
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::{Call, Header, Target, Text, UserNamespace, Version};
use nsexec_audit_abi::record::{Exec, Exit, Fork, Namespace, Snapshot};

use super::*;

pub(crate) fn header(kind: Kind, hook: Hook, boot_ns: u64) -> Header {
    Header {
        version: Version::THIS,
        kind,
        hook,
        length: 0,
        cpu: 0,
        reserved: Reserved::ZERO,
        sequence: 0,
        lost: 0,
        boot_ns,
    }
}

/// A process of one thread, which executes the file of this inode.
pub(crate) fn task(tid: u32, inode: u64) -> Task {
    Task {
        start_ns: u64::from(tid) * 10,
        leader_start_ns: u64::from(tid) * 10,
        cgroup_id: 1,
        exe_inode: inode,
        capabilities: 0,
        tgid: tid,
        tid,
        ns_tgid: tid,
        ns_tid: tid,
        uid: 0,
        gid: 0,
        euid: 0,
        egid: 0,
        login_uid: u32::MAX,
        session: u32::MAX,
        exe_device: 8,
        seccomp: 0,
        no_new_privs: Bool::new(false),
        reserved: Reserved::ZERO,
        comm: *b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    }
}

pub(crate) fn kin(task: &Task) -> Kin {
    Kin {
        start_ns: task.start_ns,
        leader_start_ns: task.leader_start_ns,
        tgid: task.tgid,
        tid: task.tid,
    }
}

/// Slots with ids from here on.
pub(crate) fn vector(first: u32) -> Vector {
    let mut vector = Vector::NONE;
    for (number, (id, inum)) in (first..).zip(vector.id.iter_mut().zip(&mut vector.inum)) {
        *id = u64::from(number) << 8;
        *inum = number;
    }
    // Its children are where it is itself.
    let same = [("pid", "pid_for_children"), ("time", "time_for_children")];
    for (own, children) in same.map(|(own, children)| (place(own), place(children))) {
        vector.inum[children] = vector.inum[own];
        vector.id[children] = vector.id[own];
    }
    vector
}

fn place(slot: &str) -> usize {
    SLOT_NAMES.iter().position(|name| *name == slot).unwrap()
}

/// One with another namespace in this slot.
pub(crate) fn with(mut vector: Vector, slot: &str, number: u32) -> Vector {
    let place = place(slot);
    vector.inum[place] = number;
    vector.id[place] = u64::from(number) << 8;
    vector
}

pub(crate) fn text<const N: usize>(of: &[u8]) -> Text<N> {
    let mut bytes = [0; N];
    bytes[..of.len()].copy_from_slice(of);
    Text {
        length: u16::try_from(of.len()).unwrap(),
        cut: Bool::new(false),
        reserved: Reserved::ZERO,
        bytes,
    }
}

pub(crate) fn call(syscall: Syscall, ret: i64) -> Call {
    Call {
        flags: 0,
        ret,
        target: Target::NONE,
        fd: -1,
        notes: Notes::NONE,
        syscall,
        abi: Abi::Native,
        reserved: Reserved::ZERO,
    }
}

pub(crate) fn namespace(actor: Task, call: Call, before: Vector, after: Vector) -> Namespace {
    Namespace {
        header: header(Kind::Namespace, Hook::SetnsExit, 1),
        actor,
        parent: Kin::NONE,
        child: Kin::NONE,
        call,
        before,
        after,
        user: UserNamespace {
            parent_id: 0,
            parent_inum: 0,
            owner: 0,
            level: 0,
            reserved: Reserved::ZERO,
        },
    }
}

pub(crate) fn exec(actor: Task, path: &[u8], vector: Vector) -> Event {
    Event::Exec(Exec {
        header: header(Kind::Exec, Hook::SchedProcessExec, 1),
        actor,
        parent: Kin::NONE,
        vector,
        old_tid: actor.tid,
        path: text(path),
        arguments: text(b"a\0b\0"),
        reserved: Reserved::ZERO,
    })
}

pub(crate) fn exit_of(actor: Task, boot_ns: u64) -> Event {
    exit(actor, vector(1), boot_ns)
}

fn exit(actor: Task, vector: Vector, boot_ns: u64) -> Event {
    Event::Exit(Exit {
        header: header(Kind::Exit, Hook::SchedProcessExit, boot_ns),
        actor,
        vector,
        status: 0,
        live: 0,
    })
}

fn fork(actor: Task, child: &Task, vector: Vector) -> Event {
    Event::Fork(Fork {
        header: header(Kind::Fork, Hook::Fork, 1),
        actor,
        child: kin(child),
        vector,
    })
}

fn snapshot(task: Task, parent: Kin, vector: Vector) -> Event {
    Event::Snapshot(Snapshot {
        header: header(Kind::Snapshot, Hook::IterTask, 0),
        task,
        parent,
        vector,
    })
}

#[test]
fn what_was_seen_to_change_is_no_gap() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    let host = vector(1);
    assert_eq!(lineage.see(&snapshot(parent, Kin::NONE, host)), None);
    assert_eq!(lineage.see(&fork(parent, &child, host)), None);
    let inside = with(host, "net", 77);
    let joined = namespace(child, call(Syscall::Setns, 0), host, inside);
    assert_eq!(lineage.see(&Event::Namespace(joined)), None);
    assert_eq!(lineage.see(&exec(child, b"/bin/true", inside)), None);
    assert_eq!(lineage.see(&exit(child, inside, 9)), None);
    // The parent stayed where it was.
    assert_eq!(lineage.see(&exit(parent, host, 9)), None);
}

#[test]
fn what_nobody_saw_is_a_gap_with_its_slots_and_told_once() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    lineage.see(&snapshot(task, Kin::NONE, vector(1)));
    let found = with(with(vector(1), "uts", 90), "mnt", 91);
    let gap = lineage.see(&exec(task, b"/bin/true", found)).unwrap();
    assert_eq!(gap.slots().collect::<Vec<_>>(), ["mnt", "uts"]);
    assert_eq!((gap.known, gap.found), (vector(1), found));
    assert_eq!(lineage.see(&exit(task, found, 9)), None);
}

#[test]
fn a_child_shows_what_nobody_saw_of_its_parent() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    let known = with(
        with(vector(1), "pid_for_children", 50),
        "time_for_children",
        70,
    );
    lineage.see(&snapshot(parent, Kin::NONE, known));
    // It is where its parent has its children.
    let first = with(with(known, "pid", 50), "time", 70);
    assert_eq!(lineage.see(&fork(parent, &child, first)), None);
    // vfork(2) does not take the time namespace.
    let second = with(known, "pid", 50);
    assert_eq!(lineage.see(&fork(parent, &task(7, 1), second)), None);
    let third = with(first, "net", 90);
    let gap = lineage.see(&fork(parent, &task(8, 1), third)).unwrap();
    assert_eq!(gap.slots().collect::<Vec<_>>(), ["net"]);
    assert!(!gap.of_child);
    // Told once, and of the parent alone.
    let now = with(known, "net", 90);
    assert_eq!(lineage.see(&exit(parent, now, 9)), None);
    assert_eq!(lineage.see(&exit(task(8, 1), third, 9)), None);
    assert_eq!(lineage.see(&exit(child, first, 9)), None);
}

#[test]
fn a_child_that_is_not_where_it_was_made_is_a_gap_of_its_own() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    lineage.see(&snapshot(parent, Kin::NONE, vector(1)));
    let inside = with(vector(1), "uts", 90);
    let mut made = namespace(parent, call(Syscall::Clone3, 6), vector(1), inside);
    made.child = kin(&child);
    assert_eq!(lineage.see(&Event::Namespace(made)), None);
    let gap = lineage.see(&fork(parent, &child, with(inside, "uts", 91)));
    assert!(gap.unwrap().of_child);
    assert_eq!(lineage.see(&exit(parent, vector(1), 9)), None);
}

#[test]
fn an_exec_takes_the_time_namespace_for_children_or_leaves_it() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    let made = with(vector(1), "time_for_children", 90);
    lineage.see(&snapshot(task, Kin::NONE, made));
    assert_eq!(lineage.see(&exec(task, b"/bin/true", made)), None);
    let taken = with(made, "time", 90);
    assert_eq!(lineage.see(&exec(task, b"/bin/true", taken)), None);
    let other = with(made, "time", 91);
    assert!(lineage.see(&exec(task, b"/bin/true", other)).is_some());
}

#[test]
fn what_is_older_than_the_list_of_tasks_says_nothing_against_it() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    let (first, then, now) = (
        vector(1),
        with(vector(1), "uts", 90),
        with(vector(1), "uts", 91),
    );
    let at = |before, after, boot_ns| {
        let mut record = namespace(task, call(Syscall::Unshare, 0), before, after);
        record.header.boot_ns = boot_ns;
        Event::Namespace(record)
    };
    let mut listed = snapshot(task, Kin::NONE, now);
    if let Event::Snapshot(listed) = &mut listed {
        listed.header.boot_ns = 30;
    }
    lineage.see(&listed);
    assert_eq!(lineage.see(&at(first, then, 10)), None);
    assert_eq!(lineage.see(&at(then, now, 20)), None);
    let gap = lineage.see(&exit(task, first, 40)).unwrap();
    assert_eq!((gap.known, gap.found), (now, first));
}

#[test]
fn a_pid_that_was_given_again_is_another_task() {
    let mut lineage = Lineage::new(Vec::new());
    let first = task(5, 1);
    lineage.see(&snapshot(first, Kin::NONE, vector(1)));
    let second = Task {
        start_ns: 999,
        leader_start_ns: 999,
        ..first
    };
    assert_eq!(lineage.see(&exec(second, b"/bin/true", vector(40))), None);
    assert_eq!(
        lineage.program(Process::of(&second)).unwrap().path,
        b"/bin/true"
    );
    assert_eq!(lineage.program(Process::of(&first)).unwrap().path, b"");
}

#[test]
fn nsexec_is_known_by_its_file_and_when_it_executes_itself_again() {
    let file = File {
        device: 8,
        inode: 42,
    };
    let mut lineage = Lineage::new(vec![file]);
    let is = |lineage: &Lineage, task: &Task| lineage.program(Process::of(task)).unwrap().is_nsexec;
    // Its name alone does not make it one.
    lineage.see(&exec(task(5, 7), b"/usr/bin/nsexec", vector(1)));
    assert!(!is(&lineage, &task(5, 7)));
    lineage.see(&exec(task(6, 42), b"/opt/renamed", vector(1)));
    assert!(is(&lineage, &task(6, 42)));
    // From sealed memory, by its descriptor: the same process, another file.
    lineage.see(&exec(task(6, 99), b"", vector(1)));
    assert!(is(&lineage, &task(6, 99)));
    // Its child is still it, until it executes the program.
    lineage.see(&fork(task(6, 99), &task(7, 99), vector(1)));
    assert!(is(&lineage, &task(7, 99)));
    lineage.see(&exec(task(7, 3), b"/bin/sh", vector(1)));
    assert!(!is(&lineage, &task(7, 3)));
    // A program that was never nsexec does not become it.
    lineage.see(&exec(task(8, 99), b"", vector(1)));
    assert!(!is(&lineage, &task(8, 99)));
}

#[test]
fn ancestors_are_told_nearest_first_and_only_so_many() {
    let mut lineage = Lineage::new(Vec::new());
    for tid in 1..=20 {
        lineage.see(&fork(task(tid, 1), &task(tid + 1, 1), vector(1)));
    }
    let tgids: Vec<u32> = lineage
        .ancestors(Process::of(&task(21, 1)))
        .map(|process| process.tgid)
        .collect();
    assert_eq!(tgids, [20, 19, 18, 17, 16, 15, 14, 13]);
    lineage.see(&exit(task(21, 1), vector(1), 9));
    assert_eq!(lineage.ancestors(Process::of(&task(21, 1))).count(), 0);
}
