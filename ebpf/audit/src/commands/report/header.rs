//! What the page begins and ends with: the span of time, the counts and the files.

use super::history::History;
use super::html;
use crate::model::event::{Class, Severity};
use crate::output::hash_chain;

/// The line below the title.
pub(super) struct Header<'a> {
    pub node: &'a str,
    /// `None`: there are no events.
    pub span: Option<Span>,
    pub boot_id: Option<&'a str>,
    pub tiles: Vec<Tile>,
    pub processes: String,
    pub execs: String,
}

/// From the first event to the last one.
pub(super) struct Span {
    pub day: String,
    pub from: String,
    /// The day of the last event, if it is another one.
    pub to_day: Option<String>,
    pub to: String,
    pub length: String,
}

/// How often there was something.
pub(super) struct Tile {
    pub name: &'static str,
    pub is_zero: bool,
    pub count: String,
    pub text: &'static str,
    pub more: String,
}

impl<'a> Header<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let start = history.start();
        let processes = u64::try_from(history.processes.len()).unwrap_or(u64::MAX);
        Self {
            node: start.map_or("", |start| &start.node),
            span: span(history),
            boot_id: start.map(|start| start.boot_id.as_str()),
            tiles: tiles(history),
            processes: html::number(processes),
            execs: html::counted(history.count("exec"), "exec", "execs"),
        }
    }
}

fn span(history: &History) -> Option<Span> {
    let (first, last) = history.span?;
    let (day, to_day) = (html::day(first.ts_wall_ms), html::day(last.ts_wall_ms));
    Some(Span {
        to_day: (to_day != day).then_some(to_day),
        day,
        from: html::clock(first.ts_wall_ms),
        to: html::clock(last.ts_wall_ms),
        length: html::length(last.ts_boot_ns.saturating_sub(first.ts_boot_ns)),
    })
}

fn tiles(history: &History) -> Vec<Tile> {
    let tile = |name, count, text| Tile {
        name,
        is_zero: count == 0,
        count: html::number(count),
        text,
        more: String::new(),
    };
    let mut all = vec![Tile {
        more: severities(history),
        ..tile("alert", history.count("alert"), "alerts")
    }];
    let classes = [
        (Class::JoinHost, "joined the host"),
        (Class::JoinOther, "joined others"),
        (Class::Create, "created"),
        (Class::Nested, "nested users"),
        (Class::Denied, "refused"),
        (Class::Noop, "changed nothing"),
    ];
    all.extend(classes.map(|(class, text)| tile(class.name(), history.count(class.name()), text)));
    let missing = history.lost.saturating_add(history.missed);
    all.push(tile("lost", missing, "lost or missed"));
    all.push(tile("gap", history.count("gap"), "unseen"));
    all
}

/// The numbers of alerts, the worst first.
fn severities(history: &History) -> String {
    let worst_first = Severity::ALL.iter().rev();
    let alerts: Vec<String> = worst_first
        .filter_map(|severity| {
            let count = history.alerts.get(severity)?;
            Some(format!("{} {}", html::number(*count), severity.name()))
        })
        .collect();
    alerts.join(", ")
}

/// The files, and the programs that wrote and drew them.
pub(super) struct Footer<'a> {
    /// The names, and how many lines each has.
    pub files: Vec<(&'a str, String)>,
    /// The last chain value; only if the chain is whole.
    pub last: Option<String>,
    pub version: &'a str,
    pub own_version: &'static str,
}

impl<'a> Footer<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let files = history.files.iter();
        let files = files.map(|(name, lines)| {
            let lines = html::counted(*lines, "line", "lines");
            (name.as_str(), lines)
        });
        Self {
            files: files.collect(),
            last: history
                .broken
                .is_none()
                .then(|| hash_chain::hex(history.last)),
            version: history.start().map_or("", |start| &start.version),
            own_version: env!("CARGO_PKG_VERSION"),
        }
    }
}
