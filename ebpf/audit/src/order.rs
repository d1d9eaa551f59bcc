//! Events in the order in which they happened.
//!
//! Two rings and every processor write on their own. What has been read is held
//! back until nothing older can come any more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nsexec_audit_abi::Event;

/// How much later than it happened an event may be read, in nanoseconds: a task
/// that is preempted between taking its time and writing.
pub const LATENESS_NS: u64 = 20_000_000;

/// Most events that are held back: beyond it the oldest go, early or not.
const MOST: usize = 1 << 16;

/// Most events whose room is kept: 1 MiB.
const SPARE: usize = 1 << 10;

/// Events that are held back.
#[derive(Debug, Default)]
pub struct Order {
    held: BinaryHeap<Reverse<Held>>,
    /// Room that was used already: an event is too large to be quickly had room for.
    #[expect(clippy::vec_box, reason = "the heap moves what it holds")]
    spare: Vec<Box<Event>>,
    /// Keeps those of one moment in the order in which they came.
    count: u64,
    newest_ns: u64,
}

#[derive(Debug)]
struct Held {
    boot_ns: u64,
    count: u64,
    event: Box<Event>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.boot_ns, self.count).cmp(&(other.boot_ns, other.count))
    }
}

impl Order {
    /// Whether not more are held back than may be.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.len() <= MOST
    }

    /// Takes an event.
    pub fn push(&mut self, event: Event) {
        let boot_ns = event.header().boot_ns;
        self.newest_ns = self.newest_ns.max(boot_ns);
        let event = match self.spare.pop() {
            Some(mut room) => {
                *room = event;
                room
            }
            None => Box::new(event),
        };
        self.held.push(Reverse(Held {
            boot_ns,
            count: self.count,
            event,
        }));
        self.count += 1;
    }

    /// The next event that nothing older can come before, as it is `now_ns`.
    pub fn pop(&mut self, now_ns: u64) -> Option<Box<Event>> {
        let Reverse(oldest) = self.held.peek()?;
        let late = now_ns.max(self.newest_ns).saturating_sub(LATENESS_NS);
        if oldest.boot_ns > late && self.has_room() {
            return None;
        }
        self.pop_any()
    }

    /// The next event, when none is written any more.
    pub fn pop_any(&mut self) -> Option<Box<Event>> {
        self.held.pop().map(|Reverse(held)| held.event)
    }

    /// Takes the room of an event that was told.
    pub fn reuse(&mut self, event: Box<Event>) {
        if self.spare.len() < SPARE {
            self.spare.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::tests::{exit_of, task};

    fn times(order: &mut Order, now_ns: u64) -> Vec<u64> {
        std::iter::from_fn(|| order.pop(now_ns))
            .map(|event| event.header().boot_ns)
            .collect()
    }

    #[test]
    fn events_come_in_the_order_of_their_times_once_none_can_come_before() {
        let mut order = Order::default();
        for boot_ns in [30, 10, 20] {
            order.push(exit_of(task(7, 1), boot_ns));
        }
        assert_eq!(times(&mut order, 0), Vec::<u64>::new());
        assert_eq!(times(&mut order, 20 + LATENESS_NS), [10, 20]);
        order.push(exit_of(task(7, 1), 25));
        assert_eq!(times(&mut order, 30 + LATENESS_NS), [25, 30]);
        order.push(exit_of(task(7, 1), 40));
        assert!(order.pop_any().is_some() && order.pop_any().is_none());
    }

    #[test]
    fn those_of_one_moment_stay_as_they_came() {
        let mut order = Order::default();
        for tid in 1..=50 {
            order.push(exit_of(task(tid, 1), 10));
        }
        let tids: Vec<u32> = std::iter::from_fn(|| order.pop_any())
            .map(|event| match *event {
                Event::Exit(exit) => exit.actor.tid,
                _ => 0,
            })
            .collect();
        assert_eq!(tids, (1..=50).collect::<Vec<_>>());
    }

    #[test]
    fn not_more_are_held_than_fit() {
        let mut order = Order::default();
        for boot_ns in (0..).take(MOST + 1) {
            order.push(exit_of(task(7, 1), boot_ns));
        }
        assert!(!order.has_room());
        assert_eq!(times(&mut order, 0), [0]);
        assert!(order.has_room());
    }
}
