//! Joins and refusals, one row for all of a process that are the same.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::{MAX_ROWS, foot, head, owner, owner_of, symbol, write_process, write_time};
use crate::commands::report::describe;
use crate::commands::report::events::{Detail, Event};
use crate::commands::report::history::History;
use crate::commands::report::html::{self, Text};
use crate::model::event::Class;

/// The same call by the same process, several times.
struct Again<'a> {
    first: (usize, &'a Event),
    last: &'a Event,
    count: u64,
}

/// Events that have a name, one row for each name and process.
fn grouped(
    history: &History,
    name: impl Fn(&Event) -> Option<[String; 2]>,
) -> Vec<([String; 2], Again<'_>)> {
    let mut rows: Vec<([String; 2], Again<'_>)> = Vec::new();
    let mut known: BTreeMap<(Option<usize>, [String; 2]), usize> = BTreeMap::new();
    for (at, event) in history.events.iter().enumerate() {
        let Some(name) = name(event) else { continue };
        let row = known
            .entry((event.process, name.clone()))
            .or_insert(rows.len());
        if let Some((_, again)) = rows.get_mut(*row) {
            again.last = event;
            again.count += 1;
        } else {
            let again = Again {
                first: (at, event),
                last: event,
                count: 1,
            };
            rows.push((name, again));
        }
    }
    rows
}

pub(in crate::commands::report) fn crossings(out: &mut String, history: &History) -> fmt::Result {
    let host = history.start().map(|start| &start.host);
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return out.write_str(
            "<p class=\"none\">Which namespaces are the host's was not known to the auditor.</p>\n",
        );
    };
    let rows = grouped(history, |event| match &event.detail {
        Detail::Namespace(call) => {
            let boundary = call.crossing.boundary.map(|one| one.name());
            let direction = boundary.or_else(|| describe::crossing(call, host))?;
            let types = describe::about(&event.detail);
            Some([direction.to_owned(), describe::names(&types)])
        }
        _ => None,
    });
    if rows.is_empty() {
        return out
            .write_str("<p class=\"none\">No process joined namespaces that it was not in.</p>\n");
    }
    let columns = [
        "First",
        "Direction",
        "Process",
        "Namespaces",
        "#Times",
        "Last",
    ];
    head(out, "crossings", &columns)?;
    for ([direction, types], again) in rows.iter().take(MAX_ROWS) {
        let (at, event) = again.first;
        let process = owner_of(history, event);
        let Detail::Namespace(call) = &event.detail else {
            continue;
        };
        write!(out, "<tr{}>", owner(process))?;
        write_time(out, history, event, at)?;
        let class = call.class.name();
        write!(
            out,
            "<td class=\"c c-{class}\">{} {}</td>",
            symbol(class),
            Text(direction)
        )?;
        write_process(out, process, Some(&call.actor.comm))?;
        write!(out, "<td class=\"k\">{}</td>", Text(types))?;
        ending(out, again)?;
    }
    foot(out, rows.len())
}

pub(in crate::commands::report) fn denied(out: &mut String, history: &History) -> fmt::Result {
    let rows = grouped(history, |event| match &event.detail {
        Detail::Namespace(call) if call.class == Class::Denied => {
            let op = &call.op;
            let errno = op.errno.map(|errno| errno.to_string());
            Some([
                format!("{}({})", op.syscall.name(), op.flags.joined()),
                errno.unwrap_or_default(),
            ])
        }
        _ => None,
    });
    if rows.is_empty() {
        return out.write_str("<p class=\"none\">Nothing was refused.</p>\n");
    }
    head(
        out,
        "denied",
        &["First", "Process", "Call", "Error", "#Times", "Last"],
    )?;
    for ([text, errno], again) in rows.iter().take(MAX_ROWS) {
        let (at, event) = again.first;
        let process = owner_of(history, event);
        let Detail::Namespace(call) = &event.detail else {
            continue;
        };
        write!(out, "<tr{}>", owner(process))?;
        write_time(out, history, event, at)?;
        write_process(out, process, Some(&call.actor.comm))?;
        write!(
            out,
            "<td class=\"k\">{}</td><td class=\"k c-denied\">{}</td>",
            Text(text),
            Text(errno)
        )?;
        ending(out, again)?;
    }
    foot(out, rows.len())
}

fn ending(out: &mut String, again: &Again<'_>) -> fmt::Result {
    let last = if again.count > 1 {
        html::clock(again.last.time.ts_wall_ms)
    } else {
        "–".to_owned()
    };
    writeln!(
        out,
        "<td class=\"n\">{}</td><td class=\"w\">{last}</td></tr>",
        html::number(again.count)
    )
}
