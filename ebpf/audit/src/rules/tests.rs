use std::sync::Arc;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Abi, Hook, Kind, Source, Syscall};
use nsexec_audit_abi::parts::{NamespaceSet, Task};
use nsexec_audit_abi::record::{Namespace, Snapshot};

use super::*;
use crate::enrich::container;
use crate::enrich::enricher::Enricher;
use crate::fixtures::{call, exec, header, namespace, namespace_set, task, task_id, with};
use crate::ingest::reader::EventSink as _;
use crate::model::container::Place;

/// The cgroups of two containers.
const C1: u64 = u64::MAX - 1;
const C2: u64 = u64::MAX - 2;

/// The names of the rules that fire for these events; the host's namespaces are those of
/// `namespace_set(1)`.
fn fired(events: Vec<Event>, off: &[&str]) -> Vec<String> {
    let mut enricher = Enricher::start(Vec::new()).unwrap();
    enricher.load_snapshot(&[Snapshot {
        header: header(Kind::Snapshot, Hook::IterTask, 0),
        task: task(2, 0),
        parent: task_id(&task(1, 1)),
        namespaces: namespace_set(1),
    }]);
    for (id, path) in [(C1, "/c1"), (C2, "/c2")] {
        let container = container::of_path(path.as_ref()).unwrap();
        let place = Place::Container(Arc::new(container));
        enricher.cgroups().found(id, path.as_ref(), place);
    }
    for event in events {
        enricher.push(event);
    }
    let off: Vec<&Rule> = off.iter().filter_map(|name| Rule::named(name)).collect();
    let mut rules = Rules::without(&off);
    let mut names = Vec::new();
    let mut tell = |lines: OutputEvent| {
        names.extend(
            rules
                .evaluate(&lines)
                .into_iter()
                .map(|alert| alert.rule.into_owned()),
        )
    };
    while enricher.emit_next(None, &mut tell) {}
    names
}

fn at(mut record: Namespace, boot_ns: u64) -> Event {
    record.header.boot_ns = boot_ns;
    Event::Namespace(record)
}

fn join(before: NamespaceSet, after: NamespaceSet) -> Namespace {
    namespace(task(5, 1), call(Syscall::Setns, 0), before, after)
}

fn make(actor: Task, after: NamespaceSet, level: u32) -> Namespace {
    let mut record = namespace(actor, call(Syscall::Unshare, 0), namespace_set(1), after);
    record.user.level = level;
    record
}

/// Each rule with events that fire it, and with similar events that must not.
#[test]
fn each_rule_fires_and_does_not_fire_on_its_neighbour() {
    let host = namespace_set(1);
    let inside = with(host, "net", 70);
    let user = Task {
        uid: 1000,
        ..task(5, 1)
    };
    let both = with(with(host, "user", 80), "net", 81);
    let through_pidfd = |pid| {
        let mut record = join(host, inside);
        record.call.target.source = Source::Pidfd;
        record.call.target.pid = pid;
        record
    };
    let compat = |abi| {
        let mut record = join(host, inside);
        record.call.abi = abi;
        record
    };
    let called = |name: &[u8; 16]| {
        let mut record = join(host, inside);
        record.actor.comm = *name;
        record
    };
    let once = |record| vec![at(record, 1)];
    let refusals = |count: u64, last: u64| {
        let refused = || namespace(task(5, 1), call(Syscall::Setns, -1), host, host);
        let mut events: Vec<Event> = (1..=count).map(|n| at(refused(), n)).collect();
        events.push(at(join(host, inside), last));
        events
    };
    let gap = |found| {
        vec![
            exec(task(5, 1), b"/bin/a", host),
            exec(task(5, 1), b"/bin/b", found),
        ]
    };
    // Both containers have processes, and a process of one joins a namespace of the other.
    let other = with(with(host, "mnt", 90), "net", 91);
    let own = with(with(host, "mnt", 92), "net", 93);
    let between = |cgroup_id| {
        let lives = |id, inode, cgroup_id, namespace_set| {
            let task = Task {
                cgroup_id,
                ..task(id, inode)
            };
            exec(task, b"/bin/a", namespace_set)
        };
        let mut record = join(own, with(own, "net", 91));
        record.actor.cgroup_id = cgroup_id;
        vec![
            lives(7, 1, C2, other),
            lives(5, 1, cgroup_id, own),
            at(record, 2),
        ]
    };
    let cases: [(&str, Vec<Event>, Vec<Event>); 10] = [
        (
            "join-host",
            once(join(inside, host)),
            once(join(host, inside)),
        ),
        (
            "pidfd-of-init",
            once(through_pidfd(1)),
            once(through_pidfd(2)),
        ),
        ("join-container", between(C1), between(C2)),
        (
            "compat-call",
            once(compat(Abi::Compat)),
            once(compat(Abi::Native)),
        ),
        ("unseen-change", gap(inside), gap(host)),
        ("denied-then-in", refusals(5, 6), refusals(4, 6)),
        (
            "user-and-net",
            once(make(user, both, 1)),
            once(make(task(5, 1), both, 1)),
        ),
        (
            "nested-user",
            once(make(task(5, 1), both, 4)),
            once(make(task(5, 1), both, 3)),
        ),
        (
            "false-name",
            once(called(b"nsexec\0\0\0\0\0\0\0\0\0\0")),
            once(called(b"nsexed\0\0\0\0\0\0\0\0\0\0")),
        ),
        (
            "time-namespace",
            once(make(task(5, 1), with(host, "time_for_children", 9), 0)),
            once(make(task(5, 1), with(host, "uts", 9), 0)),
        ),
    ];
    let names: Vec<&str> = cases.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(names, RULES.map(|rule| rule.name));
    for (name, fires, neighbour) in cases {
        assert_eq!(fired(fires.clone(), &[]), [name]);
        assert_eq!(fired(neighbour, &[]), [""; 0], "{name}");
        assert_eq!(fired(fires, &[name]), [""; 0], "{name} is switched off");
    }
}

#[test]
fn refusals_are_forgotten_after_their_time_and_after_a_success() {
    let host = namespace_set(1);
    let inside = with(host, "net", 70);
    let refused = |n| {
        at(
            namespace(task(5, 1), call(Syscall::Setns, -1), host, host),
            n,
        )
    };
    let mut late: Vec<Event> = (1..=5).map(refused).collect();
    late.push(at(join(host, inside), BURST_NS + 10));
    assert_eq!(fired(late, &[]), [""; 0]);
    let mut twice: Vec<Event> = (1..=5).map(refused).collect();
    twice.push(at(join(host, inside), 6));
    twice.push(at(join(inside, with(inside, "uts", 71)), 7));
    assert_eq!(fired(twice, &[]), ["denied-then-in"]);
}
