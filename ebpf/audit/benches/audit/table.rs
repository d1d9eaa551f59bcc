//! The measured values, beside their limits.

use std::fmt::Write as _;
use std::time::Duration;

use crate::{Auditing, By, EventCounts, FLOOD_RATE, Flood, Samples, WATCHERS};
use nsexec_test_support::samples::percentile;

/// A sample is a thousand calls: its microseconds are the nanoseconds of one call.
const MICROSECONDS: f64 = 1e6;
const MILLISECONDS: f64 = 1e3;
/// The limit of the auditor's overhead, in nanoseconds per call.
const BOUNDS: [(&str, f64); 2] = [("getppid", 25.0), ("setns", 1250.0)];
/// In milliseconds.
const ATTACH_TIME: f64 = 60.0;
/// In MiB.
const RESIDENT: f64 = 16.0;
/// In bytes.
const EVENT: f64 = 900.0;

/// Each call alone, and the overhead of each observer.
pub(crate) fn calls(samples: &[Samples]) -> String {
    let mut out = format!(
        "{:<37}{:>10}{:>10}{:>9}{:>8}\n",
        "ns a call", "min", "median", "bound", "ratio"
    );
    let mut alone: Option<&Samples> = None;
    let mut auditors = f64::NAN;
    for one in samples {
        let of = |samples: &Samples, percent| percentile(&samples.times, percent, MICROSECONDS);
        let by = WATCHERS.iter().find(|watcher| watcher.name == one.watcher);
        let (Some(base), false) = (alone, matches!(by, Some(w) if matches!(w.by, By::Nobody)))
        else {
            alone = Some(one);
            let (min, median) = (of(one, 0), of(one, 50));
            let _ = writeln!(
                out,
                "{:<37}{min:>10.1}{median:>10.1}",
                format!("{}, {}", one.call, one.watcher)
            );
            continue;
        };
        // The minimum of the differences would come from a round in which another process
        // disturbed the calls without an observer.
        let min = of(one, 0) - of(base, 0);
        let median = middle(&mut differences(base, one));
        let _ = write!(out, "  {:<35}{min:>+10.1}{median:>+10.1}", one.watcher);
        if matches!(by, Some(watcher) if matches!(watcher.by, By::Auditor)) {
            auditors = median;
            let bound = BOUNDS.iter().find(|(call, _)| *call == one.call);
            if let Some((_, bound)) = bound {
                let _ = write!(out, "{}", against(median, *bound, median <= *bound));
            }
        } else {
            let _ = write!(out, "{:>17.1} times the auditor's", median / auditors);
        }
        out.push('\n');
    }
    out
}

/// By round, in nanoseconds per call.
fn differences(base: &Samples, other: &Samples) -> Vec<f64> {
    let pairs = base.times.iter().zip(&other.times);
    pairs
        .map(|(base, other)| (other.as_secs_f64() - base.as_secs_f64()) * MICROSECONDS)
        .collect()
}

fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len().saturating_sub(1) / 2;
    numbers.get(middle).copied().unwrap_or(f64::NAN)
}

fn against(figure: f64, bound: f64, met: bool) -> String {
    let met = if met { "met" } else { "not met" };
    format!("{bound:>9}{:>8.2}  {met}", figure / bound)
}

/// The rate of each flood, and the number of its calls that were read.
pub(crate) fn floods(floods: &[Flood]) -> String {
    let mut out = format!(
        "\n{:<37}{:>10}{:>10}{:>9}{:>8}\n",
        "calls a second", "max", "median", "bound", "ratio"
    );
    for flood in floods {
        let runs = u32::try_from(flood.times.len()).unwrap_or(u32::MAX);
        let made = precise(flood.counts.made) / f64::from(runs.max(1));
        // The shortest time is the highest rate.
        let [most, median] = [0, 50].map(|percent| made / percentile(&flood.times, percent, 1.0));
        let bound = f64::from(FLOOD_RATE);
        // A load that sleeps between calls never reaches the rate exactly.
        let met = median >= bound * 0.98 && flood.counts.lost == 0;
        let _ = writeln!(
            out,
            "{:<37}{most:>10.0}{median:>10.0}{}\n  {}; at most {:.1} MiB",
            flood.name,
            against(median, bound, met),
            counts(flood.counts),
            precise(flood.peak) / 1024.0
        );
    }
    out
}

/// The auditor itself.
pub(crate) fn auditing(auditing: &Auditing, floods: &[Flood]) -> String {
    let mut out = format!(
        "\n{:<37}{:>10}{:>10}{:>9}{:>8}\n",
        "nsexec-audit", "min", "median", "bound", "ratio"
    );
    let mut row = |name: &str, [min, median]: [f64; 2], bound: Option<f64>| {
        let against = bound.map(|bound| against(median, bound, median <= bound));
        let against = against.unwrap_or_default();
        let _ = writeln!(out, "{name:<37}{min:>10.1}{median:>10.1}{against}");
    };
    let attach_time =
        |times: &[Duration]| [0, 50].map(|percent| percentile(times, percent, MILLISECONDS));
    let on_all: Vec<Duration> = floods
        .iter()
        .flat_map(|one| one.attach_time.clone())
        .collect();
    row(
        "from the spawn to attached probes, ms",
        attach_time(&on_all),
        Some(ATTACH_TIME),
    );
    row(
        "  on one processor",
        attach_time(&auditing.attach_time),
        None,
    );
    let mib = |kib: &[u64]| min_and_median(kib.iter().map(|kib| precise(*kib) / 1024.0).collect());
    row(
        "resident with attached probes, MiB",
        mib(&auditing.resident),
        Some(RESIDENT),
    );
    row("  at most until then, MiB", mib(&auditing.peak), None);
    let sizes = auditing.sizes.iter();
    let sizes = sizes.map(|size| f64::from(u32::try_from(*size).unwrap_or(u32::MAX)));
    row(
        "a line of JSON, bytes",
        min_and_median(sizes.collect()),
        Some(EVENT),
    );
    let _ = writeln!(out, "  {}", counts(auditing.counts));
    out
}

/// The least and the median.
fn min_and_median(mut numbers: Vec<f64>) -> [f64; 2] {
    let median = middle(&mut numbers);
    [numbers.first().copied().unwrap_or(f64::NAN), median]
}

/// Every call is reported or counted, or this prints the number of the missing ones.
fn counts(
    EventCounts {
        made,
        reported,
        lost,
    }: EventCounts,
) -> String {
    let rest = i128::from(made) - i128::from(reported) - i128::from(lost);
    let sums = if rest == 0 {
        "which is all".to_owned()
    } else {
        format!("{rest} UNACCOUNTED (others on this machine make such calls?)")
    };
    format!("{made} calls made = {reported} read + {lost} lost, {sums}")
}

/// The counts are far below 2^53.
#[expect(clippy::as_conversions, reason = "there is no other way to an f64")]
fn precise(number: u64) -> f64 {
    number as f64
}
