//! The counters beside the rings, per processor. Their sums over the processors must agree
//! with the received events.

use crate::field::{Field as _, record};

record! {
    /// The events of one hook on one processor. A hook that writes records: `seen =
    /// filtered + written + ring_full`. A hook that stores the beginning of a call: `seen =
    /// filtered + written + pending_full`.
    pub struct Counters {
        /// How often the program ran.
        pub seen: u64,
        /// Not of interest, such as clone(2) without a namespace.
        pub filtered: u64,
        /// Written to the ring, or stored.
        pub written: u64,
        /// Lost because the ring was full.
        pub ring_full: u64,
        /// Not stored because the kernel had no memory for it.
        pub pending_full: u64,
        /// The end of a call without a stored beginning. The record was written or lost all
        /// the same.
        pub beginning_unseen: u64,
    }
}

record! {
    /// The position of one ring on one processor; see [`Header`](crate::parts::Header).
    pub struct Position {
        /// The number of the next record.
        pub sequence: u64,
        /// Events that did not fit.
        pub lost: u64,
    }
}

/// The loader reads a map of arrays of integers.
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
/// Forks, execs and exits: frequent events that must not displace namespace events.
pub const LINEAGE_RING: u32 = 1;
/// How many rings there are.
pub const RINGS: u32 = 2;
