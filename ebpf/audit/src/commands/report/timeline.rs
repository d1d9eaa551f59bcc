//! The time line: one lane per process, drawn with horizontal positions in per cent, so
//! that it is as wide as the page; the script enlarges a part of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

use super::describe;
use super::events::{Detail, Event, Process};
use super::history::History;
use super::html::{self, Text};
use super::tables::owner;
use crate::clock;
use crate::model::namespaces::NamespaceType;

/// The maximum number of lanes; the other processes share the last one.
const MAX_LANES: usize = 48;
/// If there are more marks, those of one lane, class and position are merged.
const MAX_MARKS: usize = 10_000;
/// The number of positions on the time line in that case.
const PLACES: u64 = 4_000;
/// Heights in pixels: of a lane, and of the area above the first one.
const LANE: usize = 26;
const TOP: usize = 34;
/// The maximum indentation of a lane's name.
const MAX_DEPTH: usize = 6;
/// The minimum distance between two labelled losses, as a fraction.
const LABEL: f64 = 0.06;

/// A lane of the time line.
enum Lane<'a> {
    Process { process: &'a Process, depth: usize },
    Others(usize),
}

/// Converts nanoseconds to fractions of the time line.
struct Scale {
    from: u64,
    length: u64,
}

impl Scale {
    fn of(history: &History) -> Self {
        let (from, to) = history
            .span
            .map_or((0, 0), |(first, last)| (first.ts_boot_ns, last.ts_boot_ns));
        // A single moment is drawn in the middle of a millisecond.
        if from == to {
            return Self {
                from: from.saturating_sub(500_000),
                length: 1_000_000,
            };
        }
        Self {
            from,
            length: to - from,
        }
    }

    /// With some room at both ends.
    fn at(&self, boot_ns: u64) -> f64 {
        let since = approximate(boot_ns.saturating_sub(self.from).min(self.length));
        0.01 + 0.98 * since / approximate(self.length)
    }

    fn place(&self, boot_ns: u64) -> u64 {
        let since = u128::from(boot_ns.saturating_sub(self.from));
        let place = since * u128::from(PLACES) / u128::from(self.length.max(1));
        u64::try_from(place).unwrap_or(PLACES)
    }
}

/// A length as a floating-point number: 53 bits hold a hundred days of nanoseconds.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "it is where something is drawn"
)]
fn approximate(ns: u64) -> f64 {
    ns as f64
}

/// The importance of a process.
fn weight(process: &Process) -> (u64, u64) {
    let alert = process.alert.map_or(0, |severity| {
        1 + u64::from(severity >= crate::model::event::Severity::High)
    });
    (alert + u64::from(process.gaps > 0), process.calls)
}

/// The lanes, children below their parents; and the lane of each process.
fn lanes(history: &History) -> (Vec<Lane<'_>>, HashMap<usize, usize>) {
    let mut chosen: Vec<usize> = (0..history.processes.len()).collect();
    if chosen.len() > MAX_LANES {
        let weight = |number: &usize| history.processes.get(*number).map(weight);
        chosen.retain(|number| weight(number).is_some_and(|weight| weight > (0, 0)));
        chosen.sort_by_key(|number| std::cmp::Reverse(weight(number)));
        chosen.truncate(MAX_LANES - 1);
        chosen.sort_unstable();
    }
    let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for number in &chosen {
        let mut above = history
            .processes
            .get(*number)
            .and_then(|process| process.parent);
        // Skips ancestors without a lane.
        while let Some(parent) = above
            && chosen.binary_search(&parent).is_err()
        {
            above = history
                .processes
                .get(parent)
                .and_then(|process| process.parent);
        }
        children.entry(above).or_default().push(*number);
    }
    let first = |number: &usize| history.processes.get(*number).map(|process| process.first);
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    let mut push = |waiting: &mut Vec<(usize, usize)>, of: Option<usize>, depth| {
        let mut list = children.remove(&of).unwrap_or_default();
        list.sort_by_key(first);
        waiting.extend(list.into_iter().rev().map(|number| (number, depth)));
    };
    push(&mut waiting, None, 0);
    let (mut all, mut places) = (Vec::new(), HashMap::new());
    while let Some((number, depth)) = waiting.pop() {
        if let Some(process) = history.processes.get(number) {
            places.insert(number, all.len());
            all.push(Lane::Process { process, depth });
            push(&mut waiting, Some(number), depth + 1);
        }
    }
    let others = history.processes.len() - all.len();
    if others > 0 {
        all.push(Lane::Others(others));
    }
    (all, places)
}

/// Events that share a mark.
struct Mark<'a> {
    lane: usize,
    first: (usize, &'a Event),
    count: u64,
    types: Vec<NamespaceType>,
}

fn marks<'a>(history: &'a History, places: &HashMap<usize, usize>, scale: &Scale) -> Vec<Mark<'a>> {
    // A fork and an exit are the ends of a bar.
    let drawn = |event: &&Event| {
        !matches!(
            event.detail,
            Detail::Fork(_) | Detail::Exit(_) | Detail::Lost(_) | Detail::Missed(_)
        )
    };
    let many = history.events.iter().filter(drawn).count() > MAX_MARKS;
    let mut marks: Vec<Mark<'_>> = Vec::new();
    let mut known: HashMap<(usize, &str, u64), usize> = HashMap::new();
    for (at, event) in history.events.iter().enumerate() {
        if !drawn(&event) {
            continue;
        }
        let Some(process) = event.process else {
            continue;
        };
        // The other processes share the lane after the last own lane.
        let lane = places.get(&process).copied().unwrap_or(places.len());
        let types = describe::about(&event.detail);
        let place = scale.place(event.time.ts_boot_ns);
        let next = marks.len();
        let mark = *known
            .entry((lane, event.detail.name(), place))
            .or_insert(next);
        if many && let Some(mark) = marks.get_mut(mark) {
            mark.count += 1;
            for one in types {
                if !mark.types.contains(&one) {
                    mark.types.push(one);
                }
            }
        } else {
            marks.push(Mark {
                lane,
                first: (at, event),
                count: 1,
                types,
            });
        }
    }
    marks
}

/// The whole time line.
pub(super) fn draw(out: &mut String, history: &History) -> fmt::Result {
    let Some((first, _)) = history.span else {
        return out.write_str("<p class=\"none\">No events were recorded.</p>\n");
    };
    let scale = Scale::of(history);
    let (lanes, places) = lanes(history);
    let height = TOP + LANE * lanes.len().max(1) + 6;
    // The beginning in milliseconds since 1970 and the length in nanoseconds, for the
    // script's ticks.
    let from = first
        .ts_wall_ms
        .saturating_sub(i64::from(scale.from < first.ts_boot_ns));
    write!(
        out,
        "<div class=\"time\" id=\"time\" data-wall=\"{from}\" data-length=\"{}\"><div class=\"lanes\">",
        scale.length
    )?;
    for lane in &lanes {
        name(out, lane)?;
    }
    writeln!(
        out,
        "</div><div class=\"plot\" id=\"plot\"><svg width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"Time line\">"
    )?;
    for (number, _) in lanes.iter().enumerate().skip(1).step_by(2) {
        let y = TOP + LANE * number;
        write!(
            out,
            "<rect class=\"band\" x=\"0\" y=\"{y}\" width=\"100%\" height=\"{LANE}\"/>"
        )?;
    }
    ticks(out, from, scale.length, height)?;
    losses(out, history, &scale, height)?;
    for (number, lane) in lanes.iter().enumerate() {
        if let Lane::Process { process, .. } = lane {
            bar(out, history, &scale, process, number)?;
        }
    }
    for mark in marks(history, &places, &scale) {
        draw_mark(out, history, &scale, &mark)?;
    }
    out.write_str("</svg></div></div>\n")
}

fn name(out: &mut String, lane: &Lane<'_>) -> fmt::Result {
    match lane {
        Lane::Process { process, depth } => {
            let depth = depth.min(&MAX_DEPTH);
            let title = describe::process(process);
            write!(
                out,
                "<div class=\"lane d{depth}\"{} title=\"{}\"><b class=\"t\">{}</b> <span class=\"m\">{}</span>",
                owner(Some(process)),
                Text(&title),
                Text(&process.comm),
                process.id.tgid
            )?;
            if let Some(container) = &process.container {
                write!(out, " <span class=\"box t\">{}</span>", Text(container))?;
            }
            out.write_str("</div>\n")
        }
        Lane::Others(count) => {
            let count = u64::try_from(*count).unwrap_or(u64::MAX);
            let printed = html::counted(count, "other process", "other processes");
            writeln!(out, "<div class=\"lane rest\">{printed}</div>")
        }
    }
}

/// From the fork, or from the first event, to the end.
fn bar(
    out: &mut String,
    history: &History,
    scale: &Scale,
    process: &Process,
    lane: usize,
) -> fmt::Result {
    let from = scale.at(process.first);
    let told_ends = history.count("exit") > 0;
    let to = if told_ends && !process.exited {
        0.99
    } else {
        scale.at(process.last)
    };
    let y = TOP + LANE * lane + LANE / 2 + 2;
    let class = if process.exited || !told_ends {
        "bar"
    } else {
        "bar open"
    };
    writeln!(
        out,
        "<line class=\"{class}\"{} data-x=\"{from:.9}\" data-y=\"{to:.9}\" x1=\"{:.4}%\" x2=\"{:.4}%\" y1=\"{y}\" y2=\"{y}\"/>",
        owner(Some(process)),
        from * 100.0,
        to * 100.0
    )
}

fn draw_mark(out: &mut String, history: &History, scale: &Scale, mark: &Mark<'_>) -> fmt::Result {
    let (at, event) = mark.first;
    let name = event.detail.name();
    let process = event
        .process
        .and_then(|process| history.processes.get(process));
    let x = scale.at(event.time.ts_boot_ns);
    let above = if matches!(event.detail, Detail::Alert(_)) {
        8
    } else {
        0
    };
    let y = TOP + LANE * mark.lane + LANE / 2 + 2 - above;
    let shade = match &event.detail {
        Detail::Alert(alert) => format!(" {}", alert.severity.name()),
        _ => String::new(),
    };
    let mut title = describe::summary(event, process);
    if mark.count > 1 {
        title = format!("{} like this, from {title}", html::number(mark.count));
    }
    writeln!(
        out,
        "<a class=\"mark c-{name}{shade}\" href=\"#e{at}\" data-c=\"{name}\" data-t=\"{}\"{} data-x=\"{x:.9}\"><title>{}</title><use href=\"#s-{name}\" x=\"{:.4}%\" y=\"{y}\"/></a>",
        describe::names(&mark.types),
        owner(process),
        Text(&title),
        x * 100.0
    )
}

fn losses(out: &mut String, history: &History, scale: &Scale, height: usize) -> fmt::Result {
    let mut labelled = -1.0;
    for (at, event) in history.events.iter().enumerate() {
        let (name, count) = match &event.detail {
            Detail::Lost(lost) => ("lost", lost.count),
            Detail::Missed(missed) => ("missed", missed.count),
            _ => continue,
        };
        let x = scale.at(event.time.ts_boot_ns);
        let (title, shown) = (describe::summary(event, None), x * 100.0);
        write!(
            out,
            "<a class=\"mark c-{name}\" href=\"#e{at}\" data-c=\"{name}\" data-t=\"\" data-x=\"{x:.9}\"><title>{}</title><line class=\"loss\" x1=\"{shown:.4}%\" x2=\"{shown:.4}%\" y1=\"18\" y2=\"{height}\"/>",
            Text(&title)
        )?;
        if x - labelled >= LABEL {
            labelled = x;
            let anchor = if x > 0.9 { "end" } else { "start" };
            let count = html::number(count);
            write!(
                out,
                "<text class=\"loss\" x=\"{shown:.4}%\" dx=\"{}\" y=\"30\" text-anchor=\"{anchor}\">−{count}</text>",
                if x > 0.9 { -4 } else { 4 }
            )?;
        }
        out.write_str("</a>\n")?;
    }
    Ok(())
}

/// Steps between ticks, in nanoseconds.
fn step(length: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let long = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200,
        86_400,
    ];
    let short = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    short
        .chain(long.map(|seconds| seconds * SECOND))
        .find(|step| length / step <= 8)
        .unwrap_or((length / 8).max(1))
}

/// The times along the top; each at a whole multiple of its step.
fn ticks(out: &mut String, from_ms: i64, length: u64, height: usize) -> fmt::Result {
    let step = step(length);
    let from = i128::from(from_ms) * 1_000_000;
    let (step_wide, length_wide) = (i128::from(step), i128::from(length));
    let mut at = from.div_euclid(step_wide) * step_wide;
    out.write_str("<g id=\"ticks\">")?;
    while at <= from + length_wide {
        if at >= from {
            let since = u64::try_from(at - from).unwrap_or_default();
            let x = 1.0 + 98.0 * approximate(since) / approximate(length);
            let label = label(at, step);
            write!(
                out,
                "<line x1=\"{x:.4}%\" x2=\"{x:.4}%\" y1=\"18\" y2=\"{height}\"/><text x=\"{x:.4}%\" y=\"12\" text-anchor=\"{}\">{label}</text>",
                if x > 94.0 {
                    "end"
                } else if x < 6.0 {
                    "start"
                } else {
                    "middle"
                }
            )?;
        }
        at += step_wide;
    }
    out.write_str("</g>\n")
}

/// A time of day, with the precision of its step.
fn label(wall_ns: i128, step: u64) -> String {
    let format = match step {
        60_000_000_000.. => "%H:%M",
        1_000_000_000.. => "%H:%M:%S",
        1_000_000.. => "%H:%M:%S%.3f",
        1_000.. => "%S%.6f",
        _ => "%S%.9f",
    };
    clock::formatted(format, wall_ns)
}

#[cfg(test)]
mod tests;
