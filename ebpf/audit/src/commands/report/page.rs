//! The page.

use std::fmt::{self, Write as _};

use crate::model::event::{Class, Severity};
use crate::model::namespaces::NamespaceType;
use crate::output::hash_chain;

use super::banners::{Banner, banners};
use super::history::History;
use super::html::{self, Text};
use super::{health, tables, timeline};

pub(super) const STYLE: &str = include_str!("report.css");
pub(super) const SCRIPT: &str = include_str!("report.js");
/// The symbols, each around 0,0.
const SYMBOLS: &str = include_str!("symbols.svg");

/// The names of events, in the order of the filters.
const NAMES: [&str; 13] = [
    "join_host",
    "join_other",
    "create",
    "nested",
    "denied",
    "noop",
    "gap",
    "lost",
    "missed",
    "alert",
    "exec",
    "fork",
    "exit",
];

/// The page of what was read.
#[must_use]
pub fn page(history: &History) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, history);
    out
}

fn write(out: &mut String, history: &History) -> fmt::Result {
    let node = history.start().map_or("", |start| &start.node);
    let first = history.span.map(|(first, _)| first.ts_wall_ms);
    let began = first
        .or(history.start().map(|start| start.ts_wall_ms))
        .unwrap_or_default();
    let title = format!(
        "Namespaces on {node}, {} {}",
        html::day(began),
        html::clock(began)
    );
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src {}; script-src {}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{SYMBOLS}",
        html::source(STYLE),
        html::source(SCRIPT),
        Text(&title)
    )?;
    header(out, history, node)?;
    out.write_str("<main>\n")?;
    sections(out, history)?;
    out.write_str("</main>\n")?;
    footer(out, history)?;
    write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

fn sections(out: &mut String, history: &History) -> fmt::Result {
    section(out, "alerts", "Alerts", "", |out| {
        tables::alerts(out, history)
    })?;
    section(
        out,
        "timeline",
        "Time line",
        "A lane for each process, beneath its parent; times are UTC.",
        |out| {
            tools(out, history)?;
            legend(out, history)?;
            timeline::draw(out, history)
        },
    )?;
    section(
        out,
        "crossings",
        "Joins",
        "Processes that joined namespaces, and the direction as seen from the host.",
        |out| tables::crossings(out, history),
    )?;
    section(out, "refused", "Refused", "", |out| {
        tables::denied(out, history)
    })?;
    section(
        out,
        "who",
        "Calls by process",
        "By type of namespace.",
        |out| {
            tables::matrix(out, history)?;
            tables::namespaces(out, history)
        },
    )?;
    section(
        out,
        "losses",
        "Losses and gaps",
        "Places where events are missing, and where a task was not in the namespaces that it was last observed in.",
        |out| tables::losses(out, history),
    )?;
    section(out, "events", "Events", "", |out| {
        out.write_str("<p class=\"note\" id=\"shown\"></p>\n")?;
        tables::events(out, history)
    })?;
    section(
        out,
        "counters",
        "Counters",
        "The last counters of the auditor; ring_full, pending_full and lost should be 0, and no program should be missed.",
        |out| health::table(out, history.health.as_ref()),
    )
}

fn section(
    out: &mut String,
    id: &str,
    title: &str,
    note: &str,
    body: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    writeln!(out, "<section id=\"{id}\"><h2>{title}</h2>")?;
    if !note.is_empty() {
        writeln!(out, "<p class=\"note\">{note}</p>")?;
    }
    body(out)?;
    out.write_str("</section>\n")
}

fn header(out: &mut String, history: &History, node: &str) -> fmt::Result {
    write!(
        out,
        "<header>\n<h1>Namespaces on <span class=\"t\">{}</span></h1>\n<p class=\"sub\">",
        Text(node)
    )?;
    if let Some((first, last)) = history.span {
        let (from, to) = (html::day(first.ts_wall_ms), html::day(last.ts_wall_ms));
        let to = if from == to {
            String::new()
        } else {
            format!("{to} ")
        };
        write!(
            out,
            "{from} {} – {to}{} UTC · {}",
            html::clock(first.ts_wall_ms),
            html::clock(last.ts_wall_ms),
            html::length(last.ts_boot_ns.saturating_sub(first.ts_boot_ns))
        )?;
    }
    if let Some(start) = history.start() {
        write!(out, " · boot <code>{}</code>", Text(&start.boot_id))?;
    }
    out.write_str("</p>\n")?;
    for Banner { level, title, text } in banners(history) {
        let text = Text(&text);
        writeln!(out, "<p class=\"banner {level}\"><b>{title}</b> {text}</p>")?;
    }
    tiles(out, history)?;
    out.write_str("</header>\n")
}

fn tiles(out: &mut String, history: &History) -> fmt::Result {
    out.write_str("<ul class=\"tiles\">\n")?;
    let mut tile = |name: &str, count: u64, text: &str, more: &str| {
        let class = if count == 0 { " zero" } else { "" };
        writeln!(
            out,
            "<li class=\"c-{name}{class}\"><b>{}</b><span>{} {text}</span><small>{more}</small></li>",
            html::number(count),
            tables::symbol(name)
        )
    };
    let worst_first = Severity::ALL.iter().rev();
    let alerts: Vec<String> = worst_first
        .filter_map(|severity| {
            let count = history.alerts.get(severity)?;
            Some(format!("{} {}", html::number(*count), severity.name()))
        })
        .collect();
    tile(
        "alert",
        history.count("alert"),
        "alerts",
        &alerts.join(", "),
    )?;
    for (class, text) in [
        (Class::JoinHost, "joined the host"),
        (Class::JoinOther, "joined others"),
        (Class::Create, "created"),
        (Class::Nested, "nested users"),
        (Class::Denied, "refused"),
        (Class::Noop, "changed nothing"),
    ] {
        tile(class.name(), history.count(class.name()), text, "")?;
    }
    tile(
        "lost",
        history.lost.saturating_add(history.missed),
        "lost or missed",
        "",
    )?;
    tile("gap", history.count("gap"), "unseen", "")?;
    let execs = html::counted(history.count("exec"), "exec", "execs");
    let processes = u64::try_from(history.processes.len()).unwrap_or(u64::MAX);
    write!(
        out,
        "<li><b>{}</b><span>processes</span><small>{execs}</small></li>\n</ul>\n",
        html::number(processes)
    )
}

/// The filters, which the script shows: they have no effect without it.
fn tools(out: &mut String, history: &History) -> fmt::Result {
    out.write_str("<form class=\"tools\" id=\"tools\" autocomplete=\"off\"><div class=\"chips\">")?;
    for name in NAMES.iter().filter(|name| history.count(name) > 0) {
        write!(
            out,
            "<button type=\"button\" class=\"chip c-{name}\" data-class=\"{name}\" aria-pressed=\"false\">{} {name} <small>{}</small></button>",
            tables::symbol(name),
            html::number(history.count(name))
        )?;
    }
    out.write_str("</div><div class=\"fields\"><label>process <input id=\"process\" type=\"search\" placeholder=\"name or pid\" size=\"14\"></label> <label>type <select id=\"type\"><option value=\"\">any</option>")?;
    for one in NamespaceType::ALL {
        write!(out, "<option>{}</option>", one.name())?;
    }
    out.write_str(
        "</select></label> <span class=\"zoom\"><button type=\"button\" data-zoom=\"in\" title=\"closer\">+</button>\
         <button type=\"button\" data-zoom=\"out\" title=\"further\">−</button>\
         <button type=\"button\" data-zoom=\"left\" title=\"earlier\">←</button>\
         <button type=\"button\" data-zoom=\"right\" title=\"later\">→</button></span>\
         <button type=\"button\" id=\"reset\">show all</button>\
         <span class=\"hint\">drag over the time line to look closer</span></div></form>\n",
    )
}

fn legend(out: &mut String, history: &History) -> fmt::Result {
    out.write_str("<p class=\"legend\">")?;
    for name in NAMES
        .iter()
        .filter(|name| history.count(name) > 0 && !matches!(**name, "fork" | "exit"))
    {
        write!(
            out,
            "<span class=\"c-{name}\">{} {name}</span> ",
            tables::symbol(name)
        )?;
    }
    out.write_str("</p>\n")
}

fn footer(out: &mut String, history: &History) -> fmt::Result {
    out.write_str("<footer>\n<table class=\"files\"><tbody>\n")?;
    for (name, lines) in &history.files {
        let lines = html::counted(*lines, "line", "lines");
        writeln!(
            out,
            "<tr><td class=\"t\">{}</td><td>{lines}</td></tr>",
            Text(name)
        )?;
    }
    out.write_str("</tbody></table>\n<p>")?;
    if history.broken.is_none() {
        write!(
            out,
            "Last chain value <code>{}</code>. ",
            hash_chain::hex(history.last)
        )?;
    }
    let version = history.start().map_or("", |start| &start.version);
    write!(
        out,
        "Written by nsexec-audit {}, drawn by nsexec-audit {}. Names, paths and arguments were chosen by the processes \
         themselves; all but plain characters are shown as escapes.</p>\n</footer>\n",
        Text(version),
        env!("CARGO_PKG_VERSION")
    )
}
