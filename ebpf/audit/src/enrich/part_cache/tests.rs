use nsexec_audit_abi::code::{EventFlags, Syscall};
use nsexec_audit_abi::parts::{Call, Task, UserNamespace};
use serde::Serialize;

use super::*;
use crate::fixtures::{call, namespace, namespace_set, task, with};
use crate::model::container::Place;

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn a_cached_part_is_reused_until_its_input_changes() {
    let program = |path: &[u8]| {
        Rc::new(Program {
            file: None,
            path: path.to_vec(),
            arguments: Vec::new(),
            is_nsexec: false,
        })
    };
    let (one, other) = (program(b"/bin/a"), program(b"/bin/b"));
    let here = Cgroup {
        place: Place::Host,
        path: None,
    };
    let nowhere = Cgroup::default();
    let host = HostNamespaces::of(&namespace_set(1));
    let first = namespace(
        task(5, 1),
        call(Syscall::Setns, 0),
        namespace_set(1),
        namespace_set(1),
    );
    let with_call = |call| Namespace { call, ..first };
    let dropped = Task {
        euid: 77,
        ..first.actor
    };
    let refused = Call {
        ret: -1,
        ..first.call
    };
    let unseen = Call {
        notes: EventFlags::BEGINNING_UNSEEN,
        ..first.call
    };
    let moved = with(namespace_set(1), "user", 70);
    let user = UserNamespace {
        level: 1,
        ..first.user
    };
    let made = Namespace {
        after: moved,
        ..first
    };
    let owned = Namespace { user, ..made };
    let inside = Namespace {
        before: moved,
        ..owned
    };
    let mut cache = PartCache::default();
    // Each row changes one input, and lists which of the three parts change with it.
    let mut last = cache.parts(&first, Some(&one), &here, &host);
    for (record, program, cgroup, changes) in [
        (first, Some(&one), &here, [false, false, false]),
        (
            Namespace {
                actor: dropped,
                ..first
            },
            Some(&one),
            &here,
            [true, false, false],
        ),
        (first, Some(&one), &here, [true, false, false]),
        (first, Some(&other), &here, [true, false, false]),
        (first, None, &here, [true, false, false]),
        (first, None, &nowhere, [true, false, false]),
        (with_call(refused), None, &nowhere, [false, true, false]),
        (with_call(unseen), None, &nowhere, [false, true, true]),
        (first, None, &nowhere, [false, true, true]),
        (made, None, &nowhere, [false, false, true]),
        (owned, None, &nowhere, [false, false, true]),
        (inside, None, &nowhere, [false, false, true]),
    ] {
        let next = cache.parts(&record, program, cgroup, &host);
        let changed = [
            !Arc::ptr_eq(&last.actor, &next.actor),
            !Arc::ptr_eq(&last.op, &next.op),
            !Arc::ptr_eq(&last.ns, &next.ns),
        ];
        assert_eq!(changed, changes, "{record:?}");
        let plain = Actor::of(&record.actor, program.map(Rc::as_ref), cgroup.clone());
        assert_eq!(json(&*next.actor), json(&plain));
        assert_eq!(json(&*next.op), json(&Operation::of(&record)));
        let plain = NamespaceChange::of(&record, &host);
        assert_eq!(json(&*next.ns), json(&plain));
        last = next;
    }
}

#[test]
fn alternating_tasks_have_separate_parts() {
    let mut cache = PartCache::default();
    let host = HostNamespaces::default();
    let mut both = || {
        [5, 6].map(|tid| {
            let call = call(Syscall::Setns, 0);
            let record = namespace(task(tid, 1), call, namespace_set(1), namespace_set(tid));
            let parts = cache.parts(&record, None, &Cgroup::default(), &host);
            assert_eq!(parts.actor.tid, tid);
            assert_eq!(parts.ns.after.set, namespace_set(tid));
            parts
        })
    };
    let (before, after) = (both(), both());
    for (before, after) in before.iter().zip(&after) {
        assert!(Arc::ptr_eq(&before.actor, &after.actor));
        assert!(Arc::ptr_eq(&before.ns, &after.ns));
    }
}
