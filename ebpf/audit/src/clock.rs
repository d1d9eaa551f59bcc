//! The clocks that events are timed by.

use nix::time::{ClockId, clock_gettime};

/// A tick of /proc/PID/stat, USER_HZ, in nanoseconds.
pub const TICK_NS: u64 = 10_000_000;

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

/// A day, in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The time of day, UTC, of milliseconds since 1970: `12:34:56.789`.
#[must_use]
pub fn time_of_day(wall_ms: i64) -> String {
    let of_day = wall_ms.rem_euclid(DAY_MS);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000
    )
}

#[cfg(test)]
mod tests;
