//! Compares the counters with the events that were read.

use std::time::{Duration, Instant};

use nsexec_audit::ingest::accounting::{Accounting, Sample};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Kind;
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use super::Watched;

/// Detaches the probes, reads the remaining events, and checks every sum. Returns the
/// numbers of read and of lost events.
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
        // A BPF program that runs during the detachment still completes.
        assert!(Instant::now() < deadline, "{broken:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
