//! The time line: one lane per process, drawn with horizontal positions in per cent, so
//! that it is as wide as the page; the script enlarges a part of it.

mod ticks;

use std::collections::{BTreeMap, HashMap};

use self::ticks::{Tick, ticks};
use super::describe;
use super::events::{Detail, Event, Process};
use super::history::History;
use super::html;
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

/// What is drawn; positions are fractions of the width.
pub(super) struct TimeLine<'a> {
    /// The beginning in milliseconds since 1970 and the length in nanoseconds, for the
    /// script's ticks.
    pub from: i64,
    pub length: u64,
    /// In pixels, as all that is vertical.
    pub height: usize,
    pub lane_height: usize,
    pub lanes: Vec<Lane<'a>>,
    /// Where every second lane begins.
    pub bands: Vec<usize>,
    pub ticks: Vec<Tick>,
    pub losses: Vec<Loss>,
    pub bars: Vec<Bar<'a>>,
    pub marks: Vec<Mark<'a>>,
}

/// A lane of the time line.
pub(super) enum Lane<'a> {
    Process {
        process: &'a Process,
        /// The indentation of its name.
        depth: usize,
        title: String,
    },
    /// How many there are.
    Others(String),
}

/// A place where events are missing.
pub(super) struct Loss {
    pub at: usize,
    pub name: &'static str,
    pub x: f64,
    pub title: String,
    pub label: Option<Label>,
}

pub(super) struct Label {
    pub count: String,
    /// It is left of the place, which is near the right edge.
    pub is_left: bool,
}

/// The life of a process.
pub(super) struct Bar<'a> {
    pub process: &'a Process,
    pub from: f64,
    pub to: f64,
    pub y: usize,
    /// The process has not ended.
    pub is_open: bool,
}

/// An event, or several of one lane, class and position.
pub(super) struct Mark<'a> {
    pub at: usize,
    pub name: &'static str,
    pub severity: Option<&'static str>,
    pub types: String,
    pub process: Option<&'a Process>,
    pub title: String,
    pub x: f64,
    pub y: usize,
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
            all.push(Lane::Process {
                process,
                depth: depth.min(MAX_DEPTH),
                title: describe::process(process),
            });
            push(&mut waiting, Some(number), depth + 1);
        }
    }
    let others = history.processes.len() - all.len();
    if others > 0 {
        let others = u64::try_from(others).unwrap_or(u64::MAX);
        let printed = html::counted(others, "other process", "other processes");
        all.push(Lane::Others(printed));
    }
    (all, places)
}

/// Events that share a mark.
struct Marked<'a> {
    lane: usize,
    first: (usize, &'a Event),
    count: u64,
    types: Vec<NamespaceType>,
}

fn marked<'a>(
    history: &'a History,
    places: &HashMap<usize, usize>,
    scale: &Scale,
) -> Vec<Marked<'a>> {
    // A fork and an exit are the ends of a bar.
    let drawn = |event: &&Event| {
        !matches!(
            event.detail,
            Detail::Fork(_) | Detail::Exit(_) | Detail::Lost(_) | Detail::Missed(_)
        )
    };
    let many = history.events.iter().filter(drawn).count() > MAX_MARKS;
    let mut marks: Vec<Marked<'_>> = Vec::new();
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
            marks.push(Marked {
                lane,
                first: (at, event),
                count: 1,
                types,
            });
        }
    }
    marks
}

/// The whole time line; `None`: there are no events.
pub(super) fn timeline(history: &History) -> Option<TimeLine<'_>> {
    let (first, _) = history.span?;
    let scale = Scale::of(history);
    let (lanes, places) = lanes(history);
    let is_earlier = scale.from < first.ts_boot_ns;
    let from = first.ts_wall_ms.saturating_sub(i64::from(is_earlier));
    let bars = lanes.iter().enumerate();
    let bars = bars.filter_map(|(number, lane)| match lane {
        Lane::Process { process, .. } => Some(bar(history, &scale, process, number)),
        Lane::Others(_) => None,
    });
    let bands = (1..lanes.len()).step_by(2);
    let marks = marked(history, &places, &scale);
    Some(TimeLine {
        from,
        length: scale.length,
        height: TOP + LANE * lanes.len().max(1) + 6,
        lane_height: LANE,
        bands: bands.map(|number| TOP + LANE * number).collect(),
        ticks: ticks(from, scale.length),
        losses: losses(history, &scale),
        bars: bars.collect(),
        marks: marks
            .iter()
            .map(|marked| mark(history, &scale, marked))
            .collect(),
        lanes,
    })
}

/// The middle of a lane.
fn middle(lane: usize) -> usize {
    TOP + LANE * lane + LANE / 2 + 2
}

/// From the fork, or from the first event, to the end.
fn bar<'a>(history: &History, scale: &Scale, process: &'a Process, lane: usize) -> Bar<'a> {
    let told_ends = history.count("exit") > 0;
    let is_open = told_ends && !process.exited;
    Bar {
        process,
        from: scale.at(process.first),
        to: if is_open {
            0.99
        } else {
            scale.at(process.last)
        },
        y: middle(lane),
        is_open,
    }
}

fn mark<'a>(history: &'a History, scale: &Scale, marked: &Marked<'_>) -> Mark<'a> {
    let (at, event) = marked.first;
    let process = event
        .process
        .and_then(|process| history.processes.get(process));
    let above = if matches!(event.detail, Detail::Alert(_)) {
        8
    } else {
        0
    };
    let mut title = describe::summary(event, process);
    if marked.count > 1 {
        title = format!("{} like this, from {title}", html::number(marked.count));
    }
    Mark {
        at,
        name: event.detail.name(),
        severity: event.detail.severity(),
        types: describe::names(&marked.types),
        process,
        title,
        x: scale.at(event.time.ts_boot_ns),
        y: middle(marked.lane) - above,
    }
}

/// Those that are too near to the one before have no label.
fn losses(history: &History, scale: &Scale) -> Vec<Loss> {
    let mut labelled = -1.0;
    let mut all = Vec::new();
    for (at, event) in history.events.iter().enumerate() {
        let (name, count) = match &event.detail {
            Detail::Lost(lost) => ("lost", lost.count),
            Detail::Missed(missed) => ("missed", missed.count),
            _ => continue,
        };
        let x = scale.at(event.time.ts_boot_ns);
        let label = (x - labelled >= LABEL).then(|| Label {
            count: html::number(count),
            is_left: x > 0.9,
        });
        if label.is_some() {
            labelled = x;
        }
        all.push(Loss {
            at,
            name,
            x,
            title: describe::summary(event, None),
            label,
        });
    }
    all
}

#[cfg(test)]
mod tests;
