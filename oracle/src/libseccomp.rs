//! libseccomp's filter for a profile.
//!
//! It is asked only where it has a meaning of its own that is the same:
//!
//! - not for calls that the table does not know, x32's or of another
//!   architecture: there the answer is nsexec's own;
//! - not for a call whose rules disagree about the action: libseccomp leaves open
//!   which of overlapping rules wins (libseccomp issues 148, 225);
//! - not for a call with rules that compare 32 bits by `<` and the like: it only
//!   compares 64 (a masked `==` says the same for `==`);
//! - not for a call with several rules about one argument's order: versions
//!   before 2.6.1 merge such comparisons wrongly (GHSA-4q85-33p6-j5g6).

use std::fmt::Write as _;
use std::io;

use nsexec_policy_engine::seccomp::compile::return_value;
use nsexec_policy_engine::seccomp::interpret::{Call, run};
use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use nsexec_policy_engine::seccomp::program::{Instruction, Program};
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_policy_engine::seccomp::width::compares_32_bits;

use crate::timing::Timer;
use crate::tool::Tool;

/// Where libseccomp-dev puts the header that the builder is compiled with.
pub const HEADER: &str = "/usr/include/seccomp.h";

/// The builder.
#[derive(Debug)]
pub struct Libseccomp(Tool);

/// How a filter finds a call, SCMP_FLTATR_CTL_OPTIMIZE of seccomp_attr_set(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// One after the other: libseccomp's own default.
    Chain,
    /// By halving, as runc asks for.
    Tree,
}

/// A filter that it built.
#[derive(Clone, Debug)]
pub struct Filter {
    program: Program,
    asked: Vec<u32>,
}

impl Libseccomp {
    /// Builds the builder.
    ///
    /// # Errors
    /// As [`Tool::build`]: above all, libseccomp's header is not there.
    pub fn new() -> io::Result<Self> {
        Tool::build("export", &["seccomp"]).map(Self)
    }

    /// The filter of a profile on the native architecture, for the calls on
    /// which both have a meaning.
    ///
    /// # Errors
    /// libseccomp's.
    pub fn build(&self, profile: &Profile, arch: Arch, search: Search) -> io::Result<Filter> {
        let (text, asked) = written(profile, arch, search)?;
        let output = self.0.run(text.as_bytes())?;
        let instruction = |bytes: &[u8; 8]| {
            let [a, b, jt, jf, k @ ..] = *bytes;
            Instruction {
                code: u16::from_ne_bytes([a, b]),
                jt,
                jf,
                k: u32::from_ne_bytes(k),
            }
        };
        let program = output.as_chunks::<8>().0.iter().map(instruction).collect();
        let program = Program::new(program).map_err(io::Error::other)?;
        Ok(Filter { program, asked })
    }

    /// A process that builds the same filter as often as it is told to.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn timer(&self, profile: &Profile, arch: Arch, search: Search) -> io::Result<Timer> {
        let (text, _) = written(profile, arch, search)?;
        Timer::start(&self.0, &text)
    }
}

/// The rules in the builder's words, and the calls on which both have a meaning.
fn written(profile: &Profile, arch: Arch, search: Search) -> io::Result<(String, Vec<u32>)> {
    let mut text = format!("default {:#x}\n", return_value(profile.default));
    if search == Search::Tree {
        text.push_str("tree\n");
    }
    let mut asked = Vec::new();
    for number in arch.numbers() {
        let rules: Vec<&Rule> = profile
            .rules
            .iter()
            .filter(|rule| rule.syscall == number)
            .collect();
        if !is_comparable(&rules, arch) {
            continue;
        }
        asked.push(number);
        if rules.is_empty() {
            let otherwise = return_value(profile.otherwise(number));
            writeln!(text, "rule {otherwise:#x} {number}").map_err(io::Error::other)?;
        }
        for rule in rules {
            write!(text, "rule {:#x} {number}", return_value(rule.action))
                .map_err(io::Error::other)?;
            if let When::All(conditions) = &rule.when {
                for condition in conditions {
                    let low = compares_32_bits(arch, number, condition.argument, rule.action);
                    let (operator, one, two) = words(condition.comparison, low);
                    write!(text, " {} {operator} {one:#x} {two:#x}", condition.argument)
                        .map_err(io::Error::other)?;
                }
            }
            text.push('\n');
        }
    }
    Ok((text, asked))
}

impl Filter {
    /// What it answers, where it is asked: SECCOMP_RET_*.
    #[must_use]
    pub fn answer(&self, call: &Call) -> Option<u32> {
        self.asked.binary_search(&call.number).ok()?;
        run(&self.program, call)
    }

    /// The filter.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The calls on which both have a meaning, by number.
    #[must_use]
    pub fn asked(&self) -> &[u32] {
        &self.asked
    }
}

fn is_comparable(rules: &[&Rule], arch: Arch) -> bool {
    let mut conditions: Vec<&Condition> = Vec::new();
    for rule in rules {
        if let When::All(all) = &rule.when {
            for condition in all {
                let low = compares_32_bits(arch, rule.syscall, condition.argument, rule.action);
                let equal = matches!(
                    condition.comparison,
                    Comparison::Equal(_) | Comparison::Masked { .. }
                );
                if low && !equal {
                    return false;
                }
                conditions.push(condition);
            }
        }
    }
    let same_action = rules
        .iter()
        .all(|rule| Some(rule.action) == rules.first().map(|first| first.action));
    let is_order = |condition: &Condition| {
        !matches!(
            condition.comparison,
            Comparison::Equal(_) | Comparison::Masked { .. }
        )
    };
    let orders = conditions
        .iter()
        .filter(|condition| is_order(condition))
        .count();
    same_action && (orders == 0 || conditions.len() == 1)
}

/// `enum scmp_compare` of seccomp.h, and its one or two values.
fn words(comparison: Comparison, low: bool) -> (u8, u64, u64) {
    match comparison {
        Comparison::NotEqual(value) => (1, value, 0),
        Comparison::Less(value) => (2, value, 0),
        Comparison::LessOrEqual(value) => (3, value, 0),
        Comparison::Equal(value) if low => (7, u64::from(u32::MAX), value),
        Comparison::Equal(value) => (4, value, 0),
        Comparison::GreaterOrEqual(value) => (5, value, 0),
        Comparison::Greater(value) => (6, value, 0),
        Comparison::Masked { mask, value } => {
            let seen = if low { u64::from(u32::MAX) } else { u64::MAX };
            (7, mask & seen, value)
        }
    }
}

/// Whether an action is one that libseccomp can be asked for as a default.
#[must_use]
pub fn takes_default(action: Action) -> bool {
    !matches!(action, Action::Errno(0))
}
