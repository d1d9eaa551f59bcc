//! Reads the rings, and checks that nothing is missing in what was read.

use std::time::{Duration, Instant};

use nsexec_audit_abi::Event;
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};

use super::accounting::{Accounting, Mismatch, Sample};
use crate::loader::error::ProbeError;
use crate::loader::probes::Probes;

/// The interval at which the sums are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the rings are read again for the events of tasks on their way out of a
/// probe, once the probes are detached, and the pause between.
const SETTLE_ROUNDS: u32 = 100;
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

/// Both rings, in the order in which they are read. The probes write the fork record of a
/// child before the child's first namespace record. So the lineage ring is read last, and
/// has the fork of every namespace record that was read.
const RINGS: [u32; 2] = [NAMESPACE_RING, LINEAGE_RING];

/// Takes the events that were read.
pub trait EventSink {
    /// Whether another event of this ring can be taken. Events that are not read fill the
    /// ring, where those that do not fit are counted.
    fn has_room(&self, ring: u32) -> bool;

    /// Takes an event.
    fn push(&mut self, event: Event);
}

/// Reads the rings and accounts for every event.
#[derive(Debug)]
pub struct Reader {
    accounting: Accounting,
    check_at: Instant,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            accounting: Accounting::default(),
            check_at: Instant::now(),
        }
    }
}

impl Reader {
    /// Reads as many events as the sink has room for; returns how many there were.
    ///
    /// # Errors
    /// A ring holds something that is not an event.
    pub fn read(
        &mut self,
        probes: &mut Probes,
        sink: &mut impl EventSink,
    ) -> Result<usize, ProbeError> {
        self.read_while(probes, sink, |sink, ring| sink.has_room(ring))
    }

    fn read_while<S: EventSink>(
        &mut self,
        probes: &mut Probes,
        sink: &mut S,
        more: impl Fn(&S, u32) -> bool,
    ) -> Result<usize, ProbeError> {
        let mut count = 0;
        for ring in RINGS {
            while more(sink, ring)
                && probes.next(ring, |event| {
                    self.accounting.read(event.header());
                    sink.push(event);
                })?
            {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Reads as many events as there is room for, once the probes are detached; false: the
    /// rings were read to their ends.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn drain(
        &mut self,
        probes: &mut Probes,
        sink: &mut impl EventSink,
    ) -> Result<bool, ProbeError> {
        let had_room = RINGS.iter().all(|ring| sink.has_room(*ring));
        let count = self.read(probes, sink)?;
        Ok(!had_room || count > 0)
    }

    /// Whether the sums are due to be checked.
    #[must_use]
    pub fn check_is_due(&self) -> bool {
        Instant::now() >= self.check_at
    }

    /// The counters at the check before.
    #[must_use]
    pub fn last_sample(&self) -> Option<&Sample> {
        self.accounting.last_sample()
    }

    /// Compares the sums while the probes are attached. `sample` was taken after
    /// everything was read.
    pub fn check(&mut self, sample: Sample) -> Vec<Mismatch> {
        self.check_at = Instant::now() + CHECK_INTERVAL;
        self.accounting.check(sample)
    }

    /// Reads the rest once the probes are detached, and compares the sums exactly.
    ///
    /// # Errors
    /// As [`read`](Self::read), or the counters cannot be read.
    pub fn finish(
        &mut self,
        probes: &mut Probes,
        sink: &mut impl EventSink,
    ) -> Result<(Sample, Vec<Mismatch>), ProbeError> {
        let mut rounds = 0;
        loop {
            self.read_while(probes, sink, |_, _| true)?;
            let sample = Sample::take(probes)?;
            let mismatches = self.accounting.at_end(&sample);
            if mismatches.is_empty() || rounds == SETTLE_ROUNDS {
                return Ok((sample, mismatches));
            }
            rounds += 1;
            std::thread::sleep(SETTLE_PAUSE);
        }
    }
}
