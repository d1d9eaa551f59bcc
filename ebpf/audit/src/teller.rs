//! What is told, line by line.

use std::io;

use serde::Serialize;

use crate::account::{Broken, Sample, Why};
use crate::arguments::Format;
use crate::chain::{self, Chained};
use crate::filter::Filtering;
use crate::json;
use crate::lineage::Process;
use crate::lines;
use crate::output::Output;
use crate::record::{ExecId, MissedLine};
use crate::rules::{Alert, Rules, Severity};
use crate::story::{Story, Told};
use crate::text::{HEAD, Text};

/// How many events are told before the rings are looked at again: far fewer than fit
/// into one, or it is full before the last of them is written.
pub const BATCH: usize = 256;

/// What is told, and how much of it there was.
#[derive(Debug)]
pub struct Teller<'a> {
    pub story: Story,
    pub filtering: Filtering,
    pub rules: Rules,
    pub format: Format,
    pub colour: bool,
    pub out: Output<'a>,
    /// Of the lines of JSON.
    pub chained: Chained,
    pub counts: Counts,
    /// What was told of calls that no probe saw.
    pub unseen: Vec<(&'static str, Why, u64)>,
    /// The auditor itself, in alerts.
    pub own: Process,
    /// Room for a line, before its end is known and whole.
    pub open: Vec<u8>,
    pub whole: Vec<u8>,
}

/// Of what was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub told: u64,
    pub gaps: u64,
    pub lost: u64,
    pub alerts: u64,
    /// Sums that do not agree.
    pub broken: u64,
}

impl Counts {
    /// Everything that counts as a loss.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.lost + self.broken
    }
}

impl Teller<'_> {
    /// The first line of a file: the names of the columns, or what the other lines are
    /// read with.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => self.put(HEAD.as_bytes()),
            Format::Json => {
                let last = self.chained.last();
                let mut start = self.story.start();
                start.continues = (last != chain::BEGINNING).then(|| chain::hex(last));
                let mut line = Vec::new();
                lines::write(&start, &mut line)?;
                self.put(&line)
            }
        }
    }

    /// Begins another file; without one, nothing.
    ///
    /// # Errors
    /// It cannot be put aside, or written.
    pub fn rotate(&mut self) -> io::Result<()> {
        if self.out.rotate()? {
            self.begin()?;
        }
        Ok(())
    }

    /// One line without its end, in this file or, where it does not fit, the next.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.out.is_full(line.len() + chain::ADDED) {
            self.rotate()?;
        }
        self.put(line)
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        self.whole.clear();
        match self.format {
            Format::Json => self.chained.write(line, &mut self.whole)?,
            Format::Text => {
                self.whole.extend_from_slice(line);
                self.whole.push(b'\n');
            }
        }
        self.out.line(&self.whole)
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = Vec::new();
        lines::write(value, &mut line)?;
        self.line(&line)
    }

    /// Tells what can be told by now, at most [`BATCH`] events of it; whether that was
    /// all. `ended`: no event comes any more.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn tell(&mut self, ended: bool) -> io::Result<bool> {
        let mut all = Vec::new();
        let mut keep = |told| {
            all.push(told);
            Ok::<(), io::Error>(())
        };
        let mut more = true;
        for _ in 0..BATCH {
            more = self.story.tell(ended, &mut keep)?;
            if !more {
                break;
            }
        }
        all.into_iter().try_for_each(|told| self.one(&told))?;
        Ok(!more)
    }

    fn one(&mut self, told: &Told) -> io::Result<()> {
        match told {
            Told::Lost(line) => self.counts.lost += line.count,
            Told::Gap(_) => self.counts.gaps += 1,
            _ => {}
        }
        let alerts = self.rules.judge(told);
        if !self.filtering.passes(told) {
            return Ok(());
        }
        self.counts.told += 1;
        let text = self.text();
        match self.format {
            Format::Json => {
                let mut line = std::mem::take(&mut self.open);
                line.clear();
                told.write_json(&mut line)?;
                self.line(&line)?;
                self.open = line;
            }
            Format::Text => {
                if let Some(line) = text.line(told) {
                    self.line(line.as_bytes())?;
                }
            }
        }
        alerts.iter().try_for_each(|alert| self.alert(alert))
    }

    fn text(&self) -> Text {
        Text {
            colour: self.colour,
        }
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.counts.alerts += 1;
        let text = self.text();
        match self.format {
            Format::Json => self.json(alert),
            Format::Text => self.line(text.alert(alert).as_bytes()),
        }
    }

    /// Raises an alert: what is told is not all that happened.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn alert_of_loss(&mut self) -> io::Result<()> {
        let (ts_boot_ns, ts_wall_ms) = self.story.now();
        self.alert(&Alert {
            kind: "alert",
            ts_boot_ns,
            ts_wall_ms,
            rule: "events-lost",
            severity: Severity::High,
            mitre: "T1562",
            about: "events were lost: what is told is not all that happened",
            exec_id: ExecId(self.own),
            tgid: self.own.tgid,
        })
    }

    /// Tells what was lost by `then` and that no event came after to tell of. What was
    /// read by then has to have been told.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn lost_until(&mut self, then: &Sample) -> io::Result<()> {
        let lost = self.story.lost_until(&then.positions);
        lost.into_iter().try_for_each(|told| self.one(&told))?;
        for (name, why, count) in then.unseen() {
            let known = self.unseen.iter_mut();
            let mut known = known.filter(|(one, of, _)| (*one, *of) == (name, why));
            let before = match known.next() {
                Some((.., before)) => std::mem::replace(before, count),
                None => {
                    self.unseen.push((name, why, count));
                    0
                }
            };
            if count > before {
                self.missed(name, why, count - before)?;
            }
        }
        Ok(())
    }

    fn missed(&mut self, name: &'static str, why: Why, count: u64) -> io::Result<()> {
        self.counts.lost += count;
        let (ts_boot_ns, ts_wall_ms) = self.story.now();
        let line = MissedLine {
            kind: "missed",
            ts_boot_ns,
            ts_wall_ms,
            backend: name,
            why: why.name(),
            count,
        };
        let text = self.text();
        match self.format {
            Format::Json => self.json(&line),
            Format::Text => self.line(text.missed(&line).as_bytes()),
        }
    }

    /// What was counted, for programs.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn health(&mut self, sample: &Sample, broken: &[Broken], ended: bool) -> io::Result<()> {
        if self.format == Format::Text {
            return Ok(());
        }
        let health = json::health(
            sample,
            broken,
            self.story.forgotten(),
            self.story.now(),
            ended,
        );
        self.json(&health)
    }
}
