//! Gaps, as the auditor reports them.

use nsexec_audit::enrich::enricher::Enricher;
use nsexec_audit::ingest::reader::EventSink as _;
use nsexec_audit::model::event::{GapEvent, OutputEvent};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::record::Snapshot;

/// Every gap in the events since this snapshot of the tasks.
pub fn gaps(tasks: &[Snapshot], seen: &[Event]) -> Vec<GapEvent> {
    let mut enricher = Enricher::start(Vec::new()).unwrap();
    enricher.load_snapshot(tasks);
    for event in seen {
        enricher.push(*event);
    }
    let mut gaps = Vec::new();
    let mut keep = |event| {
        if let OutputEvent::Gap(gap) = event {
            gaps.push(*gap);
        }
    };
    while enricher.emit_next(None, &mut keep) {}
    gaps
}
