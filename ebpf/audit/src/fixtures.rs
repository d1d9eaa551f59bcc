//! Records for unit tests.

use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Abi, EventFlags, Hook, Kind, Slot, Syscall};
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::{
    Call, Header, NamespaceSet, Target, Task, TaskId, Text, UserNamespace, Version,
};
use nsexec_audit_abi::record::{Exec, Exit, Fork, Namespace, Snapshot};

use crate::model::names::Name as _;

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
        tgid: tid,
        tid,
        ns_tgid: tid,
        ns_tid: tid,
        login_uid: u32::MAX,
        session: u32::MAX,
        exe_device: 8,
        comm: *b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ..Task::ZERO
    }
}

pub(crate) fn task_id(task: &Task) -> TaskId {
    TaskId {
        start_ns: task.start_ns,
        leader_start_ns: task.leader_start_ns,
        tgid: task.tgid,
        tid: task.tid,
    }
}

/// A namespace set whose ids count from this one.
pub(crate) fn namespace_set(first: u32) -> NamespaceSet {
    let mut namespace_set = NamespaceSet::NONE;
    for (number, (id, inum)) in
        (first..).zip(namespace_set.id.iter_mut().zip(&mut namespace_set.inum))
    {
        *id = u64::from(number) << 8;
        *inum = number;
    }
    // Its children are in its own namespaces.
    namespace_set
        .with(Slot::PidForChildren, namespace_set.get(Slot::Pid))
        .with(Slot::TimeForChildren, namespace_set.get(Slot::Time))
}

/// The same with another namespace in this slot.
pub(crate) fn with(namespace_set: NamespaceSet, slot: &str, number: u32) -> NamespaceSet {
    let slot = Slot::from_name(slot).unwrap();
    namespace_set.with(slot, (number, u64::from(number) << 8))
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
        notes: EventFlags::NONE,
        syscall,
        abi: Abi::Native,
        reserved: Reserved::ZERO,
    }
}

pub(crate) fn namespace(
    actor: Task,
    call: Call,
    before: NamespaceSet,
    after: NamespaceSet,
) -> Namespace {
    Namespace {
        header: header(Kind::Namespace, Hook::SetnsExit, 1),
        actor,
        parent: TaskId::NONE,
        child: TaskId::NONE,
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

pub(crate) fn exec(actor: Task, path: &[u8], namespace_set: NamespaceSet) -> Event {
    Event::Exec(Exec {
        header: header(Kind::Exec, Hook::SchedProcessExec, 1),
        actor,
        parent: TaskId::NONE,
        namespaces: namespace_set,
        old_tid: actor.tid,
        path: text(path),
        arguments: text(b"a\0b\0"),
        reserved: Reserved::ZERO,
    })
}

pub(crate) fn exit_of(actor: Task, boot_ns: u64) -> Event {
    exit(actor, namespace_set(1), boot_ns)
}

pub(crate) fn exit(actor: Task, namespace_set: NamespaceSet, boot_ns: u64) -> Event {
    Event::Exit(Exit {
        header: header(Kind::Exit, Hook::SchedProcessExit, boot_ns),
        actor,
        namespaces: namespace_set,
        status: 0,
        live: 0,
    })
}

pub(crate) fn fork(actor: Task, child: &Task, namespace_set: NamespaceSet) -> Event {
    Event::Fork(Fork {
        header: header(Kind::Fork, Hook::Fork, 1),
        actor,
        child: task_id(child),
        namespaces: namespace_set,
    })
}

pub(crate) fn snapshot(task: Task, parent: TaskId, namespace_set: NamespaceSet) -> Event {
    Event::Snapshot(Snapshot {
        header: header(Kind::Snapshot, Hook::IterTask, 0),
        task,
        parent,
        namespaces: namespace_set,
    })
}
