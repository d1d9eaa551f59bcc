//! Probes that are attached and detached in the middle of calls.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and counts are printed"
)]

mod support;

use std::collections::HashSet;

use nsexec_audit::loader::probes::Sizes;
use nsexec_audit_abi::Event;

use support::Watched;
use support::driver::Driver;
use support::gaps::gaps;

/// Room for all events until they are read.
const LARGE: Sizes = Sizes {
    namespaces: 16 << 20,
    lineage: 16 << 20,
};

/// The task that a task created.
fn child(event: &Event, of: u32) -> Option<u32> {
    match event {
        Event::Fork(record) if record.actor.tid == of => Some(record.child.tid),
        _ => None,
    }
}

/// Events between the attaching of the probes and the list of tasks are older than the
/// list; and while the probes are detached, only some of them run.
#[test]
fn calls_during_attach_and_detach_are_no_gaps() {
    let test = "calls_during_attach_and_detach_are_no_gaps";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let kinds = ["load", "10000000", "0", "unshare", "fork", "clone3", "exec"];
    // On a busy machine the task may wait as long as the list takes.
    for round in 1..=20 {
        let mut at_work = driver.start(&kinds);
        let Some(mut watched) = Watched::with(test, LARGE) else {
            return;
        };
        let tid = at_work.pid();
        let tasks = watched.probes.snapshot().unwrap();
        // An event that follows.
        watched.probes.snapshot().unwrap();
        assert!(at_work.runs());
        watched.probes.stop();
        watched.drain();
        let known = tasks.iter().find(|task| task.task.tid == tid).unwrap();
        let records = watched.calls_of(tid);
        let older = records.partition_point(|record| record.header.boot_ns < known.header.boot_ns);
        let lost = watched.seen.iter().any(|event| event.header().lost > 0);
        let gaps = gaps(&tasks, &watched.seen);
        let mut tids: HashSet<u32> = watched
            .seen
            .iter()
            .filter_map(|event| child(event, tid))
            .collect();
        tids.insert(tid);
        let own = gaps.iter().filter(|gap| tids.contains(&gap.tid)).count();
        assert!(lost || own == 0, "{own} gaps of {}", records.len());
        // Some before and some after, otherwise there was no race.
        if older > 0 && older < records.len() && !lost {
            println!(
                "begin: {older} calls before the list of tasks, {} after, in round {round}",
                records.len() - older
            );
            return;
        }
    }
    panic!("in no round there were calls both before the list of tasks and after it");
}
