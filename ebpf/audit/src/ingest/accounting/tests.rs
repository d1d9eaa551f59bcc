use nsexec_audit_abi::code::Hook;

use super::*;
use crate::fixtures::header;

const HOOK: Hook = Hook::SetnsExit;

/// This many events of one hook on processor 0, each of them seen, written and numbered.
fn sample(events: u64) -> Sample {
    let counters = Counters {
        seen: events,
        written: events,
        ..Counters::from([0; 6])
    };
    let position = Position {
        sequence: events,
        lost: 0,
    };
    Sample {
        backend: "none",
        counters: vec![(HOOK, vec![counters, Counters::from([0; 6])])],
        positions: [vec![position, Position::from([0; 2])], Vec::new()],
        missed: Vec::new(),
    }
}

fn counters(sample: &mut Sample) -> &mut Counters {
    &mut sample.counters[0].1[0]
}

fn read(account: &mut Accounting, events: u64) {
    for _ in 0..events {
        account.read(&header(Kind::Namespace, HOOK, 0));
    }
}

fn identities(broken: &[Mismatch]) -> Vec<Identity> {
    broken.iter().map(|one| one.identity).collect()
}

const NUMBERS: Identity = Identity::Numbers {
    ring: Ring::Namespaces,
    cpu: 0,
};

#[test]
fn at_the_end_every_sum_is_exact() {
    let mut account = Accounting::default();
    read(&mut account, 4);
    assert_eq!(account.at_end(&sample(4)), []);
    // One more event, which did not fit.
    let mut full = sample(5);
    *counters(&mut full) = Counters::from([5, 0, 4, 1, 0, 0]);
    full.positions[0][0].lost = 1;
    assert_eq!(account.at_end(&full), []);
    assert_eq!(full.lost(NAMESPACE_RING), 1);
    // And with each count off by one.
    let wrong = |change: fn(&mut Sample)| {
        let mut changed = full.clone();
        change(&mut changed);
        identities(&account.at_end(&changed))
    };
    let outcomes = Identity::Outcomes(HOOK);
    assert_eq!(wrong(|one| counters(one).seen += 1), [outcomes]);
    assert_eq!(wrong(|one| counters(one).filtered += 1), [outcomes]);
    assert_eq!(wrong(|one| counters(one).ring_full -= 1), [outcomes]);
    assert_eq!(wrong(|one| counters(one).pending_full += 1), [outcomes]);
    let records = Identity::Records(HOOK);
    assert_eq!(wrong(|one| counters(one).written -= 1), [outcomes, records]);
    assert_eq!(wrong(|one| one.positions[0][0].sequence += 1), [NUMBERS]);
    assert_eq!(wrong(|one| one.positions[0][0].lost = 0), [NUMBERS]);
    // One record too many.
    read(&mut account, 1);
    let broken = account.at_end(&full);
    assert_eq!(identities(&broken), [records, NUMBERS]);
    assert_eq!(broken[0].to_string(), "sys_exit_setns: 4 written, 5 read");
}

#[test]
fn an_event_in_transit_is_no_loss_until_it_stays_away() {
    let mut account = Accounting::default();
    let mut checks = |events: u64, more: u64| {
        read(&mut account, more);
        identities(&account.check(sample(events)))
    };
    // Ten are counted, and read only at the next check.
    for round in 1..20 {
        assert_eq!(checks(round * 10, if round == 1 { 0 } else { 10 }), []);
    }
    // One of them never arrives.
    assert_eq!(checks(200, 9), []);
    assert_eq!(checks(200, 10), []);
    assert_eq!(checks(200, 0), [Identity::Records(HOOK), NUMBERS]);
    // After its late arrival the sums agree.
    assert_eq!(checks(200, 1), []);
}

#[test]
fn missed_calls_are_reported_by_program() {
    let mut missing = sample(0);
    counters(&mut missing).pending_full = 2;
    missing.missed = vec![("sys_exit", 3), ("sys_enter", 0)];
    let unseen: Vec<_> = missing.missed_calls().collect();
    assert_eq!(
        unseen,
        [
            ("sys_exit", MissReason::Recursion, 3),
            (HOOK.name(), MissReason::PendingFull, 2)
        ]
    );
}
