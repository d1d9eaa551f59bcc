//! The auditor's own counters.

use std::fmt::{self, Write as _};

use super::html::{self, Text};
use super::tables;
use crate::output::health::{Health, HookCounters, RingPosition};

/// A counter.
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

pub(super) fn table(out: &mut String, health: Option<&Health>) -> fmt::Result {
    let Some(health) = health else {
        return out.write_str("<p class=\"none\">There is no line of counters.</p>\n");
    };
    writeln!(
        out,
        "<p class=\"note\">At {} UTC, probes by {}.</p>",
        html::clock(health.time.ts_wall_ms),
        Text(&health.backend)
    )?;
    hooks(out, health)?;
    tables::head(out, "health", &["Ring", "#Events", "#Lost"])?;
    ring(out, "lineage", &health.rings.lineage)?;
    ring(out, "namespaces", &health.rings.namespaces)?;
    tables::foot(out, 0)?;
    programs(out, health)
}

fn hooks(out: &mut String, health: &Health) -> fmt::Result {
    let names: Vec<String> = COLUMNS
        .iter()
        .map(|column| format!("#{}", column.name))
        .collect();
    let mut columns = vec!["Hook"];
    columns.extend(names.iter().map(String::as_str));
    tables::head(out, "health", &columns)?;
    for (hook, counters) in &health.hooks {
        write!(out, "<tr><td class=\"k\">{}</td>", Text(hook))?;
        for column in &COLUMNS {
            let count = (column.of)(counters);
            let class = match count {
                0 => "n zero",
                _ if column.is_bad => "n bad",
                _ => "n",
            };
            write!(out, "<td class=\"{class}\">{}</td>", html::number(count))?;
        }
        out.write_str("</tr>\n")?;
    }
    tables::foot(out, 0)
}

fn ring(out: &mut String, name: &str, processors: &[RingPosition]) -> fmt::Result {
    let sum = |of: fn(&RingPosition) -> u64| {
        let counts = processors.iter().map(of);
        counts.fold(0, u64::saturating_add)
    };
    let lost = sum(|one| one.lost);
    writeln!(
        out,
        "<tr><td class=\"k\">{name}</td><td class=\"n\">{}</td><td class=\"{}\">{}</td></tr>",
        html::number(sum(|one| one.sequence)),
        if lost > 0 { "n bad" } else { "n zero" },
        html::number(lost)
    )
}

/// How often the kernel did not run a program.
fn programs(out: &mut String, health: &Health) -> fmt::Result {
    tables::head(out, "health", &["Program", "#Not run"])?;
    for (program, missed) in &health.missed {
        writeln!(
            out,
            "<tr><td class=\"k\">{}</td><td class=\"{}\">{}</td></tr>",
            Text(program),
            if *missed > 0 { "n bad" } else { "n zero" },
            html::number(*missed)
        )?;
    }
    tables::foot(out, 0)
}
