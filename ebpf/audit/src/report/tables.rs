//! The tables.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::filter::TYPES;
use crate::judge::Class;

use super::describe;
use super::html::{self, Text};
use super::run::{Event, Process, Run, What};

/// Most rows of a table that is not the one of events.
const MAX_ROWS: usize = 300;

/// The head of a table.
pub(super) fn head(out: &mut String, class: &str, columns: &[&str]) -> fmt::Result {
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

pub(super) fn foot(out: &mut String, rows: usize) -> fmt::Result {
    out.write_str("</tbody></table></div>\n")?;
    if rows > MAX_ROWS {
        let more = html::number(u64::try_from(rows - MAX_ROWS).unwrap_or(u64::MAX));
        writeln!(out, "<p class=\"note\">{more} more rows are not drawn.</p>")?;
    }
    Ok(())
}

/// One of the symbols of the page.
pub(super) fn symbol(name: &str) -> String {
    format!(
        "<svg class=\"i c-{name}\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><use href=\"#s-{name}\"/></svg>"
    )
}

/// What filters go by.
pub(super) fn owner(process: Option<&Process>) -> String {
    process.map_or_else(String::new, |process| {
        format!(
            " data-p=\"{}\" data-n=\"{}\"",
            Text(&process.exec_id),
            Text(&process.comm)
        )
    })
}

/// Who, as a cell.
fn who(out: &mut String, process: Option<&Process>, comm: Option<&str>) -> fmt::Result {
    let Some(process) = process else {
        return out.write_str("<td class=\"p\">–</td>");
    };
    let comm = comm.unwrap_or(&process.comm);
    write!(
        out,
        "<td class=\"p\"><b class=\"t\">{}</b> <span class=\"m\">{}",
        Text(comm),
        process.tgid
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

fn when(out: &mut String, run: &Run, event: &Event, at: usize) -> fmt::Result {
    let clock = html::clock(event.time.wall_ms);
    let first = run.span.map_or(event.time, |(first, _)| first);
    let since = html::length(event.time.boot_ns.saturating_sub(first.boot_ns));
    let day = html::day(event.time.wall_ms);
    let shown = if html::day(first.wall_ms) == day {
        ""
    } else {
        &format!("{day} ")
    };
    write!(
        out,
        "<td class=\"w\"><a href=\"#e{at}\" title=\"{day} UTC, {since} after the first\">{shown}{clock}</a></td>"
    )
}

fn owner_of<'a>(run: &'a Run, event: &Event) -> Option<&'a Process> {
    event.process.and_then(|process| run.processes.get(process))
}

pub(super) fn alerts(out: &mut String, run: &Run) -> fmt::Result {
    let alerts = run
        .events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match &event.what {
            What::Alert(severity, alert) => Some((at, event, *severity, alert)),
            _ => None,
        });
    let mut alerts: Vec<_> = alerts.collect();
    if alerts.is_empty() {
        return out.write_str("<p class=\"none\">No rule has fired.</p>\n");
    }
    // The worst first; the order of time within.
    alerts.sort_by_key(|(_, _, severity, _)| std::cmp::Reverse(*severity));
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
    for (at, event, severity, alert) in alerts.iter().take(MAX_ROWS) {
        let process = owner_of(run, event);
        let severity = severity.name();
        write!(out, "<tr{}>", owner(process))?;
        when(out, run, event, *at)?;
        write!(
            out,
            "<td><span class=\"sev {severity}\">{severity}</span></td><td class=\"k\">{}</td><td class=\"k\">{}</td>",
            Text(&alert.rule),
            Text(&alert.mitre)
        )?;
        who(out, process, None)?;
        writeln!(out, "<td>{}</td></tr>", Text(&alert.about))?;
    }
    foot(out, alerts.len())
}

/// The same thing by the same process, once and again.
struct Again<'a> {
    first: (usize, &'a Event),
    last: &'a Event,
    count: u64,
}

/// Events that have a name, one row for each name and process.
fn grouped(
    run: &Run,
    name: impl Fn(&Event) -> Option<[String; 2]>,
) -> Vec<([String; 2], Again<'_>)> {
    let mut rows: Vec<([String; 2], Again<'_>)> = Vec::new();
    let mut known: BTreeMap<(Option<usize>, [String; 2]), usize> = BTreeMap::new();
    for (at, event) in run.events.iter().enumerate() {
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

pub(super) fn crossings(out: &mut String, run: &Run) -> fmt::Result {
    if run.start().is_none_or(|start| start.host.is_empty()) {
        return out.write_str(
            "<p class=\"none\">Which namespaces are the host's was not known to the auditor.</p>\n",
        );
    }
    let rows = grouped(run, |event| match &event.what {
        What::Namespace(_, line) => {
            let told = line.crossed.as_ref().and_then(super::named);
            let derived = describe::crossing(line, run.start()).map(str::to_owned);
            Some([told.or(derived)?, describe::about(&event.what).join(" ")])
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
        let process = owner_of(run, event);
        let What::Namespace(class, line) = &event.what else {
            continue;
        };
        write!(out, "<tr{}>", owner(process))?;
        when(out, run, event, at)?;
        let class = class.name();
        write!(
            out,
            "<td class=\"c c-{class}\">{} {}</td>",
            symbol(class),
            Text(direction)
        )?;
        who(out, process, Some(&line.actor.comm))?;
        write!(out, "<td class=\"k\">{}</td>", Text(types))?;
        ending(out, again)?;
    }
    foot(out, rows.len())
}

pub(super) fn denied(out: &mut String, run: &Run) -> fmt::Result {
    let rows = grouped(run, |event| match &event.what {
        What::Namespace(Class::Denied, line) => {
            let errno = line.op.errno.clone().unwrap_or_default();
            Some([
                format!("{}({})", line.op.syscall, line.op.flags.join("|")),
                errno,
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
    for ([call, errno], again) in rows.iter().take(MAX_ROWS) {
        let (at, event) = again.first;
        let process = owner_of(run, event);
        let What::Namespace(_, line) = &event.what else {
            continue;
        };
        write!(out, "<tr{}>", owner(process))?;
        when(out, run, event, at)?;
        who(out, process, Some(&line.actor.comm))?;
        write!(
            out,
            "<td class=\"k\">{}</td><td class=\"k c-denied\">{}</td>",
            Text(call),
            Text(errno)
        )?;
        ending(out, again)?;
    }
    foot(out, rows.len())
}

fn ending(out: &mut String, again: &Again<'_>) -> fmt::Result {
    let last = if again.count > 1 {
        html::clock(again.last.time.wall_ms)
    } else {
        "–".to_owned()
    };
    writeln!(
        out,
        "<td class=\"n\">{}</td><td class=\"w\">{last}</td></tr>",
        html::number(again.count)
    )
}

/// Who did what to which type of namespace.
pub(super) fn matrix(out: &mut String, run: &Run) -> fmt::Result {
    let mut rows: Vec<&Process> = run.processes.iter().filter(|one| one.calls > 0).collect();
    if rows.is_empty() {
        return out.write_str("<p class=\"none\">No process changed namespaces or tried to.</p>\n");
    }
    if rows.len() > MAX_ROWS {
        rows.sort_by_key(|one| std::cmp::Reverse((one.alert, one.calls)));
    }
    let used: Vec<&str> = TYPES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| {
            rows.iter()
                .any(|one| one.did.keys().any(|(_, of)| of == name))
        })
        .collect();
    let mut columns = vec!["Process"];
    columns.extend(&used);
    columns.push("#Calls");
    head(out, "matrix", &columns)?;
    for process in rows.iter().take(MAX_ROWS) {
        write!(out, "<tr{}>", owner(Some(process)))?;
        who(out, Some(process), None)?;
        for name in &used {
            out.write_str("<td class=\"x\">")?;
            for class in Class::ALL {
                let class = class.name();
                if let Some(count) = process.did.get(&(class, *name)) {
                    write!(
                        out,
                        "<span class=\"c c-{class}\" title=\"{class}: {count}\">{}{}</span> ",
                        symbol(class),
                        html::number(*count)
                    )?;
                }
            }
            out.write_str("</td>")?;
        }
        writeln!(
            out,
            "<td class=\"n\">{}</td></tr>",
            html::number(process.calls)
        )?;
    }
    foot(out, rows.len())
}

/// Every namespace that was made, joined or left.
pub(super) fn namespaces(out: &mut String, run: &Run) -> fmt::Result {
    if run.namespaces.is_empty() {
        return Ok(());
    }
    out.write_str("<h3>Namespaces</h3>\n")?;
    head(
        out,
        "namespaces",
        &["Type", "Namespace", "Made by", "Joined by", "#Left"],
    )?;
    let name = |number: &usize| {
        let process = run.processes.get(*number);
        process.map(describe::process).unwrap_or_default()
    };
    for ((kind, id), seen) in run.namespaces.iter().take(MAX_ROWS) {
        write!(
            out,
            "<tr><td class=\"k\">{kind}</td><td class=\"k\">{}",
            Text(&describe::namespace(*id))
        )?;
        if seen.is_host {
            out.write_str(" <span class=\"box host\">host</span>")?;
        }
        let made_by = seen.made_by.as_ref().map_or("–".to_owned(), name);
        let made_by = if seen.made_by.is_some() {
            Text(&made_by).to_string()
        } else {
            made_by
        };
        write!(out, "</td><td>{made_by}</td><td>")?;
        for (at, (process, count)) in seen.joined.iter().enumerate().take(12) {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}{}", Text(&name(process)))?;
            if *count > 1 {
                write!(out, " × {}", html::number(*count))?;
            }
        }
        match seen.joined.len() {
            0 => out.write_str("–")?,
            count @ 13.. => write!(out, " and {} more", count - 12)?,
            _ => {}
        }
        writeln!(
            out,
            "</td><td class=\"n\">{}</td></tr>",
            html::number(seen.left)
        )?;
    }
    foot(out, run.namespaces.len())
}

/// What no probe saw, and what did not fit.
pub(super) fn holes(out: &mut String, run: &Run) -> fmt::Result {
    let holes = run.events.iter().enumerate();
    let holes = holes
        .filter(|(_, event)| matches!(event.what, What::Lost(_) | What::Missed(_) | What::Gap(_)));
    let holes: Vec<_> = holes.collect();
    if holes.is_empty() {
        return out.write_str(
            "<p class=\"none\">No event was lost, and no change of namespaces went unseen.</p>\n",
        );
    }
    head(
        out,
        "holes",
        &["Time", "What", "Process", "How many, where"],
    )?;
    for (at, event) in holes.iter().take(MAX_ROWS) {
        let process = owner_of(run, event);
        write!(out, "<tr{}>", owner(process))?;
        when(out, run, event, *at)?;
        let name = event.what.name();
        write!(out, "<td class=\"c c-{name}\">{} {name}</td>", symbol(name))?;
        who(out, process, None)?;
        writeln!(out, "<td>{}</td></tr>", Text(&describe::call(&event.what)))?;
    }
    foot(out, holes.len())
}

/// Every event that is drawn.
pub(super) fn events(out: &mut String, run: &Run) -> fmt::Result {
    if run.events.is_empty() {
        return out.write_str("<p class=\"none\">Nothing happened.</p>\n");
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
    let several = run.files.len() > 1;
    for (at, event) in run.events.iter().enumerate() {
        let process = owner_of(run, event);
        let name = event.what.name();
        let types = describe::about(&event.what).join(" ");
        write!(
            out,
            "<tr id=\"e{at}\" data-c=\"{name}\" data-t=\"{types}\"{}>",
            owner(process)
        )?;
        when(out, run, event, at)?;
        let shade = match &event.what {
            What::Alert(severity, _) => format!(" {}", severity.name()),
            _ => String::new(),
        };
        write!(
            out,
            "<td class=\"c c-{name}{shade}\">{} {name}</td>",
            symbol(name)
        )?;
        let comm = match &event.what {
            What::Namespace(_, line) => Some(line.actor.comm.as_str()),
            What::Exec(line) | What::Fork(line) | What::Exit(line) => {
                Some(line.actor.comm.as_str())
            }
            _ => None,
        };
        who(out, process, comm)?;
        write!(
            out,
            "<td class=\"t\">{}",
            Text(&describe::call(&event.what))
        )?;
        if let What::Namespace(_, line) = &event.what {
            out.write_str("<details><summary>details</summary><dl>")?;
            for (name, value) in describe::details(line) {
                write!(out, "<dt>{name}</dt><dd>{}</dd>", Text(&value))?;
            }
            out.write_str("</dl></details>")?;
        }
        out.write_str("</td><td class=\"k\">")?;
        if let What::Namespace(_, line) = &event.what {
            for slot in &line.ns.changed {
                let host = line.ns.host.contains(slot);
                let (class, whose) = if host {
                    ("box into", " → host")
                } else {
                    ("box", "")
                };
                write!(out, "<span class=\"{class}\">{}{whose}</span> ", Text(slot))?;
            }
        }
        let (file, line) = (run.files.get(event.file), event.line);
        let file = file.filter(|_| several).map_or("", |(name, _)| name);
        let colon = if several { ":" } else { "" };
        writeln!(
            out,
            "</td><td class=\"n\">{}{colon}{line}</td></tr>",
            Text(file)
        )?;
    }
    out.write_str("</tbody></table></div>\n")
}
