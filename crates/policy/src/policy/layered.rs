//! The two sandbox layers of the ceiling or of the workload, which every step of an exec handles
//! as a pair.

use serde::{Deserialize, Serialize};

/// A seccomp filter and a Landlock domain, in one of their forms: as the names of
/// files, as rules, as a program and a ruleset, or as a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layered<Seccomp, Landlock> {
    /// The system call filter.
    pub seccomp: Seccomp,
    /// The Landlock domain.
    pub landlock: Landlock,
}
