//! Settings that several modules share.

use std::time::Duration;

use crate::model::names::names;

/// The default interval between `health` lines.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(60);

/// The default number of calls of a self-test; each of its [`SELFTEST_CALLS`] is made as
/// often.
pub const SELFTEST_EVENTS: u32 = 1000;
/// The greatest number of calls of a self-test: half a minute.
pub const MAX_SELFTEST_EVENTS: u32 = 100_000;
/// The number of different calls of a self-test.
pub const SELFTEST_CALLS: u32 = 4;

names! {
    /// The format of the output.
    #[derive(Default)]
    pub enum Format {
        /// Aligned lines for people.
        #[default]
        Text => "text",
        /// One JSON object a line.
        Json => "json",
    }
}

names! {
    /// The reaction to lost events.
    #[derive(Default)]
    pub enum OnLoss {
        /// Report the loss in its place.
        #[default]
        Mark => "mark",
        /// Raise an alert as well.
        Alert => "alert",
        /// Raise an alert and end the auditor.
        Fail => "fail",
    }
}

names! {
    /// The mechanism that observes setns, unshare, clone and clone3; the preferred one is
    /// first.
    pub enum Backend {
        /// Entry and exit of the kernel's functions, of both tables of system calls; other
        /// calls take no longer.
        Fentry => "fentry",
        /// Tracepoints of the calls of the machine's own table.
        Tracepoint => "tracepoint",
    }
}
