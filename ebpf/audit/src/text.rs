//! A line an event, for people: aligned, coloured on a terminal only.

use std::fmt::Write as _;

use crate::container::{Container, Place};
use crate::crossing::Crossed;
use crate::judge::Class;
use crate::record::{Actor, GapLine, LineageLine, MissedLine, NamespaceLine};
use crate::rules::{Alert, Severity};
use crate::slots::SlotSet;
use crate::story::Told;

/// How lines look.
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
    /// The line, without its end; none for what only JSON tells.
    #[must_use]
    pub fn line(self, told: &Told) -> Option<String> {
        match told {
            Told::Namespace(line, class) => Some(self.namespace(line, *class)),
            Told::Gap(line) => Some(self.gap(line)),
            Told::Lineage(line) => Self::lineage(line),
            Told::Lost(line) => Some(self.painted(
                RED,
                &format!(
                    "{} LOST        {} events of the {} ring, processor {}",
                    time(line.envelope.ts_wall_ms),
                    line.count,
                    line.ring,
                    line.envelope.cpu
                ),
            )),
        }
    }

    /// Calls that no probe saw.
    #[must_use]
    pub fn missed(self, line: &MissedLine) -> String {
        let text = format!(
            "{} LOST        {} calls not seen by {} ({})",
            time(line.ts_wall_ms),
            line.count,
            line.backend,
            line.why
        );
        self.painted(RED, &text)
    }

    fn namespace(self, line: &NamespaceLine, class: Class) -> String {
        let colour = match class {
            Class::JoinHost => Some(RED),
            Class::Denied | Class::Nested => Some(YELLOW),
            Class::JoinOther | Class::Create => Some(GREEN),
            Class::Noop => None,
        };
        let op = &line.op;
        let mut call = op.syscall.to_owned();
        if op.abi != "native" {
            // Writing to a String cannot fail.
            let _ = write!(call, "[{}]", op.abi);
        }
        let _ = write!(call, "({})", op.flags.names().collect::<Vec<_>>().join("|"));
        match &op.errno {
            Some(errno) => {
                let _ = write!(call, " = {errno}");
            }
            None if line.ns.changed.is_empty() => {}
            None => {
                let _ = write!(call, " -> {}", join(line.ns.changed));
            }
        }
        if let Some(child) = &line.child {
            let _ = write!(call, ", child {}", child.tgid);
        }
        if let Some(claimed) = &line.actor.nsexec {
            let _ = write!(call, "  [nsexec, policy {}]", escaped(&claimed.policy));
        }
        if let Some(place) = place(line) {
            let _ = write!(call, "  ({place})");
        }
        let name = class.name();
        let what = match colour {
            Some(colour) => self.painted(colour, &format!("{name:<11}")),
            None => format!("{name:<11}"),
        };
        format!(
            "{} {what} {} {call}",
            time(line.envelope.ts_wall_ms),
            who(&line.actor)
        )
    }

    fn gap(self, line: &GapLine) -> String {
        let text = format!(
            "{} GAP         {:<7} changed unseen before its {}: {}",
            time(line.envelope.ts_wall_ms),
            line.tid,
            line.found_at,
            join(line.ns.changed)
        );
        self.painted(RED, &text)
    }

    /// Of the lineage, the programs that are executed.
    fn lineage(line: &LineageLine) -> Option<String> {
        let argv = line.argv.as_ref()?;
        let words: Vec<String> = argv.iter().map(|word| escaped(word)).collect();
        Some(format!(
            "{} exec        {} {}",
            time(line.envelope.ts_wall_ms),
            who(&line.actor),
            words.join(" ")
        ))
    }

    /// An alert, beneath what raised it.
    #[must_use]
    pub fn alert(self, alert: &Alert) -> String {
        let colour = if alert.severity >= Severity::High {
            RED
        } else {
            YELLOW
        };
        let text = format!(
            "{} ALERT       {:<7} {} ({:?}, {}): {}",
            time(alert.ts_wall_ms),
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

/// The container that it happened in, or the border that was crossed; of the host's own
/// doings none.
fn place(line: &NamespaceLine) -> Option<String> {
    let short = |container: &Container| {
        let (runtime, id) = (container.runtime.name(), container.short_id());
        format!("{runtime} {}", escaped(id))
    };
    let named = |place: &Place| match place {
        Place::Host => "host".to_owned(),
        Place::Unknown => "unknown".to_owned(),
        Place::Container(container) => short(container),
    };
    let passage = &line.passage;
    let to = passage.entered.as_deref().map(short);
    match (passage.crossed, to) {
        (Some(Crossed::OutOf), _) => Some(format!("{}->host", named(&passage.from))),
        (Some(_), Some(to)) => Some(format!("{}->{to}", named(&passage.from))),
        (None, Some(to)) if passage.from == Place::Unknown => Some(format!("unknown->{to}")),
        _ => {
            let own = &line.actor.cgroup.place;
            (*own != Place::Host).then(|| named(own))
        }
    }
}

fn who(actor: &Actor) -> String {
    format!(
        "{:<7} {:<6} {:<17}",
        actor.tgid,
        actor.uid,
        escaped(&actor.comm)
    )
}

/// Of the day, in UTC.
fn time(wall_ms: i64) -> String {
    let of_day = wall_ms.rem_euclid(86_400_000);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000
    )
}

/// Longest name or word that is shown, in characters.
const MAX_SHOWN: usize = 64;

/// What a process chose itself: nothing of it reaches a terminal as a command, and
/// a space in it is told from one between words.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            shown.push('…');
            break;
        }
        match c {
            ' ' => shown.push_str("\\ "),
            c if c.is_control() || c == '\u{fffd}' || !is_plain(c) => {
                shown.extend(c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that do not change how others are shown (no direction marks, no
/// zero width).
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() || c.is_alphanumeric()
}

fn join(slots: SlotSet) -> String {
    slots.names().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        assert_eq!(escaped("sh"), "sh");
        assert_eq!(escaped("a b"), "a\\ b");
        assert_eq!(escaped("\u{1b}[31m"), "\\u{1b}[31m");
        assert_eq!(escaped("\n\u{202e}x"), "\\n\\u{202e}x");
        assert_eq!(escaped("größe"), "größe");
        assert_eq!(escaped(&"x".repeat(100)).chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn times_are_those_of_the_day() {
        assert_eq!(time(0), "00:00:00.000");
        assert_eq!(time(86_399_999), "23:59:59.999");
        assert_eq!(time(-1), "23:59:59.999");
    }
}
