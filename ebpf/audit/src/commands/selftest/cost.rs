//! Measures the cost of the probes: of a call that they do not monitor, and of one that
//! they write.

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};
use serde::Serialize;

use crate::loader::error::ProbeError;
use crate::loader::probes::Probes;

/// The number of turns with and without probes: other load affects both.
const ROUNDS: u32 = 3;
/// The batches of each turn, of which the fastest counts.
const BATCHES: u32 = 20;
/// Calls of a batch.
const UNRELATED: u32 = 2000;
/// These have to fit into the ring.
const WRITTEN: u32 = 200;
/// More than a record takes in the ring, in bytes.
const RECORD: u32 = 1024;

/// The fastest times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    pub call: &'static str,
    /// In nanoseconds, as the next.
    pub without_ns: f64,
    pub with_ns: f64,
    pub ratio: f64,
}

/// Measures; `start` attaches the probes, with a ring of so many bytes.
///
/// # Errors
/// The probes cannot be attached or read.
pub(super) fn measure(
    mut start: impl FnMut() -> Result<Probes, Box<dyn Error>>,
    ring: u32,
) -> Result<Vec<Cost>, Box<dyn Error>> {
    let home = File::open("/proc/thread-self/ns/uts")?;
    let written = WRITTEN.min(ring / RECORD).max(1);
    let mut best = [[f64::INFINITY; 2]; 2];
    for _ in 0..ROUNDS {
        for with in [false, true] {
            let mut probes = if with { Some(start()?) } else { None };
            let [unrelated, joins] = &mut best;
            let place = usize::from(with);
            for _ in 0..BATCHES {
                let taken = timed(UNRELATED, || {
                    let _ = nix::unistd::getppid();
                    Ok(())
                })?;
                keep(unrelated, place, taken);
                let taken = timed(written, || setns(&home, CloneFlags::CLONE_NEWUTS))?;
                keep(joins, place, taken);
                if let Some(probes) = &mut probes {
                    empty(probes)?;
                }
            }
        }
    }
    let cost = |call, [without_ns, with_ns]: [f64; 2]| Cost {
        call,
        without_ns,
        with_ns,
        ratio: with_ns / without_ns,
    };
    let [unrelated, joins] = best;
    Ok(vec![cost("getppid", unrelated), cost("setns", joins)])
}

/// Nanoseconds of one call.
fn timed(count: u32, mut call: impl FnMut() -> nix::Result<()>) -> nix::Result<f64> {
    let begun = Instant::now();
    for _ in 0..count {
        call()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e9 / f64::from(count))
}

fn keep(best: &mut [f64; 2], place: usize, taken: f64) {
    if let Some(best) = best.get_mut(place) {
        *best = best.min(taken);
    }
}

fn empty(probes: &mut Probes) -> Result<(), ProbeError> {
    for ring in [NAMESPACE_RING, LINEAGE_RING] {
        while probes.next(ring, drop)? {}
    }
    Ok(())
}
