//! The clocks that events are timed by.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// A tick of /proc/PID/stat, USER_HZ, in nanoseconds.
pub const TICK_NS: u64 = 10_000_000;

/// A millisecond, in nanoseconds.
const MS: i128 = 1_000_000;

/// CLOCK_BOOTTIME in nanoseconds; 0 when the kernel has none, so that events wait for
/// each other.
#[must_use]
pub fn boottime_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
        let rest = u64::try_from(time.tv_nsec()).unwrap_or_default();
        seconds * 1_000_000_000 + rest
    })
}

/// The offset from CLOCK_BOOTTIME to CLOCK_REALTIME, in nanoseconds.
///
/// # Errors
/// The kernel lacks one of the clocks.
pub fn wall_offset_ns() -> nix::Result<i128> {
    let now = |clock| -> nix::Result<i128> {
        let time = clock_gettime(clock)?;
        Ok(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
    };
    Ok(now(ClockId::CLOCK_REALTIME)? - now(ClockId::CLOCK_BOOTTIME)?)
}

/// The day, UTC, of milliseconds since 1970: `2026-11-25`.
#[must_use]
pub fn day(wall_ms: i64) -> String {
    formatted("%Y-%m-%d", i128::from(wall_ms) * MS)
}

/// The time of day, UTC, of milliseconds since 1970: `12:34:56.789`.
#[must_use]
pub fn time_of_day(wall_ms: i64) -> String {
    formatted("%H:%M:%S%.3f", i128::from(wall_ms) * MS)
}

/// A moment, UTC, of nanoseconds since 1970, by a format of strftime(3). The calendar has
/// four digits for a year: of any other moment, the number itself.
pub(crate) fn formatted(format: &str, wall_ns: i128) -> String {
    match Timestamp::from_nanosecond(wall_ns) {
        Ok(moment) => moment.strftime(format).to_string(),
        Err(_) => format!("{} ms", wall_ns.div_euclid(MS)),
    }
}

#[cfg(test)]
mod tests;
