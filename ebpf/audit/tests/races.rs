//! Calls with arguments that another thread changes meanwhile: the events contain the
//! arguments that the kernel used.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and counts are printed"
)]

mod support;

use std::collections::HashSet;

use nsexec_audit::loader::probes::Sizes;
use nsexec_audit::model::operation::Operation;
use nsexec_audit_abi::code::{Abi, Hook, Source, Syscall};
use nsexec_audit_abi::parts::{SLOT_NAMES, Target};

use support::driver::{Driver, count};
use support::gaps::gaps;
use support::{Watched, changed, differing};

/// The number of calls of each race.
const CALLS: &str = "NSEXEC_AUDIT_CALLS";
const DEFAULT: usize = 20_000;

/// Room for all events until they are read.
const LARGE: Sizes = Sizes {
    namespaces: 16 << 20,
    lineage: 16 << 20,
};

const NEWTIME: u64 = 0x0000_0080;
const NEWCGROUP: u64 = 0x0200_0000;
const NEWUTS: u64 = 0x0400_0000;
const NEWPID: u64 = 0x2000_0000;

/// The slots of a task created with these flags that differ from its parent's.
fn slots_of(flags: u64) -> Vec<&'static str> {
    let of = |name: &str| match name {
        "cgroup" => NEWCGROUP,
        "pid" | "pid_for_children" => NEWPID,
        "time" | "time_for_children" => NEWTIME,
        "uts" => NEWUTS,
        _ => 0,
    };
    let mut slots = SLOT_NAMES.to_vec();
    slots.retain(|name| flags & of(name) != 0);
    slots
}

/// clone3(2) in a loop while another thread alternates between two sets of flags.
fn flags_that_change(test: &str, one: u64, other: u64) {
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut watched) = Watched::with(test, LARGE) else {
        return;
    };
    let tasks = watched.probes.snapshot().unwrap();
    let calls = count(CALLS, DEFAULT);
    let words = [calls.to_string(), one.to_string(), other.to_string()];
    let output = driver.run(&mut watched, &["flip", &words[0], &words[1], &words[2]]);
    watched.drain();
    assert_eq!(output.calls.len(), calls);
    let records = watched.calls_of(output.tid);
    let mut records = records.iter().peekable();
    let mut took: [usize; 2] = [0; 2];
    let mut unseen = 0;
    for (child, after) in output.calls {
        let real = differing(&output.before, &after);
        if real.is_empty() {
            // The kernel read no namespace flag: no event.
            assert_eq!(other, 0);
            took[1] += 1;
            continue;
        }
        let record = records.next().unwrap();
        assert_eq!(record.header.hook, Hook::TaskNewtask);
        assert_eq!(record.call.ret, child);
        assert_eq!(i64::from(record.child.tid), child);
        // The flags are exactly those that the kernel used.
        assert_eq!(slots_of(record.call.flags), real);
        assert_eq!(changed(record), real);
        assert_eq!((record.before, record.after), (output.before, after));
        assert_eq!(record.call.abi, Abi::Native);
        took[usize::from(record.call.flags == other)] += 1;
        match record.call.syscall {
            Syscall::Clone3 => {}
            // At its beginning the call had no namespace flag.
            Syscall::Unseen if other == 0 => unseen += 1,
            syscall => panic!("{syscall:?}"),
        }
    }
    assert_eq!(records.next(), None);
    // Otherwise there was no race.
    assert!(took.iter().all(|took| *took > 0), "{took:?}");
    let gaps = gaps(&tasks, &watched.seen);
    let own = gaps.iter().find(|gap| gap.tid == output.tid);
    assert!(own.is_none(), "{own:?}");
    println!(
        "flip {one:#x} {other:#x}: {calls} calls, {} and {} of each, {unseen} whose beginning \
         set no flag",
        took[0], took[1]
    );
}

#[test]
fn clone3_has_the_flags_that_the_kernel_used() {
    let test = "clone3_has_the_flags_that_the_kernel_used";
    flags_that_change(test, NEWUTS | NEWCGROUP, NEWTIME | NEWPID);
}

#[test]
fn clone3_with_flags_changed_to_namespaces_is_reported() {
    let test = "clone3_with_flags_changed_to_namespaces_is_reported";
    flags_that_change(test, NEWUTS, 0);
}

#[test]
fn a_join_has_the_joined_namespaces() {
    let test = "a_join_has_the_joined_namespaces";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut watched) = Watched::with(test, LARGE) else {
        return;
    };
    let tasks = watched.probes.snapshot().unwrap();
    let calls = count(CALLS, DEFAULT);
    let (times, flag) = (calls.to_string(), NEWUTS.to_string());
    let output = driver.run(&mut watched, &["swap", &times, &flag, "uts"]);
    watched.drain();
    let records = watched.calls_of(output.tid);
    assert_eq!(records.len(), calls);
    let uts = support::slot("uts");
    let (mut before, mut joined, mut wrong) = (output.before, HashSet::new(), 0);
    for (record, (result, after)) in records.iter().zip(&output.calls) {
        assert_eq!((record.call.ret, *result), (0, 0));
        assert_eq!((record.before, record.after), (before, *after));
        before = *after;
        let real = (after.inum[uts], after.id[uts]);
        joined.insert(real);
        // The descriptor's target is a hint, and marked as such.
        let target = record.call.target;
        assert_eq!(target.source, Source::Nsfs);
        assert_ne!(target, Target::NONE);
        assert!(Operation::of(record).target.unwrap().racy);
        wrong += usize::from((target.inum, target.id) != real);
    }
    assert_eq!(joined.len(), 2);
    let gaps = gaps(&tasks, &watched.seen);
    let own = gaps.iter().find(|gap| gap.tid == output.tid);
    assert!(own.is_none(), "{own:?}");
    println!("swap: {calls} calls, {wrong} targets were not what was joined");
}
