//! The alerts.

use super::{Origin, Table};
use crate::commands::report::events::Detail;
use crate::commands::report::history::History;

pub(in crate::commands::report) struct AlertRow<'a> {
    pub origin: Origin<'a>,
    pub severity: &'static str,
    pub rule: &'a str,
    pub mitre: &'a str,
    pub about: &'a str,
}

pub(in crate::commands::report) fn alerts(history: &History) -> Table<AlertRow<'_>> {
    let alerts = history
        .events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match &event.detail {
            Detail::Alert(alert) => Some((at, event, alert)),
            _ => None,
        });
    let mut alerts: Vec<_> = alerts.collect();
    // The worst first; the order of time within.
    alerts.sort_by_key(|(_, _, alert)| std::cmp::Reverse(alert.severity));
    Table::of(alerts.into_iter().map(|(at, event, alert)| AlertRow {
        origin: Origin::of(history, at, event, None),
        severity: alert.severity.name(),
        rule: &alert.rule,
        mitre: &alert.mitre,
        about: &alert.about,
    }))
}
