//! Compares counters with events.
//!
//! Every event is counted in three places: the counters of its hook, the position of its
//! ring, and the record. While the probes are attached these are read one after the other,
//! so an event can be in one and not yet in the next: the second must have reached the
//! earlier value of the first by now. Once the probes are detached, each pair has to be
//! equal.

use std::collections::BTreeMap;
use std::fmt;

use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::counters::{Counters, LINEAGE_RING, NAMESPACE_RING, Position};
use nsexec_audit_abi::parts::Header;

use crate::loader::error::ProbeError;
use crate::loader::probes::Probes;
use crate::model::event::{MissReason, Ring};

/// The number of checks in a row that have to find a mismatch: a task that is preempted in
/// a probe for longer than one check is no loss.
const MISMATCHES_BEFORE_REPORT: u32 = 3;

/// All counters at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How the probes are attached.
    pub backend: &'static str,
    /// Of each hook, by processor.
    pub counters: Vec<(Hook, Vec<Counters>)>,
    /// Of each ring, by processor.
    pub positions: [Vec<Position>; 2],
    /// How often the kernel did not run each program.
    pub missed: Vec<(&'static str, u64)>,
}

impl Sample {
    /// Reads the counters.
    ///
    /// # Errors
    /// A map, or /proc, cannot be read.
    pub fn take(probes: &Probes) -> Result<Self, ProbeError> {
        Ok(Self {
            backend: probes.backend().name(),
            counters: probes.counters()?,
            positions: probes.positions()?,
            missed: probes.missed()?,
        })
    }

    /// Over all processors.
    #[must_use]
    pub fn sum(&self, hook: Hook, of: fn(&Counters) -> u64) -> u64 {
        let counters = self.counters.iter().filter(|(one, _)| *one == hook);
        counters.flat_map(|(_, by_cpu)| by_cpu).map(of).sum()
    }

    /// Events that did not fit into a ring.
    #[must_use]
    pub fn lost(&self, ring: u32) -> u64 {
        let positions = self.positions.get(usize::from(ring != NAMESPACE_RING));
        positions.into_iter().flatten().map(|one| one.lost).sum()
    }

    /// The programs and hooks that missed calls, the reason, and the number of calls.
    pub fn missed_calls(&self) -> impl Iterator<Item = (&'static str, MissReason, u64)> {
        let missed = self.missed.iter();
        let missed = missed.map(|(program, count)| (*program, MissReason::Recursion, *count));
        let pending = self.counters.iter().map(|(hook, _)| {
            let count = self.sum(*hook, |one| one.pending_full);
            (hook.name(), MissReason::PendingFull, count)
        });
        missed.chain(pending).filter(|(_, _, count)| *count > 0)
    }
}

/// Two sums that have to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Events that a hook observed, and their outcomes.
    Outcomes(Hook),
    /// Events that a hook wrote, and those that were read.
    Records(Hook),
    /// The numbers that a ring assigned on a processor, and the events that were read or
    /// counted as lost: a missing number is a missing event.
    Numbers { ring: Ring, cpu: u32 },
}

/// Two sums are not equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub identity: Identity,
    pub first: u64,
    pub then: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, then, .. } = self;
        match self.identity {
            Identity::Outcomes(hook) => write!(
                f,
                "{}: {first} seen, {then} filtered, written or lost",
                hook.name()
            ),
            Identity::Records(hook) => {
                write!(f, "{}: {first} written, {then} read", hook.name())
            }
            Identity::Numbers { ring, cpu } => write!(
                f,
                "{} ring, processor {cpu}: {first} numbers given, {then} read or lost",
                ring.name()
            ),
        }
    }
}

/// The events that were read, and the counters at the last check.
#[derive(Debug, Default)]
pub struct Accounting {
    read: Read,
    before: Option<(Sample, Read)>,
    suspected: Vec<(Identity, u32)>,
}

#[derive(Clone, Debug, Default)]
struct Read {
    /// By the number of the hook.
    hooks: BTreeMap<u8, u64>,
    /// By ring, and by processor.
    rings: [BTreeMap<u32, u64>; 2],
}

impl Accounting {
    /// Counts a record.
    pub fn read(&mut self, header: &Header) {
        *self.read.hooks.entry(header.hook.code()).or_default() += 1;
        let [namespaces, lineage] = &mut self.read.rings;
        let ring = match header.kind {
            Kind::Namespace => namespaces,
            _ => lineage,
        };
        *ring.entry(header.cpu).or_default() += 1;
    }

    /// The counters at the last check.
    #[must_use]
    pub fn last_sample(&self) -> Option<&Sample> {
        self.before.as_ref().map(|(sample, _)| sample)
    }

    /// The sums that do not agree, while the probes are attached. `now` was taken after
    /// everything was read, and about a second after the one before.
    pub fn check(&mut self, now: Sample) -> Vec<Mismatch> {
        let read = self.read.clone();
        let found = match &self.before {
            Some((before, read_before)) => compare(&sums(before, read_before), &sums(&now, &read)),
            None => Vec::new(),
        };
        self.before = Some((now, read));
        let times = |identity| {
            let known = self.suspected.iter().find(|(one, _)| *one == identity);
            known.map_or(1, |(_, times)| times + 1)
        };
        self.suspected = found
            .iter()
            .map(|broken| (broken.identity, times(broken.identity)))
            .collect();
        let suspected = found.into_iter().zip(&self.suspected);
        suspected
            .filter_map(|(broken, (_, times))| {
                (*times >= MISMATCHES_BEFORE_REPORT).then_some(broken)
            })
            .collect()
    }

    /// The sums that are not equal, once the probes are detached and everything was
    /// read.
    #[must_use]
    pub fn at_end(&self, end: &Sample) -> Vec<Mismatch> {
        let sums = sums(end, &self.read);
        compare(&sums, &sums)
    }
}

/// Both sides of each identity. The right side is counted after the left one.
fn sums(sample: &Sample, read: &Read) -> Vec<(Identity, u64, u64)> {
    let mut all = Vec::new();
    for (hook, _) in &sample.counters {
        let sum = |of| sample.sum(*hook, of);
        let written = sum(|one| one.written);
        let known = sum(|one| one.filtered)
            + written
            + sum(|one| one.ring_full)
            + sum(|one| one.pending_full);
        all.push((Identity::Outcomes(*hook), sum(|one| one.seen), known));
        let into_a_ring =
            |kind| matches!(kind, Kind::Namespace | Kind::Fork | Kind::Exec | Kind::Exit);
        if hook.writes().is_some_and(into_a_ring) {
            let read = read.hooks.get(&hook.code());
            let read = read.copied().unwrap_or_default();
            all.push((Identity::Records(*hook), written, read));
        }
    }
    let rings = Ring::ALL.iter().zip(&sample.positions).zip(&read.rings);
    for ((ring, positions), read) in rings {
        let of = |cpu: u32| read.get(&cpu).copied().unwrap_or_default();
        for (cpu, one) in (0..).zip(positions) {
            let identity = Identity::Numbers { ring: *ring, cpu };
            all.push((identity, one.sequence, of(cpu) + one.lost));
        }
        // Events of a processor that does not exist.
        let known = u32::try_from(positions.len()).unwrap_or(u32::MAX);
        for (cpu, read) in read.range(known..) {
            all.push((
                Identity::Numbers {
                    ring: *ring,
                    cpu: *cpu,
                },
                0,
                *read,
            ));
        }
    }
    all
}

/// The right side must have reached the earlier value of the left side, and must not
/// exceed the left side. Both have the same identities in the same order, and only those
/// of processors may be more in the second.
fn compare(before: &[(Identity, u64, u64)], now: &[(Identity, u64, u64)]) -> Vec<Mismatch> {
    let mut broken = Vec::new();
    for (identity, first, then) in now {
        let earlier = before.iter().find(|(one, ..)| one == identity);
        let (first_before, then_before) =
            earlier.map_or((0, 0), |(_, first, then)| (*first, *then));
        let mut hold = |holds: bool, first, then| {
            if !holds {
                broken.push(Mismatch {
                    identity: *identity,
                    first,
                    then,
                });
            }
        };
        if first_before > *then {
            hold(false, first_before, *then);
        } else {
            hold(then_before <= *first, *first, then_before);
        }
    }
    broken
}

const _: () = assert!(NAMESPACE_RING == 0 && LINEAGE_RING == 1);

#[cfg(test)]
mod tests;
