//! The priority of the auditor's threads.
//!
//! Under a flood the auditor competes with the flooding processes for CPU, and loses the
//! events that it cannot read in time. So its reader and writer threads lower their nice
//! value. That counts within a task group, which is a session or a cpu cgroup; between
//! groups, their weights decide (sched(7)).

use rustix::process::{getpriority_process, nice};

/// The difference: the priority_boost that auditd.conf(5) has by default.
const BOOST: i32 = 4;

/// Raises the priority of the calling thread and of those that it starts later. Without
/// permission (setpriority(2)), it does not change.
pub fn raise() {
    // `own` returns the result.
    let _ = nice(-BOOST);
}

/// The nice value of the calling thread, -20 to 19, which it may always read.
#[must_use]
pub fn own() -> i32 {
    getpriority_process(None).unwrap_or_default()
}

#[cfg(test)]
mod tests;
