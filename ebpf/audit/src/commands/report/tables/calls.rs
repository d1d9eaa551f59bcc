//! Joins and refusals, one row for all of a process that are the same.

use std::collections::BTreeMap;

use super::{Origin, Table};
use crate::commands::report::describe;
use crate::commands::report::events::{Detail, Event, types};
use crate::commands::report::history::History;
use crate::commands::report::html;
use crate::model::event::{Class, NamespaceEvent};

/// The same call by the same process, several times.
struct Again<'a> {
    first: (usize, &'a Event),
    call: &'a NamespaceEvent,
    last: &'a Event,
    count: u64,
}

impl<'a> Again<'a> {
    fn origin(&self, history: &'a History) -> Origin<'a> {
        let (at, event) = self.first;
        Origin::of(history, at, event, Some(&self.call.actor.comm))
    }
}

/// How often there was a call, and when last.
pub(in crate::commands::report) struct Times {
    pub count: String,
    /// `None`: it was once.
    pub last: Option<String>,
}

impl Times {
    fn of(again: &Again<'_>) -> Self {
        Self {
            count: html::number(again.count),
            last: (again.count > 1).then(|| html::clock(again.last.time.ts_wall_ms)),
        }
    }
}

pub(in crate::commands::report) struct JoinRow<'a> {
    pub origin: Origin<'a>,
    pub class: &'static str,
    pub direction: String,
    pub types: String,
    pub times: Times,
}

pub(in crate::commands::report) struct RefusedRow<'a> {
    pub origin: Origin<'a>,
    pub call: String,
    pub errno: String,
    pub times: Times,
}

/// Calls that have a name, one row for each name and process.
fn grouped(
    history: &History,
    name: impl Fn(&NamespaceEvent) -> Option<[String; 2]>,
) -> Vec<([String; 2], Again<'_>)> {
    let mut rows: Vec<([String; 2], Again<'_>)> = Vec::new();
    let mut known: BTreeMap<(Option<usize>, [String; 2]), usize> = BTreeMap::new();
    for (at, event) in history.events.iter().enumerate() {
        let Detail::Namespace(call) = &event.detail else {
            continue;
        };
        let Some(name) = name(call) else { continue };
        let row = known
            .entry((event.process, name.clone()))
            .or_insert(rows.len());
        if let Some((_, again)) = rows.get_mut(*row) {
            again.last = event;
            again.count += 1;
        } else {
            let again = Again {
                first: (at, event),
                call,
                last: event,
                count: 1,
            };
            rows.push((name, again));
        }
    }
    rows
}

/// `None`: the host is not known, and with it no direction.
pub(in crate::commands::report) fn joins(history: &History) -> Option<Table<JoinRow<'_>>> {
    let host = history.start().map(|start| &start.host);
    let host = host.filter(|host| !host.is_empty())?;
    let rows = grouped(history, |call| {
        let boundary = call.crossing.boundary.map(|one| one.name());
        let direction = boundary.or_else(|| describe::crossing(call, host))?;
        let types = types(call, call.ns.changed.is_empty());
        Some([direction.to_owned(), describe::names(&types)])
    });
    let rows = rows.into_iter().map(|([direction, types], again)| JoinRow {
        origin: again.origin(history),
        class: again.call.class.name(),
        direction,
        types,
        times: Times::of(&again),
    });
    Some(Table::of(rows))
}

pub(in crate::commands::report) fn refused(history: &History) -> Table<RefusedRow<'_>> {
    let rows = grouped(history, |call| {
        let op = &call.op;
        let errno = op.errno.map(|errno| errno.to_string());
        (call.class == Class::Denied).then(|| {
            [
                format!("{}({})", op.syscall.name(), op.flags.joined()),
                errno.unwrap_or_default(),
            ]
        })
    });
    Table::of(rows.into_iter().map(|([call, errno], again)| RefusedRow {
        origin: again.origin(history),
        call,
        errno,
        times: Times::of(&again),
    }))
}
