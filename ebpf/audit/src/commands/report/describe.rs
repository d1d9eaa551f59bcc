//! An event as text, which is not HTML yet.

use std::fmt::Write as _;

use nsexec_audit_abi::code::{Abi, Syscall};

use super::events::{Detail, Event, Process, types};
use super::html;
use crate::model::event::{Class, NamespaceEvent};
use crate::model::namespaces::{NamespaceId, NamespaceMap, NamespaceType, SlotSet};

/// The call or command, and its result.
pub(super) fn call(detail: &Detail) -> String {
    match detail {
        Detail::Namespace(event) => syscall(event),
        Detail::Gap(gap) => format!(
            "task {} changed namespaces unobserved: {}; detected at its {}",
            gap.tid,
            join(gap.ns.changed),
            gap.found_at.name()
        ),
        Detail::Lost(lost) => format!(
            "{} of the {} ring, processor {}",
            html::counted(lost.count, "event", "events"),
            lost.ring.name(),
            lost.envelope.cpu
        ),
        Detail::Missed(missed) => format!(
            "{} not seen by {} ({})",
            html::counted(missed.count, "call", "calls"),
            missed.backend,
            missed.why.name().replace('_', " ")
        ),
        Detail::Alert(alert) => format!("{}: {}", alert.rule, alert.about),
        Detail::Exec(event) => {
            let words = event.argv.as_deref().map(html::words).unwrap_or_default();
            if words.is_empty() {
                event.path.clone().unwrap_or_default()
            } else {
                words
            }
        }
        Detail::Fork(event) => match &event.child {
            Some(child) => format!("child {}", child.tgid),
            None => String::new(),
        },
        Detail::Exit(event) => event.status.map_or_else(String::new, status),
    }
}

fn syscall(event: &NamespaceEvent) -> String {
    let op = &event.op;
    let mut call = op.syscall.name().to_owned();
    // Writing to a String cannot fail.
    if op.abi != Abi::Native {
        let _ = write!(call, "[{}]", op.abi.name());
    }
    let _ = write!(call, "({})", op.flags.joined());
    if let Some(errno) = &op.errno {
        let _ = write!(call, " = {errno}");
    }
    if let Some(child) = &event.child {
        let _ = write!(call, ", child {}", child.tgid);
    }
    if let Some(claim) = &event.actor.nsexec {
        let _ = write!(call, " [nsexec, policy {}]", claim.policy);
    }
    call
}

fn join(slots: SlotSet) -> String {
    slots.names().collect::<Vec<_>>().join(" ")
}

/// As wait(2) has it.
fn status(status: i32) -> String {
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, code) => format!("status {code}"),
        (signal, _) => format!("signal {signal}"),
    }
}

/// The types of namespaces that an event is about.
pub(super) fn about(detail: &Detail) -> Vec<NamespaceType> {
    match detail {
        Detail::Namespace(event) => types(event, event.ns.changed.is_empty()),
        Detail::Gap(gap) => gap.ns.changed.types(),
        _ => Vec::new(),
    }
}

/// Their names.
pub(super) fn names(types: &[NamespaceType]) -> String {
    let names: Vec<&str> = types.iter().map(|one| one.name()).collect();
    names.join(" ")
}

pub(super) fn process(process: &Process) -> String {
    if process.comm.is_empty() {
        process.id.tgid.to_string()
    } else {
        format!("{} {}", process.comm, process.id.tgid)
    }
}

/// One line: time, event, process and call.
pub(super) fn summary(event: &Event, owner: Option<&Process>) -> String {
    let name = match &event.detail {
        Detail::Alert(alert) => format!("alert ({})", alert.severity.name()),
        detail => detail.name().to_owned(),
    };
    let owner = owner.map_or_else(String::new, |owner| format!(", {}", process(owner)));
    format!(
        "{} {name}{owner}: {}",
        html::clock(event.time.ts_wall_ms),
        call(&event.detail)
    )
}

/// A namespace by its numbers; the second one, where there is one, is never used
/// again.
pub(super) fn namespace((inum, id): NamespaceId) -> String {
    match id {
        0 => inum.to_string(),
        id => format!("{inum} #{id}"),
    }
}

/// The direction of a change of namespaces, as seen from the host.
pub(super) fn crossing(event: &NamespaceEvent, host: &NamespaceMap) -> Option<&'static str> {
    if host.is_empty() || (event.op.syscall != Syscall::Setns && !event.class.is_join()) {
        return None;
    }
    let changed = event.ns.changed;
    let mut was = changed.iter().filter(|slot| {
        let before = event.ns.before.get(*slot);
        before.is_some() && host.get(*slot) == before
    });
    let was: SlotSet = was.by_ref().collect();
    let is = event.ns.host;
    if event.class == Class::JoinHost
        || changed
            .iter()
            .any(|slot| is.contains(slot) && !was.contains(slot))
    {
        Some("into the host")
    } else if changed
        .iter()
        .any(|slot| was.contains(slot) && !is.contains(slot))
    {
        Some("out of the host")
    } else if changed.is_empty() {
        None
    } else {
        Some("between others")
    }
}

/// Everything that is known of a change of namespaces, by name.
pub(super) fn details(event: &NamespaceEvent) -> Vec<(&'static str, String)> {
    let (actor, op) = (&event.actor, &event.op);
    let mut all = vec![
        (
            "program",
            actor.exe.clone().unwrap_or_else(|| "not known".to_owned()),
        ),
        ("file", actor.exe_file.to_string()),
        (
            "pid",
            format!(
                "{}, thread {}, inside {}",
                actor.tgid, actor.tid, actor.ns_tgid
            ),
        ),
        ("parent", event.parent.tgid.to_string()),
        (
            "user",
            format!(
                "uid {}, effective {}, gid {}",
                actor.uid, actor.euid, actor.gid
            ),
        ),
        (
            "rights",
            format!(
                "capabilities {}, no_new_privs {}, seccomp {}",
                actor.caps_eff, actor.no_new_privs, actor.seccomp_mode
            ),
        ),
        ("cgroup", actor.cgroup_id.to_string()),
        ("flags", format!("{:#x}", op.flags_raw)),
    ];
    if let Some(login) = actor.loginuid {
        all.push(("login", format!("uid {login}")));
    }
    if let Some(target) = target(event) {
        all.push(("given", target));
    }
    changes(event, &mut all);
    if let Some(effective_at) = event.ns.effective_at {
        all.push(("effective", effective_at.name().replace('_', " ")));
    }
    if !op.notes.is_empty() {
        let notes: Vec<&str> = op.notes.names().collect();
        all.push(("notes", notes.join(", ")));
    }
    if op.ret != 0 {
        all.push(("returned", op.ret.to_string()));
    }
    if let Some(boundary) = event.crossing.boundary {
        all.push(("crossed", boundary.name().to_owned()));
    }
    all
}

/// The descriptor of setns(2).
fn target(event: &NamespaceEvent) -> Option<String> {
    let target = event.op.target.as_ref()?;
    let ns_type = target.ns_type.map(|name| format!(" {name}"));
    let id = target.ns.map(|id| format!(" {}", namespace(id)));
    let pid = target.pid.map(|pid| format!(" of {pid}"));
    Some(format!(
        "descriptor {}: {}{}{}{}",
        event.op.fd.unwrap_or(-1),
        target.source.name(),
        ns_type.unwrap_or_default(),
        id.unwrap_or_default(),
        pid.unwrap_or_default()
    ))
}

fn changes(event: &NamespaceEvent, all: &mut Vec<(&'static str, String)>) {
    for slot in event.ns.changed.iter() {
        let known = |id: Option<NamespaceId>| id.map_or("unknown".to_owned(), namespace);
        let before = known(event.ns.before.get(slot));
        let after = if event.ns.host.contains(slot) {
            "the host's".to_owned()
        } else {
            known(event.ns.after.get(slot))
        };
        all.push(("changed", format!("{}: {before} -> {after}", slot.name())));
    }
}
