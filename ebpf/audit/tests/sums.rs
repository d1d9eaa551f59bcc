//! The counters agree with the events that were read, and every loss is reported.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use nix::sched::{CloneFlags, CpuSet, sched_getcpu, sched_setaffinity, setns};
use nix::unistd::Pid;
use nsexec_audit::loader::probes::{Probes, Sizes};
use nsexec_audit_abi::code::{Hook, Kind};

use support::sums::sums_agree;
use support::{Watched, own_tid};

/// One page, and eight pages: room for some records only.
const SMALL: Sizes = Sizes {
    namespaces: 4096,
    lineage: 4096,
};

/// Calls setns(2) with the thread's own namespace, this many times.
fn rejoin(times: usize) {
    let own = std::fs::File::open("/proc/thread-self/ns/uts").unwrap();
    for _ in 0..times {
        setns(&own, CloneFlags::CLONE_NEWUTS).unwrap();
    }
}

/// Keeps this thread on its processor: the next event on a processor reports the loss
/// there.
fn stay() {
    let mut only = CpuSet::new();
    only.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &only).unwrap();
}

#[test]
fn nothing_is_lost_while_there_is_room() {
    let Some(mut watched) = Watched::start("nothing_is_lost_while_there_is_room") else {
        return;
    };
    rejoin(500);
    watched.drain();
    sums_agree(&mut watched);
    let own = watched.seen.iter().filter(|event| {
        event.header().hook == Hook::SetnsExit
            && matches!(event, nsexec_audit_abi::Event::Namespace(record) if record.actor.tid == own_tid())
    });
    assert_eq!(own.count(), 500);
    assert!(watched.seen.iter().all(|event| event.header().lost == 0));
}

#[test]
fn events_that_do_not_fit_are_counted_in_place() {
    let test = "events_that_do_not_fit_are_counted_in_place";
    let Some(mut watched) = Watched::with(test, SMALL) else {
        return;
    };
    stay();
    rejoin(100);
    watched.drain();
    rejoin(1);
    watched.drain();
    let lost: u64 = watched.probes.positions().unwrap()[0]
        .iter()
        .map(|one| one.lost)
        .sum();
    assert!(lost >= 90, "{lost}");
    // For each processor, each missing number was counted before the record that follows
    // it.
    let mut gaps = 0;
    for cpu in 0..8192 {
        let mut headers: Vec<_> = watched
            .seen
            .iter()
            .map(|event| *event.header())
            .filter(|header| header.kind == Kind::Namespace && header.cpu == cpu)
            .collect();
        headers.sort_by_key(|header| header.sequence);
        for pair in headers.windows(2) {
            let [one, next] = pair else { panic!() };
            let missing = next.sequence - one.sequence - 1;
            assert_eq!(next.lost - one.lost, missing);
            gaps += missing;
        }
    }
    assert!(gaps > 0 && gaps <= lost, "{gaps} of {lost}");
    sums_agree(&mut watched);
}

#[test]
fn the_kernel_refuses_a_wrong_offset() {
    let test = "the_kernel_refuses_a_wrong_offset";
    let Some(object) = support::object(test) else {
        return;
    };
    let right = nsexec_audit::loader::probes::running_kernel().unwrap();
    // Half of a member and half of the next; pointers to other objects.
    for (global, more) in [
        ("NS_INUM", 2),
        ("TASK_NSPROXY", 8),
        ("NSPROXY_UTS_NS", 8),
        ("CRED_USER_NS", 8),
        ("PID_NUMBERS", 8),
        ("UPID_NS", 8),
    ] {
        let wrong = right.get(global).unwrap() + more;
        let wrong = right.clone().with(global, wrong);
        let error = Probes::start(object, &wrong, SMALL)
            .unwrap_err()
            .to_string();
        let refused = error.contains("the kernel refuses");
        assert!(refused, "{global}: {error}");
    }
}

#[test]
fn a_wrong_offset_that_the_kernel_accepts_is_detected() {
    let test = "a_wrong_offset_that_the_kernel_accepts_is_detected";
    let Some(object) = support::object(test) else {
        return;
    };
    let right = nsexec_audit::loader::probes::running_kernel().unwrap();
    // Neighbours of the same size, and fields that are read without types.
    for (global, more, found) in [
        ("TASK_TGID", 4, "tgid"),
        ("TASK_PID", 4, "tid"),
        ("TASK_START_BOOTTIME", 8, "start"),
        ("TASK_COMM", 8, "comm"),
        ("CRED_CAP_EFFECTIVE", 4, "CapEff"),
        ("NS_INUM", 4, "the list of tasks lacks this thread"),
        ("NET_NS", 4, "net"),
        ("USER_NS", 8, "user"),
    ] {
        let wrong = right.get(global).unwrap() + more;
        let wrong = right.clone().with(global, wrong);
        let error = match Probes::start(object, &wrong, SMALL) {
            Ok(_) => panic!("{global} is wrong, and the auditor does not detect it"),
            Err(error) => error.to_string(),
        };
        let reported = error.contains("differ from /proc") && error.contains(found);
        assert!(reported, "{global}: {error}");
    }
}
