//! A tree, drawn.

use std::fmt::Write as _;

use super::{Node, Set, Tree};
use crate::enrich::enricher::KTHREADD;
use crate::model::container::Place;
use crate::model::process::comm;
use crate::output::escape::escape_text;
use crate::output::text::{GREEN, Text, YELLOW};

/// The maximum indentation: deeper processes are drawn at this depth, so that lines have a
/// bounded length for any chain of children.
const DEEPEST: usize = 24;

/// The rightmost start of the user's column.
const WIDEST: usize = 56;

/// A process before its columns are aligned.
struct Line<'a> {
    head: String,
    node: &'a Node,
}

impl Tree {
    /// Lines for people, each with its end. Text that a process chose is escaped.
    #[must_use]
    pub fn text(&self, style: Text) -> String {
        let sets: Vec<Vec<Line<'_>>> = self.sets.iter().map(|set| self.lines(set)).collect();
        let width = |line: &Line<'_>| line.head.chars().count();
        let widest = sets.iter().flatten().map(width).max().unwrap_or_default();
        let widest = widest.min(WIDEST);
        let kernels = self.nodes.iter().filter(|node| node.is_kernels).count();
        let mut text = String::new();
        for (number, (set, lines)) in self.sets.iter().zip(sets).enumerate() {
            if number > 0 {
                text.push('\n');
            }
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", title(number, set, style));
            for (slot, (inum, id)) in set.shown() {
                let name = slot.name();
                let _ = match id {
                    0 => writeln!(text, "    {name:<18}{inum}"),
                    id => writeln!(text, "    {name:<18}{inum:<12}{id}"),
                };
            }
            for Line { head, node } in lines {
                let exe = match &node.exe {
                    Some(exe) => escape_text(exe),
                    None => "-".to_owned(),
                };
                let _ = write!(text, "{head:<widest$}  {:<6} {exe}", node.task.uid);
                if node.task.tgid == KTHREADD && kernels > 0 {
                    let _ = write!(text, "  and {kernels} kernel threads");
                }
                if node.is_first && !node.is_thread && node.parent != 0 {
                    let _ = write!(text, "  (parent {})", node.parent);
                }
                text.push('\n');
            }
        }
        text
    }

    /// The processes of a set, without kernel threads.
    fn lines(&self, set: &Set) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        // The nodes to draw, from the last; not by recursion, because other processes
        // decide the depth.
        let mut waiting: Vec<(usize, String, bool, usize)> = Vec::new();
        self.push(&mut waiting, &set.roots, "", 0);
        while let Some((number, before, is_last, depth)) = waiting.pop() {
            let Some(node) = self.nodes.get(number) else {
                continue;
            };
            let (corner, next) = if is_last {
                ("└─", "   ")
            } else {
                ("├─", "│  ")
            };
            let task = &node.task;
            let mut head = format!("{before}{corner} ");
            if depth > DEEPEST {
                head.push_str("… ");
            }
            let _ = match node.is_thread {
                true => write!(head, "{}/{} ", task.tgid, task.tid),
                false => write!(head, "{} ", task.tgid),
            };
            head.push_str(&escape_text(&comm(&node.task)));
            lines.push(Line { head, node });
            let before = if depth < DEEPEST {
                format!("{before}{next}")
            } else {
                before
            };
            self.push(&mut waiting, &node.children, &before, depth + 1);
        }
        lines
    }

    fn push(
        &self,
        waiting: &mut Vec<(usize, String, bool, usize)>,
        numbers: &[usize],
        before: &str,
        depth: usize,
    ) {
        let is_drawn = |number: &&usize| {
            self.nodes
                .get(**number)
                .is_some_and(|node| !node.is_kernels)
        };
        let drawn = numbers.iter().rev().filter(is_drawn).enumerate();
        waiting.extend(
            drawn.map(|(from_last, number)| (*number, before.to_owned(), from_last == 0, depth)),
        );
    }
}

fn title(number: usize, set: &Set, style: Text) -> String {
    let (name, colour) = match &set.place {
        Place::Host if set.from.is_none() => ("host".to_owned(), None),
        Place::Host => ("host".to_owned(), Some(YELLOW)),
        Place::Unknown => ("unknown".to_owned(), Some(YELLOW)),
        Place::Container(container) => {
            let (runtime, id) = (container.runtime.name(), container.short_id());
            let mut name = format!("{runtime} {}", escape_text(id));
            if let Some(pod) = &container.pod {
                let _ = write!(name, " (pod {})", escape_text(pod));
            }
            (name, Some(GREEN))
        }
    };
    let name = colour.map_or_else(|| name.clone(), |colour| style.painted(colour, &name));
    match set.from {
        None => format!("[{number}] {name}"),
        Some(from) if set.differs.is_empty() => {
            format!("[{number}] {name}, in the namespaces of [{from}]")
        }
        Some(from) => format!(
            "[{number}] {name}, from [{from}]: {}",
            set.differs.names().collect::<Vec<_>>().join(" ")
        ),
    }
}
