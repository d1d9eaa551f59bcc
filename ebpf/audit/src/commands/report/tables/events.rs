//! All events, and the places where some are missing.

use super::{Origin, Table};
use crate::commands::report::describe;
use crate::commands::report::events::{Detail, Event};
use crate::commands::report::history::History;

/// An unobserved change or a loss.
pub(in crate::commands::report) struct LossRow<'a> {
    pub origin: Origin<'a>,
    pub name: &'static str,
    pub about: String,
}

pub(in crate::commands::report) fn losses(history: &History) -> Table<LossRow<'_>> {
    let losses = history.events.iter().enumerate();
    let losses = losses.filter(|(_, event)| {
        matches!(
            event.detail,
            Detail::Lost(_) | Detail::Missed(_) | Detail::Gap(_)
        )
    });
    let losses: Vec<_> = losses.collect();
    Table::of(losses.into_iter().map(|(at, event)| LossRow {
        origin: Origin::of(history, at, event, None),
        name: event.detail.name(),
        about: describe::call(&event.detail),
    }))
}

/// All events that are drawn. A row exists only while it is rendered: there are up to
/// 100,000.
pub(in crate::commands::report) struct Events<'a>(pub &'a History);

impl<'a> Events<'a> {
    pub(in crate::commands::report) fn rows(&self) -> impl Iterator<Item = EventRow<'a>> {
        let history = self.0;
        let events = history.events.iter().enumerate();
        events.map(|(at, event)| EventRow::of(history, at, event))
    }
}

pub(in crate::commands::report) struct EventRow<'a> {
    pub origin: Origin<'a>,
    pub name: &'static str,
    pub types: String,
    pub severity: Option<&'static str>,
    pub call: String,
    /// Names and values; of calls of namespaces only.
    pub details: Vec<(&'static str, String)>,
    pub changed: Vec<Changed>,
    /// The name of the file, if there are several.
    pub file: Option<&'a str>,
    pub line: u64,
}

/// A namespace that was changed.
pub(in crate::commands::report) struct Changed {
    pub slot: &'static str,
    pub into_host: bool,
}

impl<'a> EventRow<'a> {
    fn of(history: &'a History, at: usize, event: &'a Event) -> Self {
        let comm = match &event.detail {
            Detail::Namespace(call) => Some(call.actor.comm.as_str()),
            Detail::Exec(line) | Detail::Fork(line) | Detail::Exit(line) => {
                Some(line.actor.comm.as_str())
            }
            _ => None,
        };
        let (details, changed) = match &event.detail {
            Detail::Namespace(call) => {
                let changed = call.ns.changed.iter().map(|slot| Changed {
                    slot: slot.name(),
                    into_host: call.ns.host.contains(slot),
                });
                (describe::details(call), changed.collect())
            }
            _ => (Vec::new(), Vec::new()),
        };
        let file = history.files.get(event.file);
        Self {
            origin: Origin::of(history, at, event, comm),
            name: event.detail.name(),
            types: describe::names(&describe::about(&event.detail)),
            severity: event.detail.severity(),
            call: describe::call(&event.detail),
            details,
            changed,
            file: file
                .filter(|_| history.files.len() > 1)
                .map(|(name, _)| name.as_str()),
            line: event.line,
        }
    }
}
