//! The limits of the record, which the page begins with.

use super::history::History;
use super::{health, html};

/// A message at the top of the page.
pub(super) struct Banner {
    /// `good`, `warn` or `bad`.
    pub level: &'static str,
    pub title: &'static str,
    /// Text, not HTML.
    pub text: String,
}

fn banner(level: &'static str, title: &'static str, text: impl Into<String>) -> Banner {
    let text = text.into();
    Banner { level, title, text }
}

/// All of them; if nothing limits the record, that it is complete.
pub(super) fn banners(history: &History) -> Vec<Banner> {
    let mut all: Vec<Banner> = chain(history).into_iter().chain(losses(history)).collect();
    let is_complete = all.is_empty();
    all.extend(drawing(history));
    if is_complete {
        all.push(banner(
            "good",
            "Complete.",
            "The chain of lines is valid, nothing was lost, and every change was observed.",
        ));
    }
    all
}

/// Files that were changed or cut.
fn chain(history: &History) -> Vec<Banner> {
    let mut all = Vec::new();
    if let Some(broken) = &history.broken {
        all.push(banner(
            "bad",
            "The chain is broken.",
            format!(
                "{}:{}: {}. The lines from there on may have been changed.",
                broken.file, broken.line, broken.wrong
            ),
        ));
    }
    if history.continues {
        all.push(banner(
            "warn",
            "The beginning is missing.",
            "The first file continues another one, which was not given.",
        ));
    }
    all
}

/// Events that are missing.
fn losses(history: &History) -> Vec<Banner> {
    let mut all = Vec::new();
    if history.lost > 0 {
        let lost = html::counted(history.lost, "event", "events");
        let places = html::counted(history.count("lost"), "place", "places");
        all.push(banner(
            "bad",
            "Events were lost.",
            format!("{lost} did not fit, at {places} of the time line: the record is incomplete."),
        ));
    }
    if history.missed > 0 {
        let calls = html::counted(history.missed, "call was", "calls were");
        all.push(banner(
            "bad",
            "Calls were missed.",
            format!("{calls} not observed by the probe for them."),
        ));
    }
    if !history.sums.is_empty() {
        let sums = history.sums.join("; ");
        all.push(banner(
            "bad",
            "The sums do not agree.",
            format!("Events are missing, or counted wrong: {sums}."),
        ));
    }
    if let Some(complaint) = history.health.as_ref().and_then(health::complaint) {
        all.push(banner(
            "bad",
            "The probes missed something.",
            format!("The counters say: {complaint}."),
        ));
    }
    if history.count("gap") > 0 {
        let gaps = html::counted(history.count("gap"), "time", "times");
        all.push(banner(
            "warn",
            "Changes were not observed.",
            format!("{gaps}, a task was in other namespaces than any probe observed."),
        ));
    }
    if !history.ended {
        all.push(banner(
            "warn",
            "The end is missing.",
            "The last line is not the final health line: the auditor was killed, or lines were cut off the end of the file, which the chain cannot detect.",
        ));
    }
    all
}

/// Facts that the page cannot show.
fn drawing(history: &History) -> Vec<Banner> {
    let mut all = Vec::new();
    let [other, lineage] = history.undrawn;
    if lineage + other > 0 {
        all.push(banner(
            "warn",
            "Some events are not drawn.",
            format!(
                "{} events are counted above and in no table: {} forks, execs and exits, {} others.",
                html::number(lineage + other),
                html::number(lineage),
                html::number(other)
            ),
        ));
    }
    if history.start().is_some_and(|start| start.host.is_empty()) {
        all.push(banner(
            "warn",
            "The host is unknown.",
            "The auditor could not determine the host's namespaces, so no join is reported as one of the host's.",
        ));
    }
    all
}
