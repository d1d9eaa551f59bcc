//! Builds the parts of an event that a task repeats with every call once: the actor, the
//! operation, the namespaces. A flood repeats one call.

use std::rc::Rc;
use std::sync::Arc;

use nsexec_audit_abi::record::Namespace;

use super::bounded_cache::BoundedCache;
use crate::model::container::Cgroup;
use crate::model::namespaces::{HostNamespaces, NamespaceChange};
use crate::model::operation::Operation;
use crate::model::process::{Actor, Program, ThreadId};
use crate::model::shared::Shared;

/// The smallest size of the cache of tasks: 1.5 MiB.
const CAPACITY: usize = 1 << 9;

/// The last call of each task.
#[derive(Debug)]
pub(crate) struct PartCache {
    last_calls: BoundedCache<ThreadId, LastCall>,
}

/// The parts of the event of a call.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) actor: Arc<Shared<Actor>>,
    pub(crate) op: Arc<Shared<Operation>>,
    pub(crate) ns: Arc<Shared<NamespaceChange>>,
}

/// A call, its parts, and everything else that these were built from.
#[derive(Debug)]
struct LastCall {
    record: Namespace,
    program: Option<Rc<Program>>,
    cgroup: Cgroup,
    parts: Parts,
}

impl Default for PartCache {
    fn default() -> Self {
        Self {
            last_calls: BoundedCache::new(CAPACITY),
        }
    }
}

impl PartCache {
    /// The parts of the event of a call. `host` has to be the same every time.
    pub(crate) fn parts(
        &mut self,
        record: &Namespace,
        program: Option<&Rc<Program>>,
        cgroup: &Cgroup,
        host: &HostNamespaces,
    ) -> Parts {
        let thread = ThreadId::of(&record.actor);
        let last = self.last_calls.get(&thread);
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
            actor: match actor {
                Some(last) => Arc::clone(&last.parts.actor),
                None => {
                    let program = program.map(Rc::as_ref);
                    let actor = Actor::of(&record.actor, program, cgroup.clone());
                    Arc::new(Shared::new(actor))
                }
            },
            op: match op {
                Some(last) => Arc::clone(&last.parts.op),
                None => Arc::new(Shared::new(Operation::of(record))),
            },
            ns: match ns {
                Some(last) => Arc::clone(&last.parts.ns),
                None => Arc::new(Shared::new(NamespaceChange::of(record, host))),
            },
        };
        let call = LastCall {
            record: *record,
            program: program.cloned(),
            cgroup: cgroup.clone(),
            parts: parts.clone(),
        };
        self.last_calls.put(thread, call);
        parts
    }
}

#[cfg(test)]
mod tests;
