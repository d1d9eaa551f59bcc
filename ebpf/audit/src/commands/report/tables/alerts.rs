//! The alerts.

use std::fmt::{self, Write as _};

use super::{MAX_ROWS, foot, head, owner, owner_of, write_process, write_time};
use crate::commands::report::events::Detail;
use crate::commands::report::history::History;
use crate::commands::report::html::Text;

pub(in crate::commands::report) fn alerts(out: &mut String, history: &History) -> fmt::Result {
    let alerts = history
        .events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match &event.detail {
            Detail::Alert(alert) => Some((at, event, alert)),
            _ => None,
        });
    let mut alerts: Vec<_> = alerts.collect();
    if alerts.is_empty() {
        return out.write_str("<p class=\"none\">No rule has fired.</p>\n");
    }
    // The worst first; the order of time within.
    alerts.sort_by_key(|(_, _, alert)| std::cmp::Reverse(alert.severity));
    head(
        out,
        "alerts",
        &[
            "Time",
            "Severity",
            "Rule",
            "MITRE",
            "Process",
            "What it means",
        ],
    )?;
    for (at, event, alert) in alerts.iter().take(MAX_ROWS) {
        let process = owner_of(history, event);
        let severity = alert.severity.name();
        write!(out, "<tr{}>", owner(process))?;
        write_time(out, history, event, *at)?;
        write!(
            out,
            "<td><span class=\"sev {severity}\">{severity}</span></td><td class=\"k\">{}</td><td class=\"k\">{}</td>",
            Text(&alert.rule),
            Text(&alert.mitre)
        )?;
        write_process(out, process, None)?;
        writeln!(out, "<td>{}</td></tr>", Text(&alert.about))?;
    }
    foot(out, alerts.len())
}
