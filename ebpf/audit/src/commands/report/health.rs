//! The auditor's own counters.

use super::html;
use crate::output::health::{Health, HookCounters, RingPosition};

/// A counter of a hook.
struct Column {
    name: &'static str,
    of: fn(&HookCounters) -> u64,
    /// It has to be 0.
    is_bad: bool,
}

const fn column(name: &'static str, of: fn(&HookCounters) -> u64, is_bad: bool) -> Column {
    Column { name, of, is_bad }
}

const COLUMNS: [Column; 6] = [
    column("seen", |one| one.seen, false),
    column("filtered", |one| one.filtered, false),
    column("written", |one| one.written, false),
    column("ring_full", |one| one.ring_full, true),
    column("pending_full", |one| one.pending_full, true),
    column("beginning_unseen", |one| one.beginning_unseen, false),
];

/// The counters that are not 0 and have to be.
pub(super) fn complaint(health: &Health) -> Option<String> {
    let programs = health.missed.values().copied();
    let missed = programs.fold(0, u64::saturating_add);
    let complaints: Vec<String> = COLUMNS
        .iter()
        .filter(|column| column.is_bad)
        .map(|column| (column.name, sum(health, column)))
        .chain([("programs not run", missed)])
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", html::number(count)))
        .collect();
    (!complaints.is_empty()).then(|| complaints.join(", "))
}

fn sum(health: &Health, column: &Column) -> u64 {
    let hooks = health.hooks.values().map(column.of);
    hooks.fold(0, u64::saturating_add)
}

/// The counters of a health line.
pub(super) struct Counters<'a> {
    pub clock: String,
    pub backend: &'a str,
    /// The names of the counters of a hook.
    pub names: [&'static str; 6],
    pub hooks: Vec<(&'a str, [Counter; 6])>,
    pub rings: [Ring; 2],
    /// How often the kernel did not run a program.
    pub programs: Vec<(&'a str, Counter)>,
}

pub(super) struct Counter {
    pub printed: String,
    pub is_zero: bool,
    /// It is not 0, and has to be.
    pub is_bad: bool,
}

pub(super) struct Ring {
    pub name: &'static str,
    pub events: String,
    pub lost: Counter,
}

impl<'a> Counters<'a> {
    pub(super) fn of(health: &'a Health) -> Self {
        let hooks = health.hooks.iter().map(|(hook, counters)| {
            let of = |column: &Column| counter((column.of)(counters), column.is_bad);
            (hook.as_ref(), COLUMNS.each_ref().map(of))
        });
        let programs = health.missed.iter();
        let programs = programs.map(|(program, missed)| (program.as_ref(), counter(*missed, true)));
        Self {
            clock: html::clock(health.time.ts_wall_ms),
            backend: &health.backend,
            names: COLUMNS.each_ref().map(|column| column.name),
            hooks: hooks.collect(),
            rings: [
                ring("lineage", &health.rings.lineage),
                ring("namespaces", &health.rings.namespaces),
            ],
            programs: programs.collect(),
        }
    }
}

fn counter(count: u64, has_to_be_zero: bool) -> Counter {
    Counter {
        printed: html::number(count),
        is_zero: count == 0,
        is_bad: count > 0 && has_to_be_zero,
    }
}

fn ring(name: &'static str, processors: &[RingPosition]) -> Ring {
    let sum = |of: fn(&RingPosition) -> u64| {
        let counts = processors.iter().map(of);
        counts.fold(0, u64::saturating_add)
    };
    Ring {
        name,
        events: html::number(sum(|one| one.sequence)),
        lost: counter(sum(|one| one.lost), true),
    }
}
