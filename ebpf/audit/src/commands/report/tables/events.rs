//! All events, and the places where some are missing.

use std::fmt::{self, Write as _};

use super::{MAX_ROWS, foot, head, owner, owner_of, symbol, write_process, write_time};
use crate::commands::report::describe;
use crate::commands::report::events::Detail;
use crate::commands::report::history::History;
use crate::commands::report::html::Text;

/// Unobserved changes and losses.
pub(in crate::commands::report) fn losses(out: &mut String, history: &History) -> fmt::Result {
    let losses = history.events.iter().enumerate();
    let losses = losses.filter(|(_, event)| {
        matches!(
            event.detail,
            Detail::Lost(_) | Detail::Missed(_) | Detail::Gap(_)
        )
    });
    let losses: Vec<_> = losses.collect();
    if losses.is_empty() {
        return out.write_str(
            "<p class=\"none\">No event was lost, and every change of namespaces was observed.</p>\n",
        );
    }
    head(
        out,
        "losses",
        &["Time", "What", "Process", "How many, where"],
    )?;
    for (at, event) in losses.iter().take(MAX_ROWS) {
        let process = owner_of(history, event);
        write!(out, "<tr{}>", owner(process))?;
        write_time(out, history, event, *at)?;
        let name = event.detail.name();
        write!(out, "<td class=\"c c-{name}\">{} {name}</td>", symbol(name))?;
        write_process(out, process, None)?;
        writeln!(
            out,
            "<td>{}</td></tr>",
            Text(&describe::call(&event.detail))
        )?;
    }
    foot(out, losses.len())
}

/// All events that are drawn.
pub(in crate::commands::report) fn events(out: &mut String, history: &History) -> fmt::Result {
    if history.events.is_empty() {
        return out.write_str("<p class=\"none\">No events were recorded.</p>\n");
    }
    head(
        out,
        "events",
        &[
            "Time",
            "What",
            "Process",
            "Call or command",
            "Namespaces",
            "Line",
        ],
    )?;
    for at in 0..history.events.len() {
        row(out, history, at)?;
    }
    out.write_str("</tbody></table></div>\n")
}

fn row(out: &mut String, history: &History, at: usize) -> fmt::Result {
    let several = history.files.len() > 1;
    let Some(event) = history.events.get(at) else {
        return Ok(());
    };
    let process = owner_of(history, event);
    let name = event.detail.name();
    let types = describe::names(&describe::about(&event.detail));
    write!(
        out,
        "<tr id=\"e{at}\" data-c=\"{name}\" data-t=\"{types}\"{}>",
        owner(process)
    )?;
    write_time(out, history, event, at)?;
    let shade = match &event.detail {
        Detail::Alert(alert) => format!(" {}", alert.severity.name()),
        _ => String::new(),
    };
    write!(
        out,
        "<td class=\"c c-{name}{shade}\">{} {name}</td>",
        symbol(name)
    )?;
    let comm = match &event.detail {
        Detail::Namespace(call) => Some(call.actor.comm.as_str()),
        Detail::Exec(line) | Detail::Fork(line) | Detail::Exit(line) => {
            Some(line.actor.comm.as_str())
        }
        _ => None,
    };
    write_process(out, process, comm)?;
    write!(
        out,
        "<td class=\"t\">{}",
        Text(&describe::call(&event.detail))
    )?;
    if let Detail::Namespace(call) = &event.detail {
        out.write_str("<details><summary>details</summary><dl>")?;
        for (name, value) in describe::details(call) {
            write!(out, "<dt>{name}</dt><dd>{}</dd>", Text(&value))?;
        }
        out.write_str("</dl></details>")?;
    }
    out.write_str("</td><td class=\"k\">")?;
    if let Detail::Namespace(call) = &event.detail {
        for slot in call.ns.changed.iter() {
            let host = call.ns.host.contains(slot);
            let (class, owner) = if host {
                ("box into", " → host")
            } else {
                ("box", "")
            };
            write!(
                out,
                "<span class=\"{class}\">{}{owner}</span> ",
                slot.name()
            )?;
        }
    }
    let (file, line) = (history.files.get(event.file), event.line);
    let file = file.filter(|_| several).map_or("", |(name, _)| name);
    let colon = if several { ":" } else { "" };
    writeln!(
        out,
        "</td><td class=\"n\">{}{colon}{line}</td></tr>",
        Text(file)
    )
}
