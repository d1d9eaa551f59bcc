//! Gaps, as the auditor tells them.

use nsexec_audit::record::GapLine;
use nsexec_audit::story::{Story, Told};
use nsexec_audit_abi::Event;
use nsexec_audit_abi::record::Snapshot;

/// Every gap in what was seen since the tasks were these.
pub fn gaps(tasks: &[Snapshot], seen: &[Event]) -> Vec<GapLine> {
    let mut story = Story::begin(Vec::new()).unwrap();
    story.know(tasks);
    for event in seen {
        story.push(*event);
    }
    let mut gaps = Vec::new();
    let mut keep = |told| {
        if let Told::Gap(line) = told {
            gaps.push(*line);
        }
    };
    while story.tell(None, &mut keep) {}
    gaps
}
