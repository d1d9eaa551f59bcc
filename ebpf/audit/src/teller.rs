//! What is told, line by line.

use std::io;

use crate::account::{Broken, Sample, Why};
use crate::filter::Filtering;
use crate::json;
use crate::lineage::Process;
use crate::priority;
use crate::record::{ExecId, MissedLine};
use crate::rules::{Alert, Rules, Severity};
use crate::story::{Story, Told, now_ns};
use crate::writer::{Line, Writer};

/// How many events are told before the rings are looked at again: far fewer than fit
/// into one, or it is full before the last of them is written.
pub const BATCH: usize = 256;

/// What is told, and how much of it there was.
#[derive(Debug)]
pub struct Teller {
    pub story: Story,
    pub filtering: Filtering,
    pub rules: Rules,
    pub writer: Writer,
    pub counts: Counts,
    /// What was told of calls that no probe saw.
    pub unseen: Vec<(&'static str, Why, u64)>,
    /// The auditor itself, in alerts.
    pub own: Process,
}

/// What is still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nothing,
    More,
    /// Whatever there is: first the writer has to catch up.
    ForWriter,
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

impl Teller {
    /// Tells what can be told by now, at most [`BATCH`] events of it. `ended`: no event
    /// comes any more, and it is waited for the writer.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn tell(&mut self, ended: bool) -> io::Result<Left> {
        if !ended && !self.writer.has_room() {
            return Ok(Left::ForWriter);
        }
        let mut all = Vec::new();
        let mut more = true;
        let now_ns = (!ended).then(now_ns);
        for _ in 0..BATCH {
            let Self {
                story,
                filtering,
                rules,
                counts,
                ..
            } = self;
            more = story.tell(now_ns, |told| {
                one(told, filtering, rules, counts, &mut all);
            });
            if !more {
                break;
            }
        }
        self.write(all)?;
        Ok(if more { Left::More } else { Left::Nothing })
    }

    fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.writer.lines(lines)
    }

    /// Raises an alert: what is told is not all that happened.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn alert_of_loss(&mut self) -> io::Result<()> {
        let (ts_boot_ns, ts_wall_ms) = self.story.now();
        self.counts.alerts += 1;
        self.write(vec![Line::Alert(Alert {
            kind: "alert",
            ts_boot_ns,
            ts_wall_ms,
            rule: "events-lost",
            severity: Severity::High,
            mitre: "T1562",
            about: "events were lost: what is told is not all that happened",
            exec_id: ExecId(self.own),
            tgid: self.own.tgid,
        })])
    }

    /// Tells what was lost by `then` and that no event came after to tell of. What was
    /// read by then has to have been told.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn lost_until(&mut self, then: &Sample) -> io::Result<()> {
        let mut all = Vec::new();
        for told in self.story.lost_until(&then.positions) {
            let Self {
                filtering,
                rules,
                counts,
                ..
            } = self;
            one(told, filtering, rules, counts, &mut all);
        }
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
                all.push(self.missed(name, why, count - before));
            }
        }
        self.write(all)
    }

    fn missed(&mut self, name: &'static str, why: Why, count: u64) -> Line {
        self.counts.lost += count;
        let (ts_boot_ns, ts_wall_ms) = self.story.now();
        Line::Missed(MissedLine {
            kind: "missed",
            ts_boot_ns,
            ts_wall_ms,
            backend: name,
            why: why.name(),
            count,
        })
    }

    /// What was counted, for programs.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn health(&mut self, sample: &Sample, broken: &[Broken], ended: bool) -> io::Result<()> {
        let health = json::health(
            sample,
            broken,
            self.story.forgotten(),
            priority::own(),
            self.story.now(),
            ended,
        );
        self.write(vec![Line::Health(health)])
    }
}

/// Judges one thing, and keeps it and its alerts where it is asked for.
fn one(
    told: Told,
    filtering: &mut Filtering,
    rules: &mut Rules,
    counts: &mut Counts,
    lines: &mut Vec<Line>,
) {
    match &told {
        Told::Lost(line) => counts.lost += line.count,
        Told::Gap(_) => counts.gaps += 1,
        _ => {}
    }
    let alerts = rules.judge(&told);
    if !filtering.passes(&told) {
        return;
    }
    counts.told += 1;
    counts.alerts += u64::try_from(alerts.len()).unwrap_or_default();
    lines.push(Line::Told(told));
    lines.extend(alerts.into_iter().map(Line::Alert));
}

#[cfg(test)]
mod tests {
    use nsexec_audit_abi::Event;
    use nsexec_audit_abi::code::Syscall;

    use super::*;
    use crate::filter::Filter;
    use crate::lineage::tests::{call, namespace, task, vector};
    use crate::story::tests::story;
    use crate::writer::tests::full;

    #[test]
    fn what_the_writer_has_no_room_for_stays_where_it_waits() {
        let (writer, go) = full();
        let own = task(1, 1);
        let mut teller = Teller {
            story: story(),
            filtering: Filtering::new(Filter::default(), own.tgid),
            rules: Rules::without(&[]),
            writer,
            counts: Counts::default(),
            unseen: Vec::new(),
            own: Process::of(&own),
        };
        let call = namespace(task(5, 1), call(Syscall::Setns, 0), vector(1), vector(1));
        teller.story.push(Event::Namespace(call));
        let (left, told) = (teller.tell(false), teller.counts.told);
        // Before anything fails: its end is waited for.
        drop(go);
        assert_eq!((left.unwrap(), told), (Left::ForWriter, 0));
        assert_eq!(teller.tell(true).unwrap(), Left::Nothing);
        assert_eq!(teller.counts.told, 1);
    }
}
