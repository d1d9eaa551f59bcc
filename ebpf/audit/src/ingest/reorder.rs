//! Puts events in the order in which they happened.
//!
//! Two rings and every processor write independently. Events are held back until nothing
//! older can arrive any more.

use std::collections::VecDeque;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::counters::NAMESPACE_RING;
use nsexec_audit_abi::record::Namespace;

/// The greatest delay between an event and its reading, in nanoseconds: a task can be
/// preempted between taking the time and writing.
pub const LATENESS_NS: u64 = 20_000_000;

/// Most events of each ring that are held back, first of namespaces and then of the
/// lineage, up to 32 and 17 MiB: beyond that the oldest are emitted early. Neither can use
/// the other's room, or a fork would wait in its ring while the child's events are
/// emitted.
const MOST: [usize; 2] = [3 << 14, 1 << 14];

/// The room, in events, that a ring keeps when there are few.
const KEPT: usize = 1 << 12;

/// The events that are held back, of each ring the oldest first: a ring is nearly in order
/// by itself. They are contiguous in memory: when an event is emitted, it is in no cache,
/// unless the processor prefetched it.
#[derive(Debug, Default)]
pub struct ReorderBuffer {
    namespaces: VecDeque<Namespace>,
    lineage: VecDeque<Event>,
    newest_ns: u64,
}

impl ReorderBuffer {
    /// Whether another event of this ring can be held back: [`NAMESPACE_RING`] or the
    /// other one.
    #[must_use]
    pub fn has_room(&self, ring: u32) -> bool {
        let [namespaces, lineage] = MOST;
        if ring == NAMESPACE_RING {
            self.namespaces.len() < namespaces
        } else {
            self.lineage.len() < lineage
        }
    }

    fn is_full(&self) -> bool {
        let [namespaces, lineage] = MOST;
        self.namespaces.len() >= namespaces || self.lineage.len() >= lineage
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        self.newest_ns = self.newest_ns.max(event.header().boot_ns);
        match event {
            Event::Namespace(call) => {
                insert(&mut self.namespaces, call, |call| call.header.boot_ns);
            }
            other => insert(&mut self.lineage, other, |event| event.header().boot_ns),
        }
    }

    /// The next event, if nothing older can arrive at `now_ns`; without a time, no more
    /// events arrive. Of two events of one moment, that of the namespaces is first.
    pub fn pop(&mut self, now_ns: Option<u64>) -> Option<Event> {
        let call = self.namespaces.front().map(|call| call.header.boot_ns);
        let other = self.lineage.front().map(|event| event.header().boot_ns);
        let is_call = match (call, other) {
            (Some(call), Some(other)) => call <= other,
            (call, _) => call.is_some(),
        };
        let oldest_ns = if is_call { call } else { other }?;
        if let Some(now_ns) = now_ns {
            let late = now_ns.max(self.newest_ns).saturating_sub(LATENESS_NS);
            if oldest_ns > late && !self.is_full() {
                return None;
            }
        }
        if is_call {
            take(&mut self.namespaces).map(Event::Namespace)
        } else {
            take(&mut self.lineage)
        }
    }
}

/// Removes the first one, and frees the memory of a burst that is over.
fn take<T>(held: &mut VecDeque<T>) -> Option<T> {
    let first = held.pop_front();
    if held.len() < KEPT / 4 {
        held.shrink_to(KEPT);
    }
    first
}

/// Inserts an event behind all that are not younger.
fn insert<T>(held: &mut VecDeque<T>, new: T, boot_ns: impl Fn(&T) -> u64) {
    let new_ns = boot_ns(&new);
    if held.back().is_none_or(|last| boot_ns(last) <= new_ns) {
        held.push_back(new);
    } else {
        let place = held.partition_point(|one| boot_ns(one) <= new_ns);
        held.insert(place, new);
    }
}

#[cfg(test)]
mod tests;
