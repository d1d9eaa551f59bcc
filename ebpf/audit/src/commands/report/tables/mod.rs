//! The tables, as the templates are given them.

mod alerts;
mod calls;
mod events;
mod processes;

pub(super) use alerts::{AlertRow, alerts};
pub(super) use calls::{JoinRow, RefusedRow, joins, refused};
pub(super) use events::{Events, LossRow, losses};
pub(super) use processes::{Matrix, NamespaceRow, matrix, namespaces};

use super::events::{Event, Process};
use super::history::History;
use super::html;

/// Most rows of a table that is not the one of events.
const MAX_ROWS: usize = 300;

/// The rows that are drawn.
pub(super) struct Table<R> {
    pub rows: Vec<R>,
    /// The number of further rows, if there are some.
    pub more: Option<String>,
}

impl<R> Table<R> {
    fn of(rows: impl ExactSizeIterator<Item = R>) -> Self {
        let more = rows.len().saturating_sub(MAX_ROWS);
        Self {
            more: (more > 0).then(|| html::number(u64::try_from(more).unwrap_or(u64::MAX))),
            rows: rows.take(MAX_ROWS).collect(),
        }
    }
}

/// The time and the process of a row.
pub(super) struct Origin<'a> {
    /// The number of the event, which its row is named by.
    pub at: usize,
    pub day: String,
    /// The day is another one than that of the first event.
    pub shows_day: bool,
    pub clock: String,
    /// The time since the first event.
    pub since: String,
    pub process: Option<&'a Process>,
    /// The process's name; at that time, if the event has it.
    pub comm: &'a str,
}

impl<'a> Origin<'a> {
    fn of(history: &'a History, at: usize, event: &'a Event, comm: Option<&'a str>) -> Self {
        let first = history.span.map_or(event.time, |(first, _)| first);
        let day = html::day(event.time.ts_wall_ms);
        let process = event
            .process
            .and_then(|process| history.processes.get(process));
        let own = process.map_or("", |process| process.comm.as_str());
        Self {
            at,
            shows_day: html::day(first.ts_wall_ms) != day,
            day,
            clock: html::clock(event.time.ts_wall_ms),
            since: html::length(event.time.ts_boot_ns.saturating_sub(first.ts_boot_ns)),
            process,
            comm: comm.unwrap_or(own),
        }
    }
}
