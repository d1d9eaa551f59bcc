//! The `health` line: every counter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ingest::accounting::{Mismatch, Sample};
use crate::model::event::Time;

/// All counters: every 60 seconds (`--health`), when a sum is found broken, and at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    #[serde(flatten)]
    pub time: Time,
    /// How the probes are attached.
    pub backend: Cow<'static, str>,
    /// Nothing is written any more: every sum has to be equal.
    pub ended: bool,
    /// Sums that do not agree: events are missing, or counted wrong.
    pub broken: Vec<String>,
    /// How many times a task was not tracked because the table was full: the auditor
    /// detects no `ns_gap` for such a task.
    pub forgotten: u64,
    /// The nice value of the auditor's thread that reads: up to 4 less than the one that
    /// the auditor was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// By hook.
    pub hooks: BTreeMap<Cow<'static, str>, HookCounters>,
    /// By program: how often the kernel did not run it, because another program ran on
    /// that processor.
    pub missed: BTreeMap<Cow<'static, str>, u64>,
    pub rings: Rings,
}

/// The outcomes of a hook's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookCounters {
    /// How often the hook ran.
    pub seen: u64,
    /// Not of interest.
    pub filtered: u64,
    /// In the ring, or kept until the call ends.
    pub written: u64,
    /// Lost, because the ring was full.
    pub ring_full: u64,
    /// Not kept, because the kernel had no memory for it.
    pub pending_full: u64,
    /// The end of a call whose beginning was not observed.
    pub beginning_unseen: u64,
}

/// Both rings, by processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rings {
    pub namespaces: Vec<RingPosition>,
    pub lineage: Vec<RingPosition>,
}

/// A ring on a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RingPosition {
    /// The number of its next event.
    pub sequence: u64,
    /// Events that did not fit.
    pub lost: u64,
}

impl Health {
    /// The counters of a sample. `nice`: of the thread that reads; `ended`: no more events
    /// come.
    #[must_use]
    pub fn of(
        sample: &Sample,
        mismatches: &[Mismatch],
        forgotten: u64,
        nice: i32,
        time: Time,
        ended: bool,
    ) -> Self {
        let hooks = sample.counters.iter().map(|(hook, _)| {
            let sum = |of| sample.sum(*hook, of);
            let counters = HookCounters {
                seen: sum(|one| one.seen),
                filtered: sum(|one| one.filtered),
                written: sum(|one| one.written),
                ring_full: sum(|one| one.ring_full),
                pending_full: sum(|one| one.pending_full),
                beginning_unseen: sum(|one| one.beginning_unseen),
            };
            (hook.name().into(), counters)
        });
        let [namespaces, lineage] = sample.positions.each_ref().map(|by_cpu| {
            let positions = by_cpu.iter().map(|one| RingPosition {
                sequence: one.sequence,
                lost: one.lost,
            });
            positions.collect()
        });
        let missed = sample.missed.iter();
        Self {
            time,
            backend: sample.backend.into(),
            ended,
            broken: mismatches.iter().map(Mismatch::to_string).collect(),
            forgotten,
            nice: Some(nice),
            hooks: hooks.collect(),
            missed: missed
                .map(|(program, count)| ((*program).into(), *count))
                .collect(),
            rings: Rings {
                namespaces,
                lineage,
            },
        }
    }
}
