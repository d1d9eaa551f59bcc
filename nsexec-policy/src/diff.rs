//! `diff`: lists the differences between two policies.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nsexec_policy_engine::policy::landlock_file::{self, Landlock};
use nsexec_policy_engine::policy::manifest::LayerSet;
use nsexec_policy_engine::policy::resolve::Parts;
use nsexec_policy_engine::policy::resolved::ResolvedPolicy;
use nsexec_policy_engine::seccomp::boundary;
use nsexec_policy_engine::seccomp::oci::Context;
use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Profile, When};
use nsexec_policy_engine::seccomp::table::Arch;

use crate::Done;
use crate::arguments::Words;
use crate::check::{Diagnostic, at, compiled};
use crate::input::{self, Input, Kind};
use crate::show::{process_lines, profile_of};
use crate::words;

pub(crate) fn run(words: &Words) -> Result<Done, String> {
    let [a, b] = words.operands.as_slice() else {
        return Err(format!(
            "diff needs two policies or files, not {}",
            words.operands.len()
        ));
    };
    let (a, b) = (Input::open(a, words)?, Input::open(b, words)?);
    let mut sides = Vec::with_capacity(2);
    for input in [&a, &b] {
        match Side::of(input, input::context(words, input)?) {
            Ok(side) => sides.push(side),
            // A failure, as in diff(1): there is nothing to compare.
            Err(wrong) => return Err(wrong.render().trim_end().to_owned()),
        }
    }
    let (Some(right), Some(left)) = (sides.pop(), sides.pop()) else {
        return Err("nothing to compare".to_owned());
    };
    let text = compared(&left, &right)
        .ok_or_else(|| format!("{} and {} are of different kinds", a.name, b.name))?;
    if text.is_empty() {
        return Ok(Done::default());
    }
    Ok(Done {
        stdout: format!("A: {}\nB: {}\n{text}", a.name, b.name),
        status: 1,
        ..Done::default()
    })
}

/// One of the two policies.
enum Side {
    Policy(Box<ResolvedPolicy>, Box<Parts>),
    Profile(Profile, Context),
    Rules(Landlock),
}

impl Side {
    fn of(input: &Input, context: Context) -> Result<Self, Diagnostic> {
        Ok(match input.kind {
            Kind::Policy => {
                let (policy, parts) = compiled(input, context)?;
                Self::Policy(Box::new(policy), Box::new(parts))
            }
            Kind::Profile => {
                let (_, profile, _) = profile_of(input, context)?;
                Self::Profile(profile, context)
            }
            Kind::Rules(form) => {
                let rules = landlock_file::parse(&input.text, form)
                    .map_err(|fault| at(input, fault.span.start, &fault.reason.to_string()))?;
                Self::Rules(rules)
            }
        })
    }
}

/// The differences; `None` if the two cannot be compared.
fn compared(a: &Side, b: &Side) -> Option<String> {
    Some(match (a, b) {
        (Side::Profile(a, context), Side::Profile(b, _)) => filters(Some(a), Some(b), context.arch),
        // A profile without a policy is compared with the program's.
        (Side::Profile(a, context), Side::Policy(_, parts)) => {
            filters(Some(a), profile(parts, LayerSet::Workload), context.arch)
        }
        (Side::Policy(_, parts), Side::Profile(b, context)) => {
            filters(profile(parts, LayerSet::Workload), Some(b), context.arch)
        }
        (Side::Rules(a), Side::Rules(b)) => domains(Some(a), Some(b)),
        (Side::Policy(a, a_parts), Side::Policy(b, b_parts)) => policies(a, a_parts, b, b_parts),
        _ => return None,
    })
}

fn profile(parts: &Parts, layer_set: LayerSet) -> Option<&Profile> {
    let part = parts
        .profiles
        .iter()
        .find(|part| part.layer_set == layer_set);
    part.map(|part| &part.profile)
}

fn rules(parts: &Parts, layer_set: LayerSet) -> Option<&Landlock> {
    let part = parts
        .landlock
        .iter()
        .find(|part| part.layer_set == layer_set);
    part.map(|part| &part.rules)
}

fn policies(a: &ResolvedPolicy, a_parts: &Parts, b: &ResolvedPolicy, b_parts: &Parts) -> String {
    let arch = a_parts.context.arch;
    let mut text = String::new();
    for (layer_set, name) in [
        (LayerSet::Ceiling, "ceiling"),
        (LayerSet::Workload, "program"),
    ] {
        let parts = [
            (
                "seccomp",
                filters(
                    profile(a_parts, layer_set),
                    profile(b_parts, layer_set),
                    arch,
                ),
            ),
            (
                "landlock",
                domains(rules(a_parts, layer_set), rules(b_parts, layer_set)),
            ),
        ];
        for (layer, differences) in parts {
            if !differences.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{name}, {layer}\n{differences}");
            }
        }
    }
    let lines = |policy: &ResolvedPolicy| process_lines(&policy.process, policy.preserve_fds);
    let mut settings = String::new();
    for ((what, a), (_, b)) in lines(a).into_iter().zip(lines(b)) {
        if a == b {
            continue;
        }
        if what == "capabilities" {
            let names = |list: &'_ str| -> BTreeSet<String> {
                let names = list.split(' ').filter(|name| *name != "none");
                names.map(str::to_owned).collect()
            };
            let (a, b) = (names(&a), names(&b));
            for (side, one, other) in [("A", &a, &b), ("B", &b, &a)] {
                let only: Vec<&str> = one.difference(other).map(String::as_str).collect();
                if !only.is_empty() {
                    let _ = writeln!(
                        settings,
                        "  only {side} has\n{}",
                        words::wrapped(4, &only).trim_end()
                    );
                }
            }
        } else {
            let _ = writeln!(settings, "  {what}: A {a}, B {b}");
        }
    }
    if !settings.is_empty() {
        let _ = write!(text, "\nprocess\n{settings}");
    }
    text
}

/// The difference of one call.
struct Difference {
    name: String,
    /// Arguments on which the two differ, unless they differ on all.
    example: Option<[u64; 6]>,
    a: Action,
    b: Action,
}

fn filters(a: Option<&Profile>, b: Option<&Profile>, arch: Arch) -> String {
    let (a, b) = match (a, b) {
        (None, None) => return String::new(),
        (Some(_), None) => return "  only A has a filter\n".to_owned(),
        (None, Some(_)) => return "  only B has a filter\n".to_owned(),
        (Some(a), Some(b)) => (a, b),
    };
    // At the boundary values of both: two profiles that agree there agree
    // everywhere.
    let both = Profile {
        rules: a.rules.iter().chain(&b.rules).cloned().collect(),
        ..a.clone()
    };
    let (mut only_a, mut only_b, mut otherwise) = (Vec::new(), Vec::new(), Vec::new());
    let mut calls = arch.calls().to_vec();
    calls.sort_unstable();
    for (name, number) in calls {
        let sets = sets(&both, number);
        let answers = || {
            sets.iter().map(|set| {
                (
                    set,
                    a.evaluate(arch, number, *set),
                    b.evaluate(arch, number, *set),
                )
            })
        };
        for (list, differs) in [
            (&mut only_a, executed(true, false)),
            (&mut only_b, executed(false, true)),
            (&mut otherwise, in_kind),
        ] {
            let Some((set, a, b)) = answers().find(|(_, a, b)| differs(*a, *b)) else {
                continue;
            };
            let always = answers().all(|(_, a, b)| differs(a, b));
            list.push(Difference {
                name: name.to_owned(),
                example: (!always).then_some(*set),
                a,
                b,
            });
        }
    }
    let mut text = String::new();
    for (title, list) in [
        ("only A allows", &only_a),
        ("only B allows", &only_b),
        ("both deny, with different answers", &otherwise),
    ] {
        text.push_str(&listed(title, list, &both, arch));
    }
    text
}

type Differs = fn(Action, Action) -> bool;

fn executed(a: bool, b: bool) -> Differs {
    match (a, b) {
        (true, _) => |a, b| a.executes() && !b.executes(),
        _ => |a, b| !a.executes() && b.executes(),
    }
}

fn in_kind(a: Action, b: Action) -> bool {
    a != b && a.executes() == b.executes()
}

/// The maximum number of argument combinations tested for one call, besides the
/// boundaries of each rule alone.
const MAX_COMBINATIONS: usize = 50_000;

/// The boundaries of each rule, and all combinations of the values at which any rule
/// changes its result, up to a limit.
fn sets(both: &Profile, number: u32) -> Vec<[u64; 6]> {
    let mut values: [BTreeSet<u64>; 6] = Default::default();
    for rule in both.rules.iter().filter(|rule| rule.syscall == number) {
        let When::All(conditions) = &rule.when else {
            continue;
        };
        for condition in conditions {
            if let Some(values) = values.get_mut(usize::from(condition.argument)) {
                values.extend(turns(condition.comparison));
            }
        }
    }
    let mut sets = boundary::arguments(both, number);
    let combinations = values
        .iter()
        .map(|values| values.len().max(1))
        .product::<usize>();
    if combinations > MAX_COMBINATIONS {
        return sets;
    }
    let mut combined = vec![[0; 6]];
    for (argument, values) in values.iter().enumerate() {
        if values.is_empty() {
            continue;
        }
        combined = combined
            .iter()
            .flat_map(|set| {
                values.iter().map(move |value| {
                    let mut set = *set;
                    if let Some(place) = set.get_mut(argument) {
                        *place = *value;
                    }
                    set
                })
            })
            .collect();
    }
    sets.extend(combined);
    sets
}

/// Values on both sides of a condition's value.
fn turns(comparison: Comparison) -> Vec<u64> {
    let mut values = vec![0, u64::MAX];
    match comparison {
        Comparison::Equal(v)
        | Comparison::NotEqual(v)
        | Comparison::Less(v)
        | Comparison::LessOrEqual(v)
        | Comparison::Greater(v)
        | Comparison::GreaterOrEqual(v) => {
            values.extend([v, v.wrapping_sub(1), v.wrapping_add(1), v ^ 1 << 32]);
        }
        Comparison::Masked { mask, value } => values.extend([value, value ^ mask, value | !mask]),
    }
    values
}

/// Calls that differ for all arguments in lines, the others with an example.
fn listed(title: &str, list: &[Difference], both: &Profile, arch: Arch) -> String {
    let mut text = String::new();
    if list.is_empty() {
        return text;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {title} ({})", list.len());
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for difference in list
        .iter()
        .filter(|difference| difference.example.is_none())
    {
        let answers = answers(difference);
        match groups.iter_mut().find(|(known, _)| *known == answers) {
            Some((_, names)) => names.push(&difference.name),
            None => groups.push((answers, vec![&difference.name])),
        }
    }
    for (answers, names) in &groups {
        let _ = writeln!(text, "    {answers}");
        text.push_str(&words::wrapped(6, names));
    }
    for difference in list {
        if let Some(example) = difference.example {
            let call = call(&difference.name, example, both, arch);
            let _ = writeln!(text, "    {call}: {}", answers(difference));
        }
    }
    text
}

fn answers(difference: &Difference) -> String {
    let (a, b) = (words::action(difference.a), words::action(difference.b));
    format!("A {a}, B {b}")
}

/// `ioctl(_, 0x5412)`: the arguments that a rule checks.
fn call(name: &str, arguments: [u64; 6], both: &Profile, arch: Arch) -> String {
    let number = arch.number(name).unwrap_or(u32::MAX);
    let looked_at = |argument: u8| {
        both.rules
            .iter()
            .filter(|rule| rule.syscall == number)
            .any(|rule| matches!(&rule.when, When::All(all) if all.iter().any(|c| c.argument == argument)))
    };
    let last = (0..6).rev().find(|argument| looked_at(*argument));
    let shown: Vec<String> = (0..=last.unwrap_or(0))
        .zip(arguments)
        .map(|(argument, value)| {
            if looked_at(argument) {
                format!("{value:#x}")
            } else {
                "_".to_owned()
            }
        })
        .collect();
    format!("{name}({})", shown.join(", "))
}

fn domains(a: Option<&Landlock>, b: Option<&Landlock>) -> String {
    let (a, b) = match (a, b) {
        (None, None) => return String::new(),
        (Some(_), None) => return "  only A has a domain\n".to_owned(),
        (None, Some(_)) => return "  only B has a domain\n".to_owned(),
        (Some(a), Some(b)) => (a, b),
    };
    let mut text = String::new();
    for (side, one, other) in [("A", a, b), ("B", b, a)] {
        let only: Vec<&str> = one
            .handled
            .iter()
            .filter(|right| !other.handled.contains(right))
            .map(|right| right.name())
            .collect();
        if !only.is_empty() {
            let _ = writeln!(
                text,
                "  only {side} denies unless a rule grants it: {}",
                only.join(", ")
            );
        }
        let flags: Vec<&str> = one
            .log
            .iter()
            .filter(|flag| !other.log.contains(flag))
            .map(|flag| flag.name())
            .collect();
        if !flags.is_empty() {
            let _ = writeln!(text, "  only {side} logs with {}", flags.join(", "));
        }
    }
    for (side, one, other) in [("A", a, b), ("B", b, a)] {
        for rule in &one.beneath {
            let same = other.beneath.iter().find(|known| known.path == rule.path);
            let granted = |right| same.is_some_and(|same| same.rights.contains(right));
            let only: Vec<&str> = rule
                .rights
                .iter()
                .filter(|right| !granted(right))
                .map(|right| right.name())
                .collect();
            if !only.is_empty() {
                let path = rule.path.display();
                let _ = writeln!(
                    text,
                    "  only {side} grants beneath {path}: {}",
                    only.join(", ")
                );
            }
        }
        for rule in &one.ports {
            let same = other.ports.iter().find(|known| known.port == rule.port);
            let granted = |right| same.is_some_and(|same| same.rights.contains(right));
            let only: Vec<&str> = rule
                .rights
                .iter()
                .filter(|right| !granted(right))
                .map(|right| right.name())
                .collect();
            if !only.is_empty() {
                let _ = writeln!(
                    text,
                    "  only {side} grants port {}: {}",
                    rule.port,
                    only.join(", ")
                );
            }
        }
    }
    text
}
