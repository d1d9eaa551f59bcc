//! The tables.

mod alerts;
mod calls;
mod events;
mod processes;

pub(super) use alerts::alerts;
pub(super) use calls::{crossings, denied};
pub(super) use events::{events, losses};
pub(super) use processes::{matrix, namespaces};

use std::fmt::{self, Write as _};

use super::events::{Event, Process};
use super::history::History;
use super::html::{self, Text};

/// Most rows of a table that is not the one of events.
const MAX_ROWS: usize = 300;

/// The head of a table.
pub(in crate::commands::report) fn head(
    out: &mut String,
    class: &str,
    columns: &[&str],
) -> fmt::Result {
    write!(
        out,
        "<div class=\"wide\"><table class=\"{class}\"><thead><tr>"
    )?;
    for column in columns {
        match column.strip_prefix('#') {
            Some(number) => write!(out, "<th scope=\"col\" class=\"n\">{number}</th>")?,
            None => write!(out, "<th scope=\"col\">{column}</th>")?,
        }
    }
    out.write_str("</tr></thead><tbody>\n")
}

pub(in crate::commands::report) fn foot(out: &mut String, rows: usize) -> fmt::Result {
    out.write_str("</tbody></table></div>\n")?;
    if rows > MAX_ROWS {
        let more = html::number(u64::try_from(rows - MAX_ROWS).unwrap_or(u64::MAX));
        writeln!(out, "<p class=\"note\">{more} more rows are not drawn.</p>")?;
    }
    Ok(())
}

/// One of the symbols of the page.
pub(in crate::commands::report) fn symbol(name: &str) -> String {
    format!(
        "<svg class=\"i c-{name}\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><use href=\"#s-{name}\"/></svg>"
    )
}

/// The attributes that filters use.
pub(in crate::commands::report) fn owner(process: Option<&Process>) -> String {
    process.map_or_else(String::new, |process| {
        format!(
            " data-p=\"{}\" data-n=\"{}\"",
            process.id,
            Text(&process.comm)
        )
    })
}

/// The cell of a process.
fn write_process(out: &mut String, process: Option<&Process>, comm: Option<&str>) -> fmt::Result {
    let Some(process) = process else {
        return out.write_str("<td class=\"p\">–</td>");
    };
    let comm = comm.unwrap_or(&process.comm);
    write!(
        out,
        "<td class=\"p\"><b class=\"t\">{}</b> <span class=\"m\">{}",
        Text(comm),
        process.id.tgid
    )?;
    if let Some(uid) = process.uid.filter(|uid| *uid != 0) {
        write!(out, " · uid {uid}")?;
    }
    out.write_str("</span>")?;
    if let Some(container) = &process.container {
        write!(out, " <span class=\"box t\">{}</span>", Text(container))?;
    }
    out.write_str("</td>")
}

fn write_time(out: &mut String, history: &History, event: &Event, at: usize) -> fmt::Result {
    let clock = html::clock(event.time.ts_wall_ms);
    let first = history.span.map_or(event.time, |(first, _)| first);
    let since = html::length(event.time.ts_boot_ns.saturating_sub(first.ts_boot_ns));
    let day = html::day(event.time.ts_wall_ms);
    let shown = if html::day(first.ts_wall_ms) == day {
        ""
    } else {
        &format!("{day} ")
    };
    write!(
        out,
        "<td class=\"w\"><a href=\"#e{at}\" title=\"{day} UTC, {since} after the first\">{shown}{clock}</a></td>"
    )
}

fn owner_of<'a>(history: &'a History, event: &Event) -> Option<&'a Process> {
    event
        .process
        .and_then(|process| history.processes.get(process))
}
