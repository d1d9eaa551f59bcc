//! The tasks that are there, and what was counted, as JSON.

use nsexec_audit_abi::counters::Position;
use nsexec_audit_abi::parts::{Header, Kin, SLOT_NAMES, SLOTS, Task, UNSET, Vector};
use nsexec_audit_abi::record::Snapshot;
use serde_json::{Map, Value, json};

use crate::account::{Broken, Sample};

/// A task that was there.
#[must_use]
pub fn snapshot(record: &Snapshot) -> Value {
    let mut object = header(&record.header);
    for (name, value) in [
        ("actor", task(&record.task)),
        ("parent", kin(&record.parent)),
        ("ns", vector(&record.vector)),
    ] {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// What was counted, as one object. `nice`: of the thread that reads; `at`: the two
/// times; `ended`: the sums have to be equal.
#[must_use]
pub fn health(
    sample: &Sample,
    broken: &[Broken],
    forgotten: u64,
    nice: i32,
    at: (u64, i64),
    ended: bool,
) -> Value {
    let hooks: Map<String, Value> = sample
        .counters
        .iter()
        .map(|(hook, _)| {
            let sum = |of| sample.sum(*hook, of);
            let value = json!({
                "seen": sum(|one| one.seen),
                "filtered": sum(|one| one.filtered),
                "written": sum(|one| one.written),
                "ring_full": sum(|one| one.ring_full),
                "pending_full": sum(|one| one.pending_full),
                "beginning_unseen": sum(|one| one.beginning_unseen),
            });
            (hook.name().to_owned(), value)
        })
        .collect();
    let ring = |by_cpu: &Vec<Position>| -> Value {
        by_cpu
            .iter()
            .map(|one| json!({ "sequence": one.sequence, "lost": one.lost }))
            .collect()
    };
    let [namespaces, lineage] = &sample.positions;
    let missed: Map<String, Value> = sample
        .missed
        .iter()
        .map(|(program, count)| ((*program).to_owned(), (*count).into()))
        .collect();
    json!({
        "kind": "health",
        "ts_boot_ns": at.0,
        "ts_wall_ms": at.1,
        "backend": sample.backend,
        "ended": ended,
        "broken": broken.iter().map(Broken::to_string).collect::<Vec<_>>(),
        "forgotten": forgotten,
        "nice": nice,
        "hooks": hooks,
        "missed": missed,
        "rings": { "namespaces": ring(namespaces), "lineage": ring(lineage) },
    })
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
    let comm = task.comm.split(|byte| *byte == 0).next();
    json!({
        "tgid": task.tgid,
        "tid": task.tid,
        "ns_tgid": task.ns_tgid,
        "ns_tid": task.ns_tid,
        "start_boottime_ns": task.start_ns,
        "leader_start_boottime_ns": task.leader_start_ns,
        "comm": lossy(comm.unwrap_or_default()),
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

fn kin(kin: &Kin) -> Value {
    json!({
        "tgid": kin.tgid,
        "tid": kin.tid,
        "start_boottime_ns": kin.start_ns,
        "leader_start_boottime_ns": kin.leader_start_ns,
    })
}

fn vector(vector: &Vector) -> Value {
    names(vector)
        .map(|(name, slot)| (name.to_owned(), namespace(slot)))
        .collect::<Map<_, _>>()
        .into()
}

/// Each slot's name, inode number and ns_id.
fn names(vector: &Vector) -> impl Iterator<Item = (&'static str, (u32, u64))> {
    let pairs: [(u32, u64); SLOTS] = {
        let mut ids = vector.id.iter();
        vector
            .inum
            .map(|inum| (inum, ids.next().copied().unwrap_or_default()))
    };
    SLOT_NAMES.into_iter().zip(pairs)
}

fn namespace((inum, id): (u32, u64)) -> Value {
    json!({ "inum": inum, "id": id })
}

fn lossy(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}
