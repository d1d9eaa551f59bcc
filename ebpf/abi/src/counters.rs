//! The counters beside the rings, by processor. Sums over the processors
//! have to agree with what was received.

use crate::field::{Field as _, record};

record! {
    /// The life of the events of one hook on one processor. A hook that writes
    /// records: `seen = filtered + written + ring_full`. A hook that remembers how
    /// a call began: `seen = filtered + written + pending_full`.
    pub struct Counters {
        /// How often the program ran.
        pub seen: u64,
        /// Not of interest: clone(2) without a namespace, say.
        pub filtered: u64,
        /// In the ring, or remembered.
        pub written: u64,
        /// Lost, since the ring was full.
        pub ring_full: u64,
        /// Not remembered, since the kernel had no memory for it.
        pub pending_full: u64,
        /// The end of a call of which nothing was remembered. It was written, or
        /// lost, all the same.
        pub beginning_unseen: u64,
    }
}

record! {
    /// Where one ring is on one processor; see [`Header`](crate::parts::Header).
    pub struct Position {
        /// The next record's.
        pub sequence: u64,
        /// Events that did not fit.
        pub lost: u64,
    }
}

/// A map of arrays of integers is what the loader reads.
impl From<[u64; 6]> for Counters {
    fn from(
        [
            seen,
            filtered,
            written,
            ring_full,
            pending_full,
            beginning_unseen,
        ]: [u64; 6],
    ) -> Self {
        Self {
            seen,
            filtered,
            written,
            ring_full,
            pending_full,
            beginning_unseen,
        }
    }
}

impl From<[u64; 2]> for Position {
    fn from([sequence, lost]: [u64; 2]) -> Self {
        Self { sequence, lost }
    }
}

const _: () = assert!(Counters::SIZE == 6 * 8 && Position::SIZE == 2 * 8);

/// Which of the two rings: the index of a [`Position`].
pub const NAMESPACE_RING: u32 = 0;
/// Forks, execs and exits: chatter that must not push namespaces out.
pub const LINEAGE_RING: u32 = 1;
/// How many rings there are.
pub const RINGS: u32 = 2;
