//! An event in words, which are text still, not HTML.

use std::fmt::Write as _;

use super::html;
use super::line::{Id, Namespace, Slots, Start};
use super::run::{Event, Process, What, types};

/// What was called or done, and what came of it.
pub(super) fn call(what: &What) -> String {
    match what {
        What::Namespace(_, line) => syscall(line),
        What::Gap(line) => format!(
            "task {} is not where it was left: {}; found at its {}",
            line.tid,
            line.ns.changed.join(" "),
            line.found_at
        ),
        What::Lost(line) => format!(
            "{} of the {} ring, processor {}",
            html::counted(line.count, "event", "events"),
            line.ring,
            line.cpu
        ),
        What::Missed(line) => format!(
            "{} not seen by {} ({})",
            html::counted(line.count, "call", "calls"),
            line.backend,
            line.why.replace('_', " ")
        ),
        What::Alert(_, line) => format!("{}: {}", line.rule, line.about),
        What::Exec(line) => {
            let words = line.argv.as_deref().map(html::words).unwrap_or_default();
            if words.is_empty() {
                line.path.clone().unwrap_or_default()
            } else {
                words
            }
        }
        What::Fork(line) => match &line.child {
            Some(child) => format!("child {}", child.tgid),
            None => String::new(),
        },
        What::Exit(line) => line.status.map_or_else(String::new, status),
    }
}

pub(super) fn syscall(line: &Namespace) -> String {
    let op = &line.op;
    let mut call = op.syscall.clone();
    // Writing to a String cannot fail.
    if op.abi != "native" {
        let _ = write!(call, "[{}]", op.abi);
    }
    let _ = write!(call, "({})", op.flags.join("|"));
    if let Some(errno) = &op.errno {
        let _ = write!(call, " = {errno}");
    }
    if let Some(child) = &line.child {
        let _ = write!(call, ", child {}", child.tgid);
    }
    if let Some(claimed) = &line.actor.nsexec {
        let _ = write!(call, " [nsexec, policy {}]", claimed.policy);
    }
    call
}

/// As wait(2) has it.
fn status(status: i64) -> String {
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, code) => format!("status {code}"),
        (signal, _) => format!("signal {signal}"),
    }
}

/// The types of namespaces that an event is about.
pub(super) fn about(what: &What) -> Vec<&'static str> {
    match what {
        What::Namespace(_, line) if line.ns.changed.is_empty() => types(&line.op.flags),
        What::Namespace(_, line) => types(&line.ns.changed),
        What::Gap(line) => types(&line.ns.changed),
        _ => Vec::new(),
    }
}

pub(super) fn process(process: &Process) -> String {
    if process.comm.is_empty() {
        process.tgid.to_string()
    } else {
        format!("{} {}", process.comm, process.tgid)
    }
}

/// One line: when, what, who and how.
pub(super) fn summary(event: &Event, who: Option<&Process>) -> String {
    let name = match &event.what {
        What::Alert(level, _) => format!("alert ({})", level.name()),
        what => what.name().to_owned(),
    };
    let who = who.map_or_else(String::new, |who| format!(", {}", process(who)));
    format!(
        "{} {name}{who}: {}",
        html::clock(event.time.wall_ms),
        call(&event.what)
    )
}

/// A namespace by its numbers; the second one, where there is one, is never used
/// again.
pub(super) fn namespace((inum, id): Id) -> String {
    match id {
        0 => inum.to_string(),
        id => format!("{inum} #{id}"),
    }
}

/// What a change of namespaces was seen as from the host.
pub(super) fn crossing(line: &Namespace, start: Option<&Start>) -> Option<&'static str> {
    let host = start
        .map(|start| &start.host)
        .filter(|host| !host.is_empty())?;
    if line.op.syscall != "setns" && !matches!(line.class.as_str(), "join_host" | "join_other") {
        return None;
    }
    let was =
        |slot: &String| of(&line.ns.before, slot).is_some_and(|id| of(host, slot) == Some(id));
    let is = |slot: &String| line.ns.host.contains(slot);
    let mut changed = line.ns.changed.iter();
    if line.class == "join_host" || changed.clone().any(|slot| is(slot) && !was(slot)) {
        Some("into the host")
    } else if changed.any(|slot| was(slot) && !is(slot)) {
        Some("out of the host")
    } else if line.ns.changed.is_empty() {
        None
    } else {
        Some("between others")
    }
}

fn of(slots: &Slots, name: &str) -> Option<Id> {
    slots.get(name).copied()
}

/// All that is known of a change of namespaces, by name.
pub(super) fn details(line: &Namespace) -> Vec<(&'static str, String)> {
    let actor = &line.actor;
    let mut all = vec![
        (
            "program",
            actor.exe.clone().unwrap_or_else(|| "not known".to_owned()),
        ),
        ("file", actor.exe_file.clone()),
        (
            "pid",
            format!(
                "{}, thread {}, inside {}",
                actor.tgid, actor.tid, actor.ns_tgid
            ),
        ),
        ("parent", line.parent.tgid.to_string()),
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
        ("flags", format!("{:#x}", line.op.flags_raw)),
    ];
    if let Some(login) = actor.loginuid {
        all.push(("login", format!("uid {login}")));
    }
    if let Some(target) = &line.op.target {
        let ns_type = target.ns_type.as_deref().map(|name| format!(" {name}"));
        let id = target.ns.map(|id| format!(" {}", namespace(id)));
        let pid = target.pid.map(|pid| format!(" of {pid}"));
        all.push((
            "given",
            format!(
                "descriptor {}: {}{}{}{}",
                line.op.fd.unwrap_or(-1),
                target.source,
                ns_type.unwrap_or_default(),
                id.unwrap_or_default(),
                pid.unwrap_or_default()
            ),
        ));
    }
    for slot in &line.ns.changed {
        let before = of(&line.ns.before, slot).map_or("unknown".to_owned(), namespace);
        let after = if line.ns.host.contains(slot) {
            "the host's".to_owned()
        } else {
            of(&line.ns.after, slot).map_or("unknown".to_owned(), namespace)
        };
        all.push(("changed", format!("{slot}: {before} -> {after}")));
    }
    if let Some(when) = &line.ns.effective_at {
        all.push(("effective", when.replace('_', " ")));
    }
    if !line.op.notes.is_empty() {
        all.push(("notes", line.op.notes.join(", ")));
    }
    if line.op.ret != 0 {
        all.push(("returned", line.op.ret.to_string()));
    }
    for (name, told) in [("container", &line.container), ("crossed", &line.crossed)] {
        if let Some(told) = told {
            all.push((name, super::named(told).unwrap_or_else(|| told.to_string())));
        }
    }
    all
}
