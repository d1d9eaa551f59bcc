//! The page: what its templates are given.

use askama::Template;

use super::banners::{Banner, banners};
use super::header::{Footer, Header};
use super::health::Counters;
use super::history::History;
use super::html;
use super::tables::{
    self, AlertRow, Events, JoinRow, LossRow, Matrix, NamespaceRow, RefusedRow, Table,
};
use super::timeline::{Lane, TimeLine, timeline};
use crate::model::namespaces::NamespaceType;

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

/// The one template; it includes the others, each of which has the same escaper.
#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    style: &'static str,
    style_hash: String,
    script: &'static str,
    script_hash: String,
    symbols: &'static str,
    title: String,
    header: Header<'a>,
    banners: Vec<Banner>,
    filters: Vec<Filter>,
    types: Vec<&'static str>,
    alerts: Table<AlertRow<'a>>,
    timeline: Option<TimeLine<'a>>,
    joins: Option<Table<JoinRow<'a>>>,
    refused: Table<RefusedRow<'a>>,
    matrix: Matrix<'a>,
    namespaces: Table<NamespaceRow>,
    losses: Table<LossRow<'a>>,
    events: Events<'a>,
    counters: Option<Counters<'a>>,
    footer: Footer<'a>,
}

/// A button that shows the events of one name only.
struct Filter {
    name: &'static str,
    count: String,
    in_legend: bool,
}

/// The page of what was read.
///
/// # Errors
/// None is known: the page is in memory, and no filter of its templates fails.
pub fn page(history: &History) -> askama::Result<String> {
    let page = Page {
        style: STYLE,
        style_hash: html::hash(STYLE),
        script: SCRIPT,
        script_hash: html::hash(SCRIPT),
        symbols: SYMBOLS,
        title: title(history),
        header: Header::of(history),
        banners: banners(history),
        filters: filters(history),
        types: NamespaceType::ALL.iter().map(|one| one.name()).collect(),
        alerts: tables::alerts(history),
        timeline: timeline(history),
        joins: tables::joins(history),
        refused: tables::refused(history),
        matrix: tables::matrix(history),
        namespaces: tables::namespaces(history),
        losses: tables::losses(history),
        events: Events(history),
        counters: history.health.as_ref().map(Counters::of),
        footer: Footer::of(history),
    };
    let mut text = page.render()?;
    // askama removes the last end of line of a template.
    text.push('\n');
    Ok(text)
}

fn title(history: &History) -> String {
    let start = history.start();
    let first = history.span.map(|(first, _)| first.ts_wall_ms);
    let began = first
        .or(start.map(|start| start.ts_wall_ms))
        .unwrap_or_default();
    let node = start.map_or("", |start| &start.node);
    let (day, clock) = (html::day(began), html::clock(began));
    format!("Namespaces on {node}, {day} {clock}")
}

/// A fork and an exit are the ends of a bar, which the legend does not explain.
fn filters(history: &History) -> Vec<Filter> {
    let used = NAMES.into_iter().filter(|name| history.count(name) > 0);
    let filters = used.map(|name| Filter {
        name,
        count: html::number(history.count(name)),
        in_legend: !matches!(name, "fork" | "exit"),
    });
    filters.collect()
}
