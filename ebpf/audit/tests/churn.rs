//! Namespaces that are created and removed in succession: none is mistaken for another.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and counts are printed"
)]

mod support;

use std::collections::HashSet;

use nsexec_audit::loader::probes::Sizes;
use nsexec_audit_abi::code::Hook;

use support::driver::{Driver, count};
use support::gaps::gaps;
use support::{Watched, changed, slot};

/// The number of namespaces.
const NAMESPACES: &str = "NSEXEC_AUDIT_CHURN";
const DEFAULT: usize = 10_000;
const NEWUTS: &str = "0x04000000";

/// Room for all events until they are read.
const LARGE: Sizes = Sizes {
    namespaces: 16 << 20,
    lineage: 4 << 20,
};

#[test]
fn each_namespace_has_an_id_of_its_own() {
    let test = "each_namespace_has_an_id_of_its_own";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut watched) = Watched::with(test, LARGE) else {
        return;
    };
    let tasks = watched.probes.snapshot().unwrap();
    let calls = count(NAMESPACES, DEFAULT);
    let output = driver.run(&mut watched, &["churn", &calls.to_string(), NEWUTS]);
    watched.drain();
    let records = watched.calls_of(output.tid);
    assert_eq!((records.len(), output.calls.len()), (calls, calls));
    let uts = slot("uts");
    let (mut ids, mut inums, mut equal) = (HashSet::new(), HashSet::new(), 0);
    let mut before = output.before;
    for (record, (result, after)) in records.iter().zip(&output.calls) {
        assert_eq!(record.header.hook, Hook::UnshareExit);
        assert_eq!((record.call.ret, *result), (0, 0));
        assert_eq!((record.before, record.after), (before, *after));
        // Two successive ones exist at the same time for a moment, and so have two numbers.
        assert_eq!(changed(record), ["uts"]);
        before = *after;
        equal += usize::from(record.after.id[uts] == after.id[uts]);
        ids.insert(record.after.id[uts]);
        inums.insert(record.after.inum[uts]);
    }
    if ids.contains(&0) {
        // Before Linux 6.18 a namespace has only its inode number.
        assert_eq!(ids.len(), 1);
        println!(
            "churn: {calls} namespaces, {} inode numbers; this kernel has no ids",
            inums.len()
        );
    } else {
        assert_eq!(ids.len(), calls);
        println!(
            "churn: {calls} namespaces, {} ids, {equal} equal to NS_GET_ID, {} inode numbers",
            ids.len(),
            inums.len()
        );
    }
    // In the order of their creation the ids increase.
    let mut written = watched.seen.iter().filter_map(|event| match event {
        nsexec_audit_abi::Event::Namespace(record) if record.actor.tid == output.tid => {
            Some(record.header.boot_ns)
        }
        _ => None,
    });
    assert!(written.by_ref().is_sorted());
    let gaps = gaps(&tasks, &watched.seen);
    let own = gaps.iter().find(|gap| gap.tid == output.tid);
    assert!(own.is_none(), "{own:?}");
}
