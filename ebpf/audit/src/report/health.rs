//! What the auditor counted of itself.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::html::{self, Text};
use super::line::Health;
use super::tables;

/// Counters that are to be 0.
const BAD: [&str; 2] = ["ring_full", "pending_full"];
/// The order of the columns; others follow.
const ORDER: [&str; 6] = [
    "seen",
    "filtered",
    "written",
    "ring_full",
    "pending_full",
    "beginning_unseen",
];

/// What is not 0 and had to be, in words.
pub(super) fn complaint(health: &Health) -> Option<String> {
    let sum = |name: &str| -> u64 {
        let of = |counters: &serde_json::Map<String, Value>| counters.get(name)?.as_u64();
        health
            .hooks
            .values()
            .filter_map(of)
            .fold(0, u64::saturating_add)
    };
    let programs = health.missed.values().copied();
    let missed = programs.fold(0, u64::saturating_add);
    let said: Vec<String> = BAD
        .iter()
        .map(|name| (*name, sum(name)))
        .chain([("programs not run", missed)])
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", html::number(count)))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

pub(super) fn table(out: &mut String, health: Option<&Health>) -> fmt::Result {
    let Some(health) = health else {
        return out.write_str("<p class=\"none\">There is no line of counters.</p>\n");
    };
    writeln!(
        out,
        "<p class=\"note\">At {} UTC, probes by {}.</p>",
        html::clock(health.time.wall_ms),
        Text(&health.backend)
    )?;
    let mut names: Vec<&str> = ORDER.to_vec();
    for counters in health.hooks.values() {
        for name in counters.keys() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let escaped: Vec<String> = names
        .iter()
        .map(|name| format!("#{}", Text(name)))
        .collect();
    let mut columns = vec!["Hook"];
    columns.extend(escaped.iter().map(String::as_str));
    tables::head(out, "health", &columns)?;
    for (hook, counters) in &health.hooks {
        write!(out, "<tr><td class=\"k\">{}</td>", Text(hook))?;
        for name in &names {
            let value = counters.get(*name);
            let count = value.and_then(Value::as_u64);
            let shown = match (count, value) {
                (Some(count), _) => html::number(count),
                (None, Some(value)) => value.to_string(),
                (None, None) => "–".to_owned(),
            };
            let class = match count {
                Some(0) | None => "n zero",
                Some(_) if BAD.contains(name) => "n bad",
                Some(_) => "n",
            };
            // A dash of our own is no text of others.
            let shown = if value.is_some() {
                Text(&shown).to_string()
            } else {
                shown
            };
            write!(out, "<td class=\"{class}\">{shown}</td>")?;
        }
        out.write_str("</tr>\n")?;
    }
    tables::foot(out, 0)?;
    tables::head(out, "health", &["Ring", "#Events", "#Lost"])?;
    for (ring, processors) in &health.rings {
        let sum = |name: &str| -> u64 {
            let of = |one: &serde_json::Map<String, Value>| one.get(name)?.as_u64();
            processors
                .iter()
                .filter_map(of)
                .fold(0, u64::saturating_add)
        };
        let lost = sum("lost");
        writeln!(
            out,
            "<tr><td class=\"k\">{}</td><td class=\"n\">{}</td><td class=\"{}\">{}</td></tr>",
            Text(ring),
            html::number(sum("sequence")),
            if lost > 0 { "n bad" } else { "n zero" },
            html::number(lost)
        )?;
    }
    tables::foot(out, 0)?;
    programs(out, health)
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
