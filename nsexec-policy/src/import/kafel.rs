//! Policies in kafel, the language of nsjail.
//!
//! The first rule that matches decides there, and here the strictest: from a
//! rule that is stricter than one before it, the conditions of that one are
//! taken away. An argument that kafel knows to have four bytes is compared by
//! its lower half, which the native form writes as a mask.

mod arguments;
mod expression;
mod lexer;
mod parser;

use std::collections::{BTreeMap, HashSet};

use nsexec_policy_engine::seccomp::profile::Action;

use super::logic::{Alternatives, Logic, TooMany, always};
use super::{Entry, Fault, Imported, MAX_ENTRIES, Note, Reason, text_of};
use parser::{Program, Rule, Written};

/// EPERM: what answers in the place of a process that is not there.
const EPERM: Action = Action::Errno(1);

/// The policy of a kafel file.
///
/// # Errors
/// The first thing in it that has no meaning here, or more alternatives than
/// entries are made.
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
        let reason = Reason::Empty("the policy");
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
        reason: Reason::TooManyEntries,
    }
}

/// What does the same here; what needs another process is denied.
fn native(written: Written, default: Action) -> Action {
    match written {
        Written::Native(action) => action,
        Written::Trap(_) => Action::Trap,
        Written::Supervised(_) if matches!(default, Action::Allow | Action::Log) => EPERM,
        Written::Supervised(_) => default,
    }
}

/// For each place of the order, when its rule is the one that decides.
fn outcomes(
    program: &Program<'_>,
    default: Action,
    logic: &mut Logic,
) -> Result<Vec<Alternatives>, Fault> {
    let mut by_call: BTreeMap<&str, Vec<(usize, &Rule<'_>)>> = BTreeMap::new();
    let mut decided = HashSet::new();
    for (place, index) in program.order.iter().enumerate() {
        // Behind a rule without conditions, no other of the call is asked.
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
        // What the default says in any case needs no entry at the end.
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

/// When a rule applies, and none before it that would lose against it here.
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

/// The entries in the order of the text; the calls of a block that are without
/// conditions are one.
fn entries(
    program: &Program<'_>,
    default: Action,
    outcomes: Vec<Alternatives>,
    lines: &Lines,
    logic: &mut Logic,
) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    // Where the entry of a block's calls without conditions is.
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

/// What of the used rules and the default is not the same here.
fn notes(program: &Program<'_>, lines: &Lines) -> Vec<Note> {
    let used = program.order.iter().filter_map(|at| program.rules.get(*at));
    let mut written: Vec<(usize, Written)> = used.map(|rule| (rule.block, rule.action)).collect();
    written.extend(program.default.map(|(action, at)| (at, action)));
    written.sort_unstable_by_key(|(at, _)| *at);
    written.dedup_by_key(|(at, _)| *at);
    let mut notes = Vec::new();
    let mut trapped = false;
    for (at, action) in written {
        let text = match action {
            Written::Native(_) => continue,
            Written::Trap(0) => continue,
            Written::Trap(_) if trapped => continue,
            Written::Trap(number) => {
                trapped = true;
                format!("TRAP({number}): the signal comes without its number")
            }
            Written::Supervised(name) => {
                format!("{name} needs a process that answers; the calls are denied instead")
            }
        };
        let line = lines.of(at);
        notes.push(Note { line, text });
    }
    notes
}

/// Where the lines end: counting anew for each rule of a long text takes long.
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
