//! What is counted agrees with what was read.

use nsexec_audit::account::{Account, Sample};
use nsexec_audit_abi::code::Kind;
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use super::Watched;

/// Takes the probes out, reads what is left, and checks every sum. How many events were
/// read from the rings, and how many were lost.
#[track_caller]
pub fn sums_agree(watched: &mut Watched) -> (u64, u64) {
    watched.probes.stop();
    watched.drain();
    let mut account = Account::default();
    let mut read = 0;
    for event in &watched.seen {
        account.read(event.header());
        read += u64::from(event.header().kind != Kind::Snapshot);
    }
    let sample = Sample::take(&watched.probes).unwrap();
    assert_eq!(account.at_end(&sample), []);
    (
        read,
        sample.lost(NAMESPACE_RING) + sample.lost(LINEAGE_RING),
    )
}
