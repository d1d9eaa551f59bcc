//! Who called, made ready once for all the calls that a task makes in a row.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use nsexec_audit_abi::parts::Task;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::cgroups::Cgroup;
use crate::lineage::{Program, Thread, thread};
use crate::recent::Recent;
use crate::record::{Actor, actor};

/// Most tasks that are remembered for sure: 1 MiB.
const MOST: usize = 1 << 10;

/// A value whose JSON is made once, however many lines it stands in.
#[derive(Debug)]
pub struct Rendered<T> {
    value: T,
    json: OnceLock<Option<Box<RawValue>>>,
}

impl<T> Rendered<T> {
    /// Its JSON is made when it is first written.
    pub fn new(value: T) -> Self {
        let json = OnceLock::new();
        Self { value, json }
    }
}

impl<T> Deref for Rendered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.json.get_or_init(|| to_raw_value(&self.value).ok()) {
            Some(json) => json.serialize(to),
            // It says what is wrong.
            None => self.value.serialize(to),
        }
    }
}

/// The last that was told of each task.
#[derive(Debug)]
pub struct Actors {
    known: Recent<Thread, Known>,
}

/// And what it was told from.
#[derive(Debug)]
struct Known {
    task: Task,
    program: Option<Rc<Program>>,
    cgroup: Cgroup,
    actor: Arc<Rendered<Actor>>,
}

impl Default for Actors {
    fn default() -> Self {
        let known = Recent::new(MOST);
        Self { known }
    }
}

impl Actors {
    /// The actor that the task is, by the same rules as [`actor`].
    pub fn of(
        &mut self,
        task: &Task,
        program: Option<&Rc<Program>>,
        cgroup: &Cgroup,
    ) -> Arc<Rendered<Actor>> {
        let is_last = |known: &&Known| {
            known.task == *task && known.cgroup == *cgroup && known.program.as_ref() == program
        };
        let thread = thread(task);
        if let Some(known) = self.known.get(&thread).filter(is_last) {
            return Arc::clone(&known.actor);
        }
        let program = program.cloned();
        let actor = Arc::new(Rendered::new(actor(
            task,
            program.as_deref(),
            cgroup.clone(),
        )));
        let known = Known {
            task: *task,
            program,
            cgroup: cgroup.clone(),
            actor: Arc::clone(&actor),
        };
        self.known.put(thread, known);
        actor
    }
}

#[cfg(test)]
mod tests {
    use nsexec_audit_abi::parts::Task;

    use super::*;
    use crate::container::Place;
    use crate::lineage::tests::task;

    #[test]
    fn an_actor_is_the_same_until_anything_about_it_changes() {
        let mut actors = Actors::default();
        let program = |path: &[u8]| {
            Rc::new(Program {
                file: None,
                path: path.to_vec(),
                arguments: Vec::new(),
                is_nsexec: false,
            })
        };
        let (one, other) = (program(b"/bin/a"), program(b"/bin/b"));
        let host = Cgroup {
            place: Place::Host,
            path: None,
        };
        let first = task(5, 1);
        let dropped = Task { euid: 77, ..first };
        let mut last = actors.of(&first, Some(&one), &host);
        assert!(Arc::ptr_eq(&last, &actors.of(&first, Some(&one), &host)));
        for (task, program, cgroup) in [
            (&dropped, Some(&one), &host),
            (&first, Some(&one), &host),
            (&first, Some(&other), &host),
            (&first, None, &host),
            (&first, None, &Cgroup::default()),
        ] {
            let next = actors.of(task, program, cgroup);
            assert!(!Arc::ptr_eq(&last, &next));
            let plain = actor(task, program.map(Rc::as_ref), cgroup.clone());
            let json = serde_json::to_string(&plain).unwrap();
            assert_eq!(serde_json::to_string(&*next).unwrap(), json);
            // From the second time on as it was made ready.
            assert_eq!(serde_json::to_string(&*next).unwrap(), json);
            last = next;
        }
    }
}
