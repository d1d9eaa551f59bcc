use nsexec_audit_abi::code::Syscall;
use nsexec_audit_abi::parts::Task;

use super::*;
use crate::fixtures::{
    call, exec, exit, fork, namespace, namespace_set, snapshot, task, task_id, with,
};

#[test]
fn an_observed_change_is_no_gap() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    let host = namespace_set(1);
    assert_eq!(lineage.observe(&snapshot(parent, TaskId::NONE, host)), None);
    assert_eq!(lineage.observe(&fork(parent, &child, host)), None);
    let inside = with(host, "net", 77);
    let joined = namespace(child, call(Syscall::Setns, 0), host, inside);
    assert_eq!(lineage.observe(&Event::Namespace(joined)), None);
    assert_eq!(lineage.observe(&exec(child, b"/bin/true", inside)), None);
    assert_eq!(lineage.observe(&exit(child, inside, 9)), None);
    // The parent stayed in its namespaces.
    assert_eq!(lineage.observe(&exit(parent, host, 9)), None);
}

#[test]
fn an_unobserved_change_is_reported_once_with_its_slots() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    lineage.observe(&snapshot(task, TaskId::NONE, namespace_set(1)));
    let found = with(with(namespace_set(1), "uts", 90), "mnt", 91);
    let gap = lineage.observe(&exec(task, b"/bin/true", found)).unwrap();
    assert_eq!(gap.slots().collect::<Vec<_>>(), ["mnt", "uts"]);
    assert_eq!((gap.known, gap.found), (namespace_set(1), found));
    assert_eq!(lineage.observe(&exit(task, found, 9)), None);
}

#[test]
fn a_child_shows_an_unobserved_change_of_its_parent() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    let known = with(
        with(namespace_set(1), "pid_for_children", 50),
        "time_for_children",
        70,
    );
    lineage.observe(&snapshot(parent, TaskId::NONE, known));
    // It is in the namespaces of its parent's children.
    let first = with(with(known, "pid", 50), "time", 70);
    assert_eq!(lineage.observe(&fork(parent, &child, first)), None);
    // vfork(2) does not take the time namespace.
    let second = with(known, "pid", 50);
    assert_eq!(lineage.observe(&fork(parent, &task(7, 1), second)), None);
    let third = with(first, "net", 90);
    let gap = lineage.observe(&fork(parent, &task(8, 1), third)).unwrap();
    assert_eq!(gap.slots().collect::<Vec<_>>(), ["net"]);
    assert!(!gap.of_child);
    // Reported once, and only for the parent.
    let now = with(known, "net", 90);
    assert_eq!(lineage.observe(&exit(parent, now, 9)), None);
    assert_eq!(lineage.observe(&exit(task(8, 1), third, 9)), None);
    assert_eq!(lineage.observe(&exit(child, first, 9)), None);
}

#[test]
fn a_child_that_is_not_where_it_was_made_is_a_gap_of_its_own() {
    let mut lineage = Lineage::new(Vec::new());
    let (parent, child) = (task(5, 1), task(6, 1));
    lineage.observe(&snapshot(parent, TaskId::NONE, namespace_set(1)));
    let inside = with(namespace_set(1), "uts", 90);
    let mut made = namespace(parent, call(Syscall::Clone3, 6), namespace_set(1), inside);
    made.child = task_id(&child);
    assert_eq!(lineage.observe(&Event::Namespace(made)), None);
    let gap = lineage.observe(&fork(parent, &child, with(inside, "uts", 91)));
    assert!(gap.unwrap().of_child);
    assert_eq!(lineage.observe(&exit(parent, namespace_set(1), 9)), None);
}

#[test]
fn an_exec_takes_the_time_namespace_for_children_or_leaves_it() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    let made = with(namespace_set(1), "time_for_children", 90);
    lineage.observe(&snapshot(task, TaskId::NONE, made));
    assert_eq!(lineage.observe(&exec(task, b"/bin/true", made)), None);
    let taken = with(made, "time", 90);
    assert_eq!(lineage.observe(&exec(task, b"/bin/true", taken)), None);
    let other = with(made, "time", 91);
    assert!(lineage.observe(&exec(task, b"/bin/true", other)).is_some());
}

#[test]
fn events_before_the_list_of_tasks_are_no_gaps() {
    let mut lineage = Lineage::new(Vec::new());
    let task = task(5, 1);
    let (first, then, now) = (
        namespace_set(1),
        with(namespace_set(1), "uts", 90),
        with(namespace_set(1), "uts", 91),
    );
    let at = |before, after, boot_ns| {
        let mut record = namespace(task, call(Syscall::Unshare, 0), before, after);
        record.header.boot_ns = boot_ns;
        Event::Namespace(record)
    };
    let mut listed = snapshot(task, TaskId::NONE, now);
    if let Event::Snapshot(listed) = &mut listed {
        listed.header.boot_ns = 30;
    }
    lineage.observe(&listed);
    assert_eq!(lineage.observe(&at(first, then, 10)), None);
    assert_eq!(lineage.observe(&at(then, now, 20)), None);
    let gap = lineage.observe(&exit(task, first, 40)).unwrap();
    assert_eq!((gap.known, gap.found), (now, first));
}

#[test]
fn a_reused_pid_is_another_task() {
    let mut lineage = Lineage::new(Vec::new());
    let first = task(5, 1);
    lineage.observe(&snapshot(first, TaskId::NONE, namespace_set(1)));
    let second = Task {
        start_ns: 999,
        leader_start_ns: 999,
        ..first
    };
    assert_eq!(
        lineage.observe(&exec(second, b"/bin/true", namespace_set(40))),
        None
    );
    assert_eq!(
        lineage.program(ProcessId::of(&second)).unwrap().path,
        b"/bin/true"
    );
    assert_eq!(lineage.program(ProcessId::of(&first)).unwrap().path, b"");
}

#[test]
fn nsexec_is_recognised_by_its_file_and_its_second_exec() {
    let file = FileId {
        device: 8,
        inode: 42,
    };
    let mut lineage = Lineage::new(vec![file]);
    let is =
        |lineage: &Lineage, task: &Task| lineage.program(ProcessId::of(task)).unwrap().is_nsexec;
    // Its name alone does not make it nsexec.
    lineage.observe(&exec(task(5, 7), b"/usr/bin/nsexec", namespace_set(1)));
    assert!(!is(&lineage, &task(5, 7)));
    lineage.observe(&exec(task(6, 42), b"/opt/renamed", namespace_set(1)));
    assert!(is(&lineage, &task(6, 42)));
    // From sealed memory, by its descriptor: the same process with another file.
    lineage.observe(&exec(task(6, 99), b"", namespace_set(1)));
    assert!(is(&lineage, &task(6, 99)));
    // Its child is still nsexec, until it executes the program.
    lineage.observe(&fork(task(6, 99), &task(7, 99), namespace_set(1)));
    assert!(is(&lineage, &task(7, 99)));
    lineage.observe(&exec(task(7, 3), b"/bin/sh", namespace_set(1)));
    assert!(!is(&lineage, &task(7, 3)));
    // A program that was never nsexec does not become it.
    lineage.observe(&exec(task(8, 99), b"", namespace_set(1)));
    assert!(!is(&lineage, &task(8, 99)));
}

#[test]
fn ancestors_are_listed_from_the_parent_up_to_a_limit() {
    let mut lineage = Lineage::new(Vec::new());
    for tid in 1..=20 {
        lineage.observe(&fork(task(tid, 1), &task(tid + 1, 1), namespace_set(1)));
    }
    let tgids: Vec<u32> = lineage
        .ancestors(ProcessId::of(&task(21, 1)))
        .map(|process| process.tgid)
        .collect();
    assert_eq!(tgids, [20, 19, 18, 17, 16, 15, 14, 13]);
    lineage.observe(&exit(task(21, 1), namespace_set(1), 9));
    assert_eq!(lineage.ancestors(ProcessId::of(&task(21, 1))).count(), 0);
}
