//! Events as JSON: what the probes wrote, and nothing that has to be found out.

use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Hook, Notes, Source};
use nsexec_audit_abi::counters::{Counters, Position};
use nsexec_audit_abi::parts::{
    Call, Header, Kin, SLOT_NAMES, SLOTS, Target, Task, UNSET, UserNamespace, Vector,
};
use nsexec_audit_abi::record::Snapshot;
use serde_json::{Map, Value, json};

/// An event, as one object.
#[must_use]
pub fn event(event: &Event) -> Value {
    let mut object = header(event.header());
    let mut put = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    match event {
        Event::Namespace(record) => {
            put("actor", task(&record.actor));
            put("parent", kin(&record.parent));
            put("op", call(&record.call));
            if record.child != Kin::NONE {
                put("child", kin(&record.child));
            }
            put(
                "ns",
                change(
                    &record.before,
                    &record.after,
                    &record.user,
                    record.call.notes,
                ),
            );
        }
        Event::Fork(record) => {
            put("actor", task(&record.actor));
            put("child", kin(&record.child));
            put("ns", vector(&record.vector));
        }
        Event::Exec(record) => {
            put("actor", task(&record.actor));
            put("parent", kin(&record.parent));
            put("ns", vector(&record.vector));
            put("old_tid", record.old_tid.into());
            put("path", lossy(record.path.get()));
            put("argv", arguments(record.arguments.get()));
            put("argv_cut", record.arguments.cut.get().into());
        }
        Event::Exit(record) => {
            put("actor", task(&record.actor));
            put("ns", vector(&record.vector));
            put("status", record.status.into());
            put("live", record.live.into());
        }
        Event::Snapshot(record) => {
            put("actor", task(&record.task));
            put("parent", kin(&record.parent));
            put("ns", vector(&record.vector));
        }
    }
    Value::Object(object)
}

/// A task that was there.
#[must_use]
pub fn snapshot(record: &Snapshot) -> Value {
    event(&Event::Snapshot(*record))
}

/// What was counted, as one object.
#[must_use]
pub fn health(
    counters: &[(Hook, Vec<Counters>)],
    positions: &[Vec<Position>; 2],
    missed: &[(Hook, u64)],
) -> Value {
    let hooks: Map<String, Value> = counters
        .iter()
        .zip(missed)
        .map(|((hook, by_cpu), (_, missed))| {
            let sum = |of: fn(&Counters) -> u64| by_cpu.iter().map(of).sum::<u64>();
            let value = json!({
                "seen": sum(|one| one.seen),
                "filtered": sum(|one| one.filtered),
                "written": sum(|one| one.written),
                "ring_full": sum(|one| one.ring_full),
                "pending_full": sum(|one| one.pending_full),
                "beginning_unseen": sum(|one| one.beginning_unseen),
                "missed": missed,
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
    let [namespaces, lineage] = positions;
    json!({
        "kind": "health",
        "hooks": hooks,
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
        "ns_tgid": kin.ns_tgid,
        "ns_tid": kin.ns_tid,
        "start_boottime_ns": kin.start_ns,
        "leader_start_boottime_ns": kin.leader_start_ns,
    })
}

fn call(call: &Call) -> Value {
    let notes: Vec<&str> = Notes::ALL
        .iter()
        .filter_map(|(note, name)| call.notes.has(*note).then_some(*name))
        .collect();
    json!({
        "syscall": call.syscall.name(),
        "abi": call.abi.name(),
        "flags_raw": call.flags,
        "fd": (call.fd >= 0 || call.target.source != Source::None).then_some(call.fd),
        "target": target(&call.target),
        "ret": call.ret,
        "notes": notes,
    })
}

fn target(target: &Target) -> Value {
    if target.source == Source::None {
        return Value::Null;
    }
    json!({
        "source": target.source.name(),
        "ns_type": target.flag,
        "inum": target.inum,
        "ns_id": target.id,
        "pid": target.pid,
        "racy": true,
    })
}

fn change(before: &Vector, after: &Vector, user: &UserNamespace, notes: Notes) -> Value {
    let known = !notes.has(Notes::BEGINNING_UNSEEN);
    let slots = names(before).zip(names(after));
    let mut object: Map<String, Value> = slots
        .map(|((name, was), (_, is))| {
            let value = json!({
                "before": known.then(|| namespace(was)),
                "after": namespace(is),
                "changed": known.then_some(was != is),
            });
            (name.to_owned(), value)
        })
        .collect();
    if let Some(Value::Object(slot)) = object.get_mut("user") {
        slot.insert("level".to_owned(), user.level.into());
        slot.insert("owner_uid".to_owned(), user.owner.into());
        let parent = namespace((user.parent_inum, user.parent_id));
        slot.insert("parent".to_owned(), parent);
    }
    Value::Object(object)
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

fn arguments(bytes: &[u8]) -> Value {
    let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return json!([]);
    }
    whole.split(|byte| *byte == 0).map(lossy).collect()
}

fn lossy(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}
