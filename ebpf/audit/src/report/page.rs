//! The page.

use std::fmt::{self, Write as _};

use crate::chain;
use crate::judge::Class;
use crate::rules::Severity;

use super::html::{self, Text};
use super::run::Run;
use super::{health, tables, timeline};

pub(super) const STYLE: &str = include_str!("report.css");
pub(super) const SCRIPT: &str = include_str!("report.js");
/// The symbols, each around 0,0.
const SYMBOLS: &str = include_str!("symbols.svg");

/// What events can be, in the order of the filters.
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
pub fn page(run: &Run) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, run);
    out
}

fn write(out: &mut String, run: &Run) -> fmt::Result {
    let node = run.start().map_or("", |start| &start.node);
    let first = run.span.map(|(first, _)| first.wall_ms);
    let began = first
        .or(run.start().map(|start| start.ts_wall_ms))
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
    header(out, run, node)?;
    out.write_str("<main>\n")?;
    section(out, "alerts", "Alerts", "", |out| tables::alerts(out, run))?;
    section(
        out,
        "timeline",
        "Time line",
        "A lane a process, beneath the one that it comes from; times are UTC.",
        |out| {
            tools(out, run)?;
            legend(out, run)?;
            timeline::draw(out, run)
        },
    )?;
    section(
        out,
        "crossings",
        "Joins",
        "Who joined namespaces, and in which direction as seen from the host.",
        |out| tables::crossings(out, run),
    )?;
    section(out, "refused", "Refused", "", |out| {
        tables::denied(out, run)
    })?;
    section(out, "who", "Who did what", "By type of namespace.", |out| {
        tables::matrix(out, run)?;
        tables::namespaces(out, run)
    })?;
    section(
        out,
        "holes",
        "Losses and gaps",
        "Where events are missing, and where a task was not in the namespaces that it was left in.",
        |out| tables::holes(out, run),
    )?;
    section(out, "events", "Events", "", |out| {
        out.write_str("<p class=\"note\" id=\"shown\"></p>\n")?;
        tables::events(out, run)
    })?;
    section(
        out,
        "counters",
        "Counters",
        "What the auditor counted last; ring_full, pending_full and lost are to be 0, and no program is to be missed.",
        |out| health::table(out, run.health.as_ref()),
    )?;
    out.write_str("</main>\n")?;
    footer(out, run)?;
    write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")
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

fn header(out: &mut String, run: &Run, node: &str) -> fmt::Result {
    write!(
        out,
        "<header>\n<h1>Namespaces on <span class=\"t\">{}</span></h1>\n<p class=\"sub\">",
        Text(node)
    )?;
    if let Some((first, last)) = run.span {
        let (from, to) = (html::day(first.wall_ms), html::day(last.wall_ms));
        let to = if from == to {
            String::new()
        } else {
            format!("{to} ")
        };
        write!(
            out,
            "{from} {} – {to}{} UTC · {}",
            html::clock(first.wall_ms),
            html::clock(last.wall_ms),
            html::length(last.boot_ns.saturating_sub(first.boot_ns))
        )?;
    }
    if let Some(start) = run.start() {
        write!(out, " · boot <code>{}</code>", Text(&start.boot_id))?;
    }
    out.write_str("</p>\n")?;
    banners(out, run)?;
    tiles(out, run)?;
    out.write_str("</header>\n")
}

/// What has to be known before anything else is read.
fn banners(out: &mut String, run: &Run) -> fmt::Result {
    let mut banner = |level: &str, title: &str, text: &str| {
        writeln!(
            out,
            "<p class=\"banner {level}\"><b>{title}</b> {}</p>",
            Text(text)
        )
    };
    let mut whole = true;
    if let Some(broken) = &run.broken {
        whole = false;
        banner(
            "bad",
            "The chain is broken.",
            &format!(
                "{}:{}: {}. What stands from there on is not proven to be what was written.",
                broken.file, broken.line, broken.wrong
            ),
        )?;
    }
    if run.continues {
        whole = false;
        banner(
            "warn",
            "It begins in the middle.",
            "The first file continues another one, which was not given: what it tells is not here.",
        )?;
    }
    if run.lost > 0 {
        whole = false;
        let (lost, places) = (
            html::counted(run.lost, "event", "events"),
            run.count("lost"),
        );
        let places = html::counted(places, "place", "places");
        banner(
            "bad",
            "Events were lost.",
            &format!(
                "{lost} did not fit, at {places} of the time line: what is told here is not all that happened."
            ),
        )?;
    }
    if run.missed > 0 {
        whole = false;
        let calls = html::counted(run.missed, "call was", "calls were");
        banner(
            "bad",
            "Calls were missed.",
            &format!("{calls} not seen by the probe that is there for them."),
        )?;
    }
    if !run.sums.is_empty() {
        whole = false;
        banner(
            "bad",
            "The sums do not agree.",
            &format!(
                "Events are missing, or counted wrong: {}.",
                run.sums.join("; ")
            ),
        )?;
    }
    if let Some(complaint) = run.health.as_ref().and_then(health::complaint) {
        whole = false;
        banner(
            "bad",
            "The probes missed something.",
            &format!("The counters say: {complaint}."),
        )?;
    }
    if run.count("gap") > 0 {
        whole = false;
        let gaps = html::counted(run.count("gap"), "time", "times");
        banner(
            "warn",
            "Changes went unseen.",
            &format!("{gaps}, a task was in other namespaces than any probe saw it enter."),
        )?;
    }
    if !run.ended {
        whole = false;
        banner(
            "warn",
            "There is no end.",
            "The last line is not what was counted at the end: the auditor was stopped, or lines were cut off the end of the file, of which the chain cannot tell.",
        )?;
    }
    let [lineage, other] = [run.undrawn[1], run.undrawn[0]];
    if lineage + other > 0 {
        banner(
            "warn",
            "Not all is drawn.",
            &format!(
                "{} events are counted above and in no table: {} forks, execs and exits, {} others.",
                html::number(lineage + other),
                html::number(lineage),
                html::number(other)
            ),
        )?;
    }
    if run.start().is_some_and(|start| start.host.is_empty()) {
        banner(
            "warn",
            "The host is not known.",
            "The auditor could not tell which namespaces are the host's, so no join is told as one of the host's.",
        )?;
    }
    if whole {
        banner(
            "good",
            "Whole.",
            "The chain of lines is whole, nothing was lost, and no change went unseen.",
        )?;
    }
    Ok(())
}

fn tiles(out: &mut String, run: &Run) -> fmt::Result {
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
            let count = run.alerts.get(severity)?;
            Some(format!("{} {}", html::number(*count), severity.name()))
        })
        .collect();
    tile("alert", run.count("alert"), "alerts", &alerts.join(", "))?;
    for (class, text) in [
        (Class::JoinHost, "joined the host"),
        (Class::JoinOther, "joined others"),
        (Class::Create, "created"),
        (Class::Nested, "nested users"),
        (Class::Denied, "refused"),
        (Class::Noop, "changed nothing"),
    ] {
        tile(class.name(), run.count(class.name()), text, "")?;
    }
    tile(
        "lost",
        run.lost.saturating_add(run.missed),
        "lost or missed",
        "",
    )?;
    tile("gap", run.count("gap"), "unseen", "")?;
    let execs = html::counted(run.count("exec"), "exec", "execs");
    let processes = u64::try_from(run.processes.len()).unwrap_or(u64::MAX);
    write!(
        out,
        "<li><b>{}</b><span>processes</span><small>{execs}</small></li>\n</ul>\n",
        html::number(processes)
    )
}

/// The filters: shown by the script, which they are nothing without.
fn tools(out: &mut String, run: &Run) -> fmt::Result {
    out.write_str("<form class=\"tools\" id=\"tools\" autocomplete=\"off\"><div class=\"chips\">")?;
    for name in NAMES.iter().filter(|name| run.count(name) > 0) {
        write!(
            out,
            "<button type=\"button\" class=\"chip c-{name}\" data-class=\"{name}\" aria-pressed=\"false\">{} {name} <small>{}</small></button>",
            tables::symbol(name),
            html::number(run.count(name))
        )?;
    }
    out.write_str("</div><div class=\"fields\"><label>process <input id=\"process\" type=\"search\" placeholder=\"name or pid\" size=\"14\"></label> <label>type <select id=\"type\"><option value=\"\">any</option>")?;
    for (name, _) in crate::filter::TYPES {
        write!(out, "<option>{name}</option>")?;
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

fn legend(out: &mut String, run: &Run) -> fmt::Result {
    out.write_str("<p class=\"legend\">")?;
    for name in NAMES
        .iter()
        .filter(|name| run.count(name) > 0 && !matches!(**name, "fork" | "exit"))
    {
        write!(
            out,
            "<span class=\"c-{name}\">{} {name}</span> ",
            tables::symbol(name)
        )?;
    }
    out.write_str("</p>\n")
}

fn footer(out: &mut String, run: &Run) -> fmt::Result {
    out.write_str("<footer>\n<table class=\"files\"><tbody>\n")?;
    for (name, lines) in &run.files {
        let lines = html::counted(*lines, "line", "lines");
        writeln!(
            out,
            "<tr><td class=\"t\">{}</td><td>{lines}</td></tr>",
            Text(name)
        )?;
    }
    out.write_str("</tbody></table>\n<p>")?;
    if run.broken.is_none() {
        write!(
            out,
            "Last chain value <code>{}</code>. ",
            chain::hex(run.last)
        )?;
    }
    let version = run.start().map_or("", |start| &start.version);
    write!(
        out,
        "Told by nsexec-audit {}, drawn by nsexec-audit {}. Names, paths and arguments were chosen by the processes \
         themselves; what is no plain character in them is shown as an escape.</p>\n</footer>\n",
        Text(version),
        env!("CARGO_PKG_VERSION")
    )
}
