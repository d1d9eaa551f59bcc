//! A line for people for each event: aligned, and coloured on a terminal only.

use std::fmt::Write as _;

use nsexec_audit_abi::code::Abi;

use super::escape::escape_text;
use super::event_json::Line;
use crate::clock::time_of_day;
use crate::model::container::{Container, Place};
use crate::model::event::{
    Alert, Boundary, Class, GapEvent, LineageEvent, LostEvent, MissedEvent, NamespaceEvent,
    Severity,
};
use crate::model::namespaces::SlotSet;
use crate::model::process::Actor;

/// The style of the lines.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub colour: bool,
}

const RED: &str = "\x1b[31m";
pub(crate) const YELLOW: &str = "\x1b[33m";
pub(crate) const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// The names of the columns.
pub const HEAD: &str = "TIME         WHAT        PID     UID    PROGRAM           CALL";

impl Text {
    /// The line without its end; none of the kinds that only JSON has.
    #[must_use]
    pub fn line(self, line: &Line) -> Option<String> {
        match line {
            Line::NsJoin(event)
            | Line::NsCreate(event)
            | Line::NsDenied(event)
            | Line::NsNoop(event) => Some(self.namespace(event)),
            Line::NsGap(gap) => Some(self.gap(gap)),
            Line::Exec(event) => Self::exec(event),
            Line::Lost(lost) => Some(self.lost(lost)),
            Line::Missed(missed) => Some(self.missed(missed)),
            Line::Alert(alert) => Some(self.alert(alert)),
            Line::Start(_) | Line::Fork(_) | Line::Exit(_) | Line::Health(_) => None,
        }
    }

    fn lost(self, lost: &LostEvent) -> String {
        let text = format!(
            "{} LOST        {} events of the {} ring, processor {}",
            time_of_day(lost.envelope.ts_wall_ms),
            lost.count,
            lost.ring.name(),
            lost.envelope.cpu
        );
        self.painted(RED, &text)
    }

    fn missed(self, missed: &MissedEvent) -> String {
        let text = format!(
            "{} LOST        {} calls not seen by {} ({})",
            time_of_day(missed.time.ts_wall_ms),
            missed.count,
            missed.backend,
            missed.why.name()
        );
        self.painted(RED, &text)
    }

    fn namespace(self, event: &NamespaceEvent) -> String {
        let name = format!("{:<11}", event.class.name());
        let name = match event.class {
            Class::JoinHost => self.painted(RED, &name),
            Class::Denied | Class::Nested => self.painted(YELLOW, &name),
            Class::JoinOther | Class::Create => self.painted(GREEN, &name),
            Class::Noop => name,
        };
        format!(
            "{} {name} {} {}",
            time_of_day(event.envelope.ts_wall_ms),
            actor(&event.actor),
            call(event)
        )
    }

    fn gap(self, gap: &GapEvent) -> String {
        let text = format!(
            "{} GAP         {:<7} changed unseen before its {}: {}",
            time_of_day(gap.envelope.ts_wall_ms),
            gap.tid,
            gap.found_at.name(),
            join(gap.ns.changed)
        );
        self.painted(RED, &text)
    }

    fn exec(event: &LineageEvent) -> Option<String> {
        let argv = event.argv.as_ref()?;
        let words: Vec<String> = argv.iter().map(|word| escape_text(word)).collect();
        Some(format!(
            "{} exec        {} {}",
            time_of_day(event.envelope.ts_wall_ms),
            actor(&event.actor),
            words.join(" ")
        ))
    }

    /// An alert, beneath the line that raised it.
    fn alert(self, alert: &Alert) -> String {
        let colour = if alert.severity >= Severity::High {
            RED
        } else {
            YELLOW
        };
        let text = format!(
            "{} ALERT       {:<7} {} ({:?}, {}): {}",
            time_of_day(alert.time.ts_wall_ms),
            alert.tgid,
            alert.rule,
            alert.severity,
            alert.mitre,
            alert.about
        );
        self.painted(colour, &text)
    }

    pub(crate) fn painted(self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// The call and its result.
fn call(event: &NamespaceEvent) -> String {
    let op = &event.op;
    let mut call = op.syscall.name().to_owned();
    // Writing to a String cannot fail.
    if op.abi != Abi::Native {
        let _ = write!(call, "[{}]", op.abi.name());
    }
    let _ = write!(call, "({})", op.flags.joined());
    match &op.errno {
        Some(errno) => {
            let _ = write!(call, " = {errno}");
        }
        None if event.ns.changed.is_empty() => {}
        None => {
            let _ = write!(call, " -> {}", join(event.ns.changed));
        }
    }
    if let Some(child) = &event.child {
        let _ = write!(call, ", child {}", child.tgid);
    }
    if let Some(claim) = &event.actor.nsexec {
        let _ = write!(call, "  [nsexec, policy {}]", escape_text(&claim.policy));
    }
    if let Some(place) = place(event) {
        let _ = write!(call, "  ({place})");
    }
    call
}

/// The container of the caller, or the boundary that it crossed; none of the host's own
/// processes.
fn place(event: &NamespaceEvent) -> Option<String> {
    let short = |container: &Container| {
        let (runtime, id) = (container.runtime.name(), container.short_id());
        format!("{runtime} {}", escape_text(id))
    };
    let named = |place: &Place| match place {
        Place::Host => "host".to_owned(),
        Place::Unknown => "unknown".to_owned(),
        Place::Container(container) => short(container),
    };
    let crossing = &event.crossing;
    let to = crossing.entered.as_deref().map(short);
    match (crossing.boundary, to) {
        (Some(Boundary::Escape), _) => Some(format!("{}->host", named(&crossing.from))),
        (Some(_), Some(to)) => Some(format!("{}->{to}", named(&crossing.from))),
        (None, Some(to)) if crossing.from == Place::Unknown => Some(format!("unknown->{to}")),
        _ => {
            let own = &event.actor.cgroup.place;
            (*own != Place::Host).then(|| named(own))
        }
    }
}

fn actor(actor: &Actor) -> String {
    format!(
        "{:<7} {:<6} {:<17}",
        actor.tgid,
        actor.uid,
        escape_text(&actor.comm)
    )
}

fn join(slots: SlotSet) -> String {
    slots.names().collect::<Vec<_>>().join(" ")
}
