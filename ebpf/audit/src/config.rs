//! Settings that several modules share.

use std::time::Duration;

/// The default interval between `health` lines.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(60);

/// The default number of calls of a self-test; each of its [`SELFTEST_CALLS`] is made as
/// often.
pub const SELFTEST_EVENTS: u32 = 1000;
/// The greatest number of calls of a self-test: half a minute.
pub const MAX_SELFTEST_EVENTS: u32 = 100_000;
/// The number of different calls of a self-test.
pub const SELFTEST_CALLS: u32 = 4;

/// The format of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The reaction to lost events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Report the loss in its place.
    #[default]
    Mark,
    /// Raise an alert as well.
    Alert,
    /// Raise an alert and end the auditor.
    Fail,
}

/// The mechanism that observes setns, unshare, clone and clone3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Entry and exit of the kernel's functions, of both tables of system calls; other
    /// calls take no longer.
    Fentry,
    /// Tracepoints of the calls of the machine's own table.
    Tracepoint,
}

impl Backend {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Fentry, Self::Tracepoint];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// The backend of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
