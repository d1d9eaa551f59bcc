//! Events in the order in which they happened.
//!
//! Two rings and every processor write on their own. What has been read is held
//! back until nothing older can come any more.

use std::collections::VecDeque;

use nsexec_audit_abi::Event;
use nsexec_audit_abi::counters::NAMESPACE_RING;

/// How much later than it happened an event may be read, in nanoseconds: a task
/// that is preempted between taking its time and writing.
pub const LATENESS_NS: u64 = 20_000_000;

/// Most events of each ring that are held back, first of namespaces and then of the
/// lineage: beyond it the oldest go, early or not. Neither can take the other's room,
/// or a fork would wait in its ring while what the child did is told.
const MOST: [usize; 2] = [3 << 14, 1 << 14];

/// Most events whose room is kept: 8 MiB.
const SPARE: usize = 1 << 13;

/// Events that are held back.
#[derive(Debug, Default)]
pub struct Order {
    /// Those of each ring, from the oldest: a ring is nearly in order by itself.
    held: [VecDeque<Held>; 2],
    /// Room that was used already: an event is too large to be quickly had room for.
    #[expect(clippy::vec_box, reason = "the queues move what they hold")]
    spare: Vec<Box<Event>>,
    newest_ns: u64,
}

#[derive(Debug)]
struct Held {
    boot_ns: u64,
    event: Box<Event>,
}

impl Order {
    /// Whether another event of this ring can be held back: [`NAMESPACE_RING`] or the
    /// other one.
    #[must_use]
    pub fn has_room(&self, ring: u32) -> bool {
        let place = usize::from(ring != NAMESPACE_RING);
        self.held.get(place).map(VecDeque::len) < MOST.get(place).copied()
    }

    fn is_full(&self) -> bool {
        let both = self.held.iter().zip(MOST);
        both.into_iter().any(|(held, most)| held.len() >= most)
    }

    /// Takes an event.
    pub fn push(&mut self, event: Event) {
        let [namespaces, lineage] = &mut self.held;
        let held = match event {
            Event::Namespace(_) => namespaces,
            _ => lineage,
        };
        let boot_ns = event.header().boot_ns;
        self.newest_ns = self.newest_ns.max(boot_ns);
        let event = match self.spare.pop() {
            Some(mut room) => {
                *room = event;
                room
            }
            None => Box::new(event),
        };
        let new = Held { boot_ns, event };
        if held.back().is_none_or(|last| last.boot_ns <= boot_ns) {
            held.push_back(new);
        } else {
            let place = held.partition_point(|one| one.boot_ns <= boot_ns);
            held.insert(place, new);
        }
    }

    /// The ring of the oldest event, and when that happened.
    fn oldest(&self) -> Option<(usize, u64)> {
        let fronts = self.held.iter().enumerate();
        let fronts = fronts.filter_map(|(ring, held)| Some((ring, held.front()?)));
        let fronts = fronts.map(|(ring, one)| (ring, one.boot_ns));
        // Of one moment, that of the namespaces goes first.
        fronts.min_by_key(|(_, boot_ns)| *boot_ns)
    }

    /// The next event that nothing older can come before, as it is `now_ns`.
    pub fn pop(&mut self, now_ns: u64) -> Option<Box<Event>> {
        let (_, boot_ns) = self.oldest()?;
        let late = now_ns.max(self.newest_ns).saturating_sub(LATENESS_NS);
        if boot_ns > late && !self.is_full() {
            return None;
        }
        self.pop_any()
    }

    /// The next event, when none is written any more.
    pub fn pop_any(&mut self) -> Option<Box<Event>> {
        let (ring, _) = self.oldest()?;
        let Held { event, .. } = self.held.get_mut(ring)?.pop_front()?;
        Some(event)
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
    use nsexec_audit_abi::code::Syscall;
    use nsexec_audit_abi::counters::LINEAGE_RING;

    use super::*;
    use crate::lineage::tests::{call, exit_of, namespace, task, vector};

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
    fn not_more_are_held_than_fit_of_each_ring() {
        let mut order = Order::default();
        let [namespaces, lineage] = MOST;
        for boot_ns in (0..).take(lineage) {
            assert!(order.has_room(LINEAGE_RING));
            order.push(exit_of(task(7, 1), boot_ns));
        }
        assert!(!order.has_room(LINEAGE_RING) && order.has_room(NAMESPACE_RING));
        assert_eq!(times(&mut order, 0), [0]);
        assert!(order.has_room(LINEAGE_RING));
        let call = namespace(task(7, 1), call(Syscall::Setns, 0), vector(1), vector(1));
        for boot_ns in (0..).take(namespaces) {
            assert!(order.has_room(NAMESPACE_RING));
            let mut call = call;
            call.header.boot_ns = boot_ns;
            order.push(Event::Namespace(call));
        }
        assert!(!order.has_room(NAMESPACE_RING) && order.has_room(LINEAGE_RING));
        assert_eq!(times(&mut order, 0), [0]);
    }
}
