//! What is counted agrees with what was read.

use std::time::{Duration, Instant};

use nsexec_audit::ingest::accounting::{Accounting, Sample};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Kind;
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use super::Watched;

/// Takes the probes out, reads what is left, and checks every sum. How many events were
/// read from the rings, and how many were lost.
#[track_caller]
pub fn sums_agree(watched: &mut Watched) -> (u64, u64) {
    watched.probes.stop();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        watched.drain();
        let mut account = Accounting::default();
        for event in &watched.seen {
            account.read(event.header());
        }
        let sample = Sample::take(&watched.probes).unwrap();
        let broken = account.at_end(&sample);
        if broken.is_empty() {
            let rings = |event: &&Event| event.header().kind != Kind::Snapshot;
            let read = watched.seen.iter().filter(rings).count();
            let lost = sample.lost(NAMESPACE_RING) + sample.lost(LINEAGE_RING);
            return (u64::try_from(read).unwrap(), lost);
        }
        // A program that was running when it was taken out still comes to its end.
        assert!(Instant::now() < deadline, "{broken:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
