//! What is counted agrees with what was read.

use nsexec_audit::account::{Account, Sample};

use super::Watched;

/// Takes the probes out, reads what is left, and checks every sum.
#[track_caller]
pub fn sums_agree(watched: &mut Watched) {
    watched.probes.stop();
    watched.drain();
    let mut account = Account::default();
    for event in &watched.seen {
        account.read(event.header());
    }
    let sample = Sample::take(&watched.probes).unwrap();
    assert_eq!(account.at_end(&sample), []);
}
