//! What a task says again with every call is made ready once: who it is, what it
//! asks for, where it is. A flood of calls is one call, many times.

use std::rc::Rc;
use std::sync::Arc;

use nsexec_audit_abi::record::Namespace;

use crate::cgroups::Cgroup;
use crate::judge::Host;
use crate::lineage::{Program, Thread, thread};
use crate::recent::Recent;
use crate::record::{self, Actor, Namespaces, Op};
use crate::rendered::Rendered;

/// Most tasks that are remembered for sure: 1.5 MiB.
const MOST: usize = 1 << 9;

/// The last call of each task.
#[derive(Debug)]
pub struct Repeated {
    known: Recent<Thread, Call>,
}

/// What a line says of a call.
#[derive(Clone, Debug)]
pub struct Parts {
    pub actor: Arc<Rendered<Actor>>,
    pub op: Arc<Rendered<Op>>,
    pub ns: Arc<Rendered<Namespaces>>,
}

/// And what that was made from.
#[derive(Debug)]
struct Call {
    record: Namespace,
    program: Option<Rc<Program>>,
    cgroup: Cgroup,
    parts: Parts,
}

impl Default for Repeated {
    fn default() -> Self {
        let known = Recent::new(MOST);
        Self { known }
    }
}

impl Repeated {
    /// What the line of a call says, by the rules of [`record::actor`], [`record::op`]
    /// and [`record::namespaces_of`]. `host` has to be the same every time.
    pub fn parts(
        &mut self,
        record: &Namespace,
        program: Option<&Rc<Program>>,
        cgroup: &Cgroup,
        host: &Host,
    ) -> Parts {
        let thread = thread(&record.actor);
        let last = self.known.get(&thread);
        let actor = last.filter(|last| {
            last.record.actor == record.actor
                && last.cgroup == *cgroup
                && last.program.as_ref() == program
        });
        let op = last.filter(|last| last.record.call == record.call);
        let ns = last.filter(|last| {
            last.record.call.notes == record.call.notes
                && last.record.before == record.before
                && last.record.after == record.after
                && last.record.user == record.user
        });
        if let (Some(last), Some(_), Some(_)) = (actor, op, ns) {
            return last.parts.clone();
        }
        let parts = Parts {
            actor: actor.map_or_else(
                || {
                    let program = program.map(Rc::as_ref);
                    let actor = record::actor(&record.actor, program, cgroup.clone());
                    Arc::new(Rendered::new(actor))
                },
                |last| Arc::clone(&last.parts.actor),
            ),
            op: op.map_or_else(
                || Arc::new(Rendered::new(record::op(record))),
                |last| Arc::clone(&last.parts.op),
            ),
            ns: ns.map_or_else(
                || Arc::new(Rendered::new(record::namespaces_of(record, host))),
                |last| Arc::clone(&last.parts.ns),
            ),
        };
        let call = Call {
            record: *record,
            program: program.cloned(),
            cgroup: cgroup.clone(),
            parts: parts.clone(),
        };
        self.known.put(thread, call);
        parts
    }
}

#[cfg(test)]
mod tests {
    use nsexec_audit_abi::code::{Notes, Syscall};
    use nsexec_audit_abi::parts::{Call, Task, UserNamespace};
    use serde::Serialize;

    use super::*;
    use crate::container::Place;
    use crate::lineage::tests::{call, namespace, task, vector, with};

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn a_part_is_the_same_until_anything_about_it_changes() {
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
        let host = Host::of(&vector(1));
        let first = namespace(task(5, 1), call(Syscall::Setns, 0), vector(1), vector(1));
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
            notes: Notes::BEGINNING_UNSEEN,
            ..first.call
        };
        let moved = with(vector(1), "user", 70);
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
        let mut repeated = Repeated::default();
        // What is changed, and which of the three parts change with it.
        let mut last = repeated.parts(&first, Some(&one), &here, &host);
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
            let next = repeated.parts(&record, program, cgroup, &host);
            let changed = [
                !Arc::ptr_eq(&last.actor, &next.actor),
                !Arc::ptr_eq(&last.op, &next.op),
                !Arc::ptr_eq(&last.ns, &next.ns),
            ];
            assert_eq!(changed, changes, "{record:?}");
            let plain = record::actor(&record.actor, program.map(Rc::as_ref), cgroup.clone());
            assert_eq!(json(&*next.actor), json(&plain));
            assert_eq!(json(&*next.op), json(&record::op(&record)));
            let plain = record::namespaces_of(&record, &host);
            assert_eq!(json(&*next.ns), json(&plain));
            last = next;
        }
    }

    #[test]
    fn of_tasks_that_take_turns_each_has_its_own() {
        let mut repeated = Repeated::default();
        let host = Host::default();
        let mut both = || {
            [5, 6].map(|tid| {
                let call = call(Syscall::Setns, 0);
                let record = namespace(task(tid, 1), call, vector(1), vector(tid));
                let parts = repeated.parts(&record, None, &Cgroup::default(), &host);
                assert_eq!(parts.actor.tid, tid);
                assert_eq!(parts.ns.after.of, vector(tid));
                parts
            })
        };
        let (before, after) = (both(), both());
        for (before, after) in before.iter().zip(&after) {
            assert!(Arc::ptr_eq(&before.actor, &after.actor));
            assert!(Arc::ptr_eq(&before.ns, &after.ns));
        }
    }
}
