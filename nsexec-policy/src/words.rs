//! Rules in words.

use std::collections::BTreeMap;

use nsexec_policy_engine::seccomp::errno;
use nsexec_policy_engine::seccomp::evaluate::Decider;
use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use nsexec_policy_engine::seccomp::table::Arch;

/// How wide a line of names is.
const WIDTH: usize = 96;

/// An action in words: `EPERM`, `killed`.
pub(crate) fn action(action: Action) -> String {
    match action {
        Action::Allow => "allowed".to_owned(),
        Action::Log => "allowed and logged".to_owned(),
        Action::Errno(number) => match errno::name(number.into()) {
            Some(name) => name.to_owned(),
            None => format!("errno {number}"),
        },
        Action::Trap => "SIGSYS".to_owned(),
        Action::KillThread => "the thread is killed".to_owned(),
        Action::KillProcess => "the process is killed".to_owned(),
    }
}

/// `argument 1 is 0x5412`
pub(crate) fn condition(condition: &Condition) -> String {
    let argument = condition.argument;
    match condition.comparison {
        Comparison::Equal(value) => format!("argument {argument} is {value:#x}"),
        Comparison::NotEqual(value) => format!("argument {argument} is not {value:#x}"),
        Comparison::Less(value) => format!("argument {argument} is below {value:#x}"),
        Comparison::LessOrEqual(value) => format!("argument {argument} is at most {value:#x}"),
        Comparison::Greater(value) => format!("argument {argument} is above {value:#x}"),
        Comparison::GreaterOrEqual(value) => format!("argument {argument} is at least {value:#x}"),
        Comparison::Masked { mask, value } if mask == value => {
            format!("argument {argument} has {mask:#x} set")
        }
        Comparison::Masked { mask, value: 0 } => {
            format!("argument {argument} has none of {mask:#x}")
        }
        Comparison::Masked { mask, value } => {
            format!("argument {argument} & {mask:#x} is {value:#x}")
        }
    }
}

/// A profile's answers to each call of the table.
#[derive(Debug)]
pub(crate) struct Calls {
    /// Calls with one answer for all arguments, by answer; strictest last.
    pub(crate) always: BTreeMap<(u8, String), Vec<&'static str>>,
    /// The other calls, with their rules in words and their default answer.
    pub(crate) conditional: Vec<(&'static str, Vec<String>, String)>,
    /// The answers to calls that the text does not name, and their number.
    pub(crate) others: BTreeMap<(u8, String), usize>,
}

impl Calls {
    pub(crate) fn of(profile: &Profile, arch: Arch) -> Self {
        let mut calls = Self {
            always: BTreeMap::new(),
            conditional: Vec::new(),
            others: BTreeMap::new(),
        };
        let mut known = arch.calls().to_vec();
        known.sort_unstable();
        for (name, number) in known {
            let rules: Vec<&Rule> = profile
                .rules
                .iter()
                .filter(|rule| rule.syscall == number)
                .collect();
            // With no argument known, each rule with conditions may match.
            let (strictest, decider) = profile.decide(arch, number, &[None; 6]);
            let key = |action: Action| (action.strictness(), self::action(action));
            if rules.is_empty() {
                *calls.others.entry(key(strictest)).or_default() += 1;
                continue;
            }
            let whole = rules
                .iter()
                .filter(|rule| rule.when == When::Always)
                .map(|rule| rule.action.strictness())
                .max();
            let decides = |rule: &&&Rule| {
                rule.when != When::Always
                    && whole.is_none_or(|whole| rule.action.strictness() > whole)
            };
            let deciding: Vec<&&Rule> = rules.iter().filter(decides).collect();
            if deciding.is_empty() || matches!(decider, Decider::UnknownCall) {
                calls.always.entry(key(strictest)).or_default().push(name);
                continue;
            }
            let mut lines: Vec<String> = Vec::new();
            for rule in deciding {
                let When::All(conditions) = &rule.when else {
                    continue;
                };
                let all: Vec<String> = conditions.iter().map(condition).collect();
                lines.push(format!(
                    "{} where {}",
                    self::action(rule.action),
                    all.join(" and ")
                ));
            }
            let otherwise = rules
                .iter()
                .filter(|rule| rule.when == When::Always)
                .map(|rule| rule.action)
                .reduce(Action::on_top_of)
                .unwrap_or_else(|| profile.otherwise(number));
            calls
                .conditional
                .push((name, lines, self::action(otherwise)));
        }
        calls
    }
}

/// Names in lines of at most [`WIDTH`] columns.
pub(crate) fn wrapped(indent: usize, names: &[&str]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (at, name) in names.iter().enumerate() {
        let last = at + 1 == names.len();
        let word = name.len() + usize::from(!last);
        if column == 0 || column + 1 + word > WIDTH {
            if column > 0 {
                text.push('\n');
            }
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(name);
        if !last {
            text.push(',');
        }
        column += word;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_wrapped_between_words() {
        let names = ["abcdefghij"; 20];
        let text = wrapped(2, &names);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(
            text.lines().count() == 3 && text.ends_with("abcdefghij\n"),
            "{text}"
        );
        assert_eq!(wrapped(1, &["a", "b"]), " a, b\n");
    }

    #[test]
    fn conditions_are_described_by_their_meaning() {
        let shown = |comparison| {
            condition(&Condition {
                argument: 2,
                comparison,
            })
        };
        let masked = |mask, value| shown(Comparison::Masked { mask, value });
        assert_eq!(masked(8, 8), "argument 2 has 0x8 set");
        assert_eq!(masked(8, 0), "argument 2 has none of 0x8");
        assert_eq!(masked(12, 8), "argument 2 & 0xc is 0x8");
        assert_eq!(shown(Comparison::Less(3)), "argument 2 is below 0x3");
    }
}
