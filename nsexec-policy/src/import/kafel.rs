//! Policies in kafel, the language of nsjail.
//!
//! In kafel the first matching rule decides; in nsexec the strictest. So the
//! importer subtracts the conditions of earlier rules from a stricter later
//! rule. kafel compares only the lower half of arguments it knows as 32 bits;
//! the native form expresses this with a mask.

mod arguments;
mod expression;
mod lexer;
mod parser;

use std::collections::{BTreeMap, HashSet};

use nsexec_policy_engine::seccomp::profile::Action;

use super::logic::{Alternatives, Logic, TooMany, always};
use super::{Entry, Fault, ImportErrorKind, Imported, MAX_ENTRIES, Note, text_of};
use parser::{Program, RawAction, Rule};

/// EPERM: the answer instead of an action that needs another process.
const EPERM: Action = Action::Errno(1);

/// The policy of a kafel file.
///
/// # Errors
/// The first part without an equivalent here, or a policy with more alternatives than
/// [`MAX_ENTRIES`].
pub fn read(text: &[u8]) -> Result<Imported, Fault> {
    let text = text_of(text)?;
    let tokens = lexer::tokens(text)?;
    let program = parser::parse(&tokens, text.len())?;
    let default = match program.default {
        None => Action::KillThread,
        Some((written, _)) => native(written, EPERM),
    };
    let lines = Lines::new(text);
    let mut logic = Logic::new(MAX_ENTRIES);
    let outcomes = outcomes(&program, default, &mut logic)?;
    let entries = entries(&program, default, outcomes, &lines, &mut logic)?;
    if entries.is_empty() {
        let reason = ImportErrorKind::Empty("the policy");
        let span = 0..text.len();
        return Err(Fault { span, reason });
    }
    Ok(Imported {
        default,
        entries,
        notes: notes(&program, &lines),
    })
}

fn too_many(rule: &Rule<'_>) -> Fault {
    Fault {
        span: rule.span.clone(),
        reason: ImportErrorKind::TooManyEntries,
    }
}

/// The equivalent action; an action that needs another process becomes a denial.
fn native(written: RawAction, default: Action) -> Action {
    match written {
        RawAction::Native(action) => action,
        RawAction::Trap(_) => Action::Trap,
        RawAction::Supervised(_) if matches!(default, Action::Allow | Action::Log) => EPERM,
        RawAction::Supervised(_) => default,
    }
}

/// For each rule in order, the condition under which it decides.
fn outcomes(
    program: &Program<'_>,
    default: Action,
    logic: &mut Logic,
) -> Result<Vec<Alternatives>, Fault> {
    let mut by_call: BTreeMap<&str, Vec<(usize, &Rule<'_>)>> = BTreeMap::new();
    let mut decided = HashSet::new();
    for (place, index) in program.order.iter().enumerate() {
        // After a rule without conditions, no further rule of the call applies.
        if let Some(rule) = program.rules.get(*index)
            && !decided.contains(rule.call)
        {
            by_call.entry(rule.call).or_default().push((place, rule));
            if rule.when.is_none() {
                decided.insert(rule.call);
            }
        }
    }
    let mut outcomes = vec![Vec::new(); program.order.len()];
    for mut rules in by_call.into_values() {
        // Final rules equal to the default need no entry.
        while rules.len() > 1
            && let Some((_, last)) = rules.last()
            && native(last.action, default) == default
        {
            rules.pop();
        }
        for (at, (place, rule)) in rules.iter().enumerate() {
            let earlier = rules.iter().take(at).map(|(_, rule)| *rule);
            let when = decides(rule, earlier, default, logic);
            let when = when.map_err(|TooMany| too_many(rule))?;
            if let Some(outcome) = outcomes.get_mut(*place) {
                *outcome = when;
            }
        }
    }
    Ok(outcomes)
}

/// The condition under which a rule applies and no earlier rule applies that would lose
/// against it here.
fn decides<'a>(
    rule: &Rule<'_>,
    earlier: impl Iterator<Item = &'a Rule<'a>>,
    default: Action,
    logic: &mut Logic,
) -> Result<Alternatives, TooMany> {
    let mut when = match &rule.when {
        None => always(),
        Some(expression) => expression.alternatives(false, logic)?,
    };
    let action = native(rule.action, default);
    for other in earlier {
        if when.is_empty() {
            break;
        }
        let other_action = native(other.action, default);
        if other_action == action || other_action.strictness() > action.strictness() {
            continue;
        }
        let not = match &other.when {
            None => Vec::new(),
            Some(expression) => expression.alternatives(true, logic)?,
        };
        when = logic.both(&when, &not)?;
    }
    Ok(when)
}

/// The entries in the order of the text; calls of a block without conditions share one
/// entry.
fn entries(
    program: &Program<'_>,
    default: Action,
    outcomes: Vec<Alternatives>,
    lines: &Lines,
    logic: &mut Logic,
) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    // The entry of the block's calls without conditions.
    let mut whole: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, outcome) in program.order.iter().zip(outcomes) {
        let Some(rule) = program.rules.get(*index) else {
            continue;
        };
        let conjunctions = logic.conditions(&outcome);
        for conditions in conjunctions.map_err(|TooMany| too_many(rule))? {
            let always = conditions.is_empty();
            if always
                && let Some(entry) = whole.get(&rule.block).and_then(|at| entries.get_mut(*at))
            {
                entry.names.push(rule.call.to_owned());
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Err(too_many(rule));
            }
            if always {
                whole.insert(rule.block, entries.len());
            }
            let start = if always { rule.block } else { rule.span.start };
            entries.push(Entry {
                names: vec![rule.call.to_owned()],
                action: native(rule.action, default),
                conditions,
                comment: Some(format!("line {}", lines.of(start))),
            });
        }
    }
    Ok(entries)
}

/// Notes about used rules and a default without an exact equivalent.
fn notes(program: &Program<'_>, lines: &Lines) -> Vec<Note> {
    let used = program.order.iter().filter_map(|at| program.rules.get(*at));
    let mut written: Vec<(usize, RawAction)> = used.map(|rule| (rule.block, rule.action)).collect();
    written.extend(program.default.map(|(action, at)| (at, action)));
    written.sort_unstable_by_key(|(at, _)| *at);
    written.dedup_by_key(|(at, _)| *at);
    let mut notes = Vec::new();
    let mut trapped = false;
    for (at, action) in written {
        let text = match action {
            RawAction::Native(_) => continue,
            RawAction::Trap(0) => continue,
            RawAction::Trap(_) if trapped => continue,
            RawAction::Trap(number) => {
                trapped = true;
                format!("TRAP({number}): the signal has no number")
            }
            RawAction::Supervised(name) => {
                format!("{name} needs a process that answers; the calls are denied instead")
            }
        };
        let line = lines.of(at);
        notes.push(Note { line, text });
    }
    notes
}

/// The offsets of line ends: counting from the start for each rule is quadratic.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn of(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

#[cfg(test)]
mod tests;
