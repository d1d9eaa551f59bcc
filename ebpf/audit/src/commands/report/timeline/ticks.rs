//! The times along the top of the time line; each at a whole multiple of its step.

use super::approximate;
use crate::clock;

pub(in crate::commands::report) struct Tick {
    /// In per cent of the width.
    pub x: f64,
    /// The side of the label that is at the tick.
    pub anchor: &'static str,
    pub label: String,
}

pub(super) fn ticks(from_ms: i64, length: u64) -> Vec<Tick> {
    let step = step(length);
    let from = i128::from(from_ms) * 1_000_000;
    let (step_wide, length_wide) = (i128::from(step), i128::from(length));
    let mut at = from.div_euclid(step_wide) * step_wide;
    let mut all = Vec::new();
    while at <= from + length_wide {
        if at >= from {
            let since = u64::try_from(at - from).unwrap_or_default();
            let x = 1.0 + 98.0 * approximate(since) / approximate(length);
            all.push(Tick {
                x,
                anchor: if x > 94.0 {
                    "end"
                } else if x < 6.0 {
                    "start"
                } else {
                    "middle"
                },
                label: label(at, step),
            });
        }
        at += step_wide;
    }
    all
}

/// Steps between ticks, in nanoseconds.
pub(super) fn step(length: u64) -> u64 {
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

/// A time of day, with the precision of its step.
pub(super) fn label(wall_ns: i128, step: u64) -> String {
    let format = match step {
        60_000_000_000.. => "%H:%M",
        1_000_000_000.. => "%H:%M:%S",
        1_000_000.. => "%H:%M:%S%.3f",
        1_000.. => "%S%.6f",
        _ => "%S%.9f",
    };
    clock::formatted(format, wall_ns)
}
