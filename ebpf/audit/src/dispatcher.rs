//! Passes events from the enricher through rules and filter to the writer.

use std::fmt;
use std::io;

use crate::clock;
use crate::enrich::enricher::Enricher;
use crate::filter::ActiveFilter;
use crate::ingest::accounting::{Mismatch, Sample};
use crate::model::event::{MissReason, MissedEvent, OutputEvent};
use crate::model::process::ProcessId;
use crate::output::event_json::Line;
use crate::output::health::Health;
use crate::output::writer::Writer;
use crate::priority;
use crate::rules::{EVENTS_LOST, Rules};

/// Most events that are dispatched before the rings are read again: far fewer than fit
/// into one, or it is full before the last of them is written.
pub const BATCH: usize = 256;

/// The stages after the rings.
#[derive(Debug)]
pub struct Dispatcher {
    pub enricher: Enricher,
    pub filter: ActiveFilter,
    pub rules: Rules,
    pub writer: Writer,
    pub counts: Counts,
    /// The calls that programs and hooks did not observe, as far as they were reported.
    pub missed: Vec<(&'static str, MissReason, u64)>,
    /// The auditor itself, in alerts.
    pub own: ProcessId,
}

/// The state after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No event is due.
    Idle,
    /// More events are due.
    More,
    /// The writer has to catch up first.
    Backpressure,
}

/// The number of lines of each sort.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub reported: u64,
    pub gaps: u64,
    pub lost: u64,
    pub alerts: u64,
    /// Sums that do not agree.
    pub mismatches: u64,
}

impl Counts {
    /// Everything that counts as a loss.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.lost + self.mismatches
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reported,
            gaps,
            lost,
            alerts,
            mismatches,
        } = self;
        write!(
            f,
            "{reported} events, {alerts} alerts, {gaps} unobserved changes, {lost} lost"
        )?;
        match mismatches {
            0 => Ok(()),
            _ => write!(f, ", {mismatches} sums that do not agree"),
        }
    }
}

impl Dispatcher {
    /// Dispatches the events that are due, at most [`BATCH`]. `ended`: no more events
    /// come; then it waits for the writer.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn dispatch(&mut self, ended: bool) -> io::Result<Progress> {
        if !ended && !self.writer.has_room() {
            return Ok(Progress::Backpressure);
        }
        let mut lines = Vec::new();
        let mut more = true;
        let now_ns = (!ended).then(clock::boottime_ns);
        for _ in 0..BATCH {
            let Self {
                enricher,
                filter,
                rules,
                counts,
                ..
            } = self;
            more = enricher.emit_next(now_ns, |event| {
                report(event, filter, rules, counts, &mut lines);
            });
            if !more {
                break;
            }
        }
        self.write(lines)?;
        Ok(if more { Progress::More } else { Progress::Idle })
    }

    fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.writer.lines(lines)
    }

    /// Raises the alert that events were lost.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn alert_of_loss(&mut self) -> io::Result<()> {
        self.counts.alerts += 1;
        let alert = EVENTS_LOST.alert(self.own, self.enricher.now());
        self.write(vec![Line::Alert(alert)])
    }

    /// Reports the losses until this sample that no event followed. All events that were
    /// read before it have to be dispatched already.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn losses_until(&mut self, sample: &Sample) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in self.enricher.losses_until(&sample.positions) {
            let Self {
                filter,
                rules,
                counts,
                ..
            } = self;
            report(event, filter, rules, counts, &mut lines);
        }
        for (name, why, count) in sample.missed_calls() {
            let known = self.missed.iter_mut();
            let mut known = known.filter(|(one, of, _)| (*one, *of) == (name, why));
            let before = match known.next() {
                Some((.., before)) => std::mem::replace(before, count),
                None => {
                    self.missed.push((name, why, count));
                    0
                }
            };
            if count > before {
                lines.push(self.missed_event(name, why, count - before));
            }
        }
        self.write(lines)
    }

    fn missed_event(&mut self, name: &'static str, why: MissReason, count: u64) -> Line {
        self.counts.lost += count;
        Line::Missed(MissedEvent {
            time: self.enricher.now(),
            backend: name.into(),
            why,
            count,
        })
    }

    /// Writes the counters, in JSON alone.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn health(
        &mut self,
        sample: &Sample,
        mismatches: &[Mismatch],
        ended: bool,
    ) -> io::Result<()> {
        let health = Health::of(
            sample,
            mismatches,
            self.enricher.forgotten(),
            priority::own(),
            self.enricher.now(),
            ended,
        );
        self.write(vec![Line::Health(Box::new(health))])
    }
}

/// Applies rules and filter to an event, and keeps it and its alerts if it passes.
fn report(
    event: OutputEvent,
    filter: &mut ActiveFilter,
    rules: &mut Rules,
    counts: &mut Counts,
    lines: &mut Vec<Line>,
) {
    match &event {
        OutputEvent::Lost(lost) => counts.lost += lost.count,
        OutputEvent::Gap(_) => counts.gaps += 1,
        _ => {}
    }
    let alerts = rules.evaluate(&event);
    if !filter.matches(&event) {
        return;
    }
    counts.reported += 1;
    counts.alerts += u64::try_from(alerts.len()).unwrap_or_default();
    lines.push(event.into());
    lines.extend(alerts.into_iter().map(Line::Alert));
}

#[cfg(test)]
mod tests;
