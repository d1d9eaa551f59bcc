//! How soon the auditor gets a processor.
//!
//! Whoever floods every processor with calls competes with the auditor for all of
//! them, and what it does not come to read is lost. So the threads that read and
//! write go before what is in the same task group: a session, a cpu cgroup. Between
//! groups, their weights decide (sched(7)).

use rustix::process::{getpriority_process, nice};

/// By how much: the priority_boost that auditd.conf(5) has by default.
const BOOST: i32 = 4;

/// Raises that of the calling thread, from what it was started with; where it may
/// not (setpriority(2)), it stays. Whoever it starts later has it as well.
pub fn raise() {
    // What it came to is what `own` says.
    let _ = nice(-BOOST);
}

/// The nice value of the calling thread, -20 to 19. Its own it may always know.
#[must_use]
pub fn own() -> i32 {
    getpriority_process(None).unwrap_or_default()
}

#[cfg(test)]
mod tests;
