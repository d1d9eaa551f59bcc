use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Syscall;

use super::*;
use crate::enrich::enricher::tests::enricher;
use crate::filter::Filter;
use crate::fixtures::{call, namespace, namespace_set, task};
use crate::ingest::reader::EventSink as _;
use crate::output::writer::tests::full;

#[test]
fn events_wait_while_the_writer_has_no_room() {
    let (writer, go) = full();
    let own = task(1, 1);
    let mut dispatcher = Dispatcher {
        enricher: enricher(),
        filter: ActiveFilter::new(Filter::default(), own.tgid),
        rules: Rules::without(&[]),
        writer,
        counts: Counts::default(),
        missed: Vec::new(),
        own: ProcessId::of(&own),
    };
    let call = namespace(
        task(5, 1),
        call(Syscall::Setns, 0),
        namespace_set(1),
        namespace_set(1),
    );
    dispatcher.enricher.push(Event::Namespace(call));
    let (left, lines) = (dispatcher.dispatch(false), dispatcher.counts.reported);
    // Before any assertion fails, because its end is awaited.
    drop(go);
    assert_eq!((left.unwrap(), lines), (Progress::Backpressure, 0));
    assert_eq!(dispatcher.dispatch(true).unwrap(), Progress::Idle);
    assert_eq!(dispatcher.counts.reported, 1);
}
