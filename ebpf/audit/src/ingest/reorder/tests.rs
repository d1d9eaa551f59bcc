use nsexec_audit_abi::code::Syscall;
use nsexec_audit_abi::counters::LINEAGE_RING;

use super::*;
use crate::fixtures::{call, exit_of, namespace, namespace_set, task};

fn times(order: &mut ReorderBuffer, now_ns: u64) -> Vec<u64> {
    std::iter::from_fn(|| order.pop(Some(now_ns)))
        .map(|event| event.header().boot_ns)
        .collect()
}

#[test]
fn events_are_released_in_order_of_time() {
    let mut order = ReorderBuffer::default();
    for boot_ns in [30, 10, 20] {
        order.push(exit_of(task(7, 1), boot_ns));
    }
    assert_eq!(times(&mut order, 0), Vec::<u64>::new());
    assert_eq!(times(&mut order, 20 + LATENESS_NS), [10, 20]);
    order.push(exit_of(task(7, 1), 25));
    assert_eq!(times(&mut order, 30 + LATENESS_NS), [25, 30]);
    order.push(exit_of(task(7, 1), 40));
    assert!(order.pop(None).is_some() && order.pop(None).is_none());
}

#[test]
fn events_of_equal_time_keep_their_order() {
    let mut order = ReorderBuffer::default();
    for tid in 1..=50 {
        order.push(exit_of(task(tid, 1), 10));
    }
    let tids: Vec<u32> = std::iter::from_fn(|| order.pop(None))
        .map(|event| match event {
            Event::Exit(exit) => exit.actor.tid,
            _ => 0,
        })
        .collect();
    assert_eq!(tids, (1..=50).collect::<Vec<_>>());
}

#[test]
fn the_buffer_is_bounded_per_ring() {
    let mut order = ReorderBuffer::default();
    let [namespaces, lineage] = MOST;
    for boot_ns in (0..).take(lineage) {
        assert!(order.has_room(LINEAGE_RING));
        order.push(exit_of(task(7, 1), boot_ns));
    }
    assert!(!order.has_room(LINEAGE_RING) && order.has_room(NAMESPACE_RING));
    assert_eq!(times(&mut order, 0), [0]);
    assert!(order.has_room(LINEAGE_RING));
    let call = namespace(
        task(7, 1),
        call(Syscall::Setns, 0),
        namespace_set(1),
        namespace_set(1),
    );
    for boot_ns in (0..).take(namespaces) {
        assert!(order.has_room(NAMESPACE_RING));
        let mut call = call;
        call.header.boot_ns = boot_ns;
        order.push(Event::Namespace(call));
    }
    assert!(!order.has_room(NAMESPACE_RING) && order.has_room(LINEAGE_RING));
    assert_eq!(times(&mut order, 0), [0]);
}
