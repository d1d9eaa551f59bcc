//! `--snapshot`: the existing tasks as JSON.

use nsexec_audit_abi::parts::{Header, NamespaceSet, Task, TaskId, UNSET};
use nsexec_audit_abi::record::Snapshot;
use serde_json::{Map, Value, json};

use crate::model::namespaces::slots;
use crate::model::process::comm;

/// A task that was there.
#[must_use]
pub fn snapshot(record: &Snapshot) -> Value {
    let mut object = header(&record.header);
    for (name, value) in [
        ("actor", task(&record.task)),
        ("parent", task_id(&record.parent)),
        ("ns", namespaces(&record.namespaces)),
    ] {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

fn header(header: &Header) -> Map<String, Value> {
    [
        ("kind", header.kind.name().into()),
        ("backend", header.hook.name().into()),
        ("cpu", header.cpu.into()),
        ("cpu_seq", header.sequence.into()),
        ("lost_before", header.lost.into()),
        ("ts_boot_ns", header.boot_ns.into()),
    ]
    .into_iter()
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .collect()
}

fn task(task: &Task) -> Value {
    json!({
        "tgid": task.tgid,
        "tid": task.tid,
        "ns_tgid": task.ns_tgid,
        "ns_tid": task.ns_tid,
        "start_boottime_ns": task.start_ns,
        "leader_start_boottime_ns": task.leader_start_ns,
        "comm": comm(task),
        "exe": { "major": task.exe_device >> 20, "minor": task.exe_device & 0xf_ffff, "ino": task.exe_inode },
        "uid": task.uid,
        "gid": task.gid,
        "euid": task.euid,
        "egid": task.egid,
        "loginuid": unless_unset(task.login_uid),
        "sessionid": unless_unset(task.session),
        "caps_eff": format!("{:#x}", task.capabilities),
        "no_new_privs": task.no_new_privs.get(),
        "seccomp_mode": task.seccomp,
        "cgroup_id": task.cgroup_id,
    })
}

fn unless_unset(number: u32) -> Option<u32> {
    (number != UNSET).then_some(number)
}

fn task_id(id: &TaskId) -> Value {
    json!({
        "tgid": id.tgid,
        "tid": id.tid,
        "start_boottime_ns": id.start_ns,
        "leader_start_boottime_ns": id.leader_start_ns,
    })
}

fn namespaces(set: &NamespaceSet) -> Value {
    slots(set)
        .map(|(slot, (inum, id))| (slot.name().to_owned(), json!({ "inum": inum, "id": id })))
        .collect::<Map<_, _>>()
        .into()
}
