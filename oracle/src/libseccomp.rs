//! libseccomp's filter for a profile.
//!
//! It is compared only where its semantics are the same. Left out are:
//!
//! - calls that are not in the table, those of x32 and of other architectures:
//!   their answer is nsexec's own;
//! - calls whose rules have different actions: libseccomp does not define which
//!   of overlapping rules wins (libseccomp issues 148, 225);
//! - calls with rules that compare 32 bits by `<` and the like: libseccomp only
//!   compares 64 (a masked `==` is equivalent for `==`);
//! - calls with several ordering rules about one argument: versions before 2.6.1
//!   merge such comparisons wrongly (GHSA-4q85-33p6-j5g6).
//!
//! For 32-bit architectures, also left out are:
//!
//! - calls that libseccomp does not know by name, since it accepts no others;
//! - socketcall and ipc, which libseccomp allows for each call that is allowed
//!   with some arguments, while nsexec does not;
//! - arguments above 32 bits, which no 32-bit program has and libseccomp
//!   ignores, and rules that compare with one.

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

/// The location of the header in libseccomp-dev, for compiling the builder.
pub const HEADER: &str = "/usr/include/seccomp.h";

/// The builder.
#[derive(Debug)]
pub struct Libseccomp {
    tool: Tool,
    /// For each 32-bit architecture, the calls that libseccomp knows.
    known: Vec<(Arch, Vec<u32>)>,
}

/// The dispatch of a filter, SCMP_FLTATR_CTL_OPTIMIZE of seccomp_attr_set(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// One after the other: libseccomp's own default.
    Chain,
    /// A binary tree, as runc requests.
    Tree,
}

/// A filter that it built.
#[derive(Clone, Debug)]
pub struct Filter {
    program: Program,
    comparable: Vec<u32>,
    /// The greatest value of an argument.
    widest: u64,
}

impl Libseccomp {
    /// Builds the builder.
    ///
    /// # Errors
    /// As [`Tool::build`]: above all, libseccomp's header is not there.
    pub fn new() -> io::Result<Self> {
        let tool = Tool::build("export", &["seccomp"])?;
        let mut built = Self {
            tool,
            known: Vec::new(),
        };
        for arch in Arch::ALL_32_BIT {
            let numbers = built.numbers(arch)?;
            let known = numbers.into_iter().filter_map(|(_, number)| number);
            built.known.push((arch, known.collect()));
        }
        Ok(built)
    }

    /// libseccomp's numbers for an architecture's calls, in the order of the
    /// table. `None` if libseccomp does not know the call, or uses its own
    /// number for it, as for those that i386 made by socketcall and ipc.
    ///
    /// # Errors
    /// An error of libseccomp.
    pub fn numbers(&self, arch: Arch) -> io::Result<Vec<(&'static str, Option<u32>)>> {
        let mut text = String::new();
        for (name, _) in arch.calls() {
            writeln!(text, "number {:#x} {name}", arch.audit()).map_err(io::Error::other)?;
        }
        let output = self.tool.run(text.as_bytes())?;
        let output = String::from_utf8(output).map_err(io::Error::other)?;
        let numbers: Vec<Option<u32>> = output.lines().map(|line| line.parse().ok()).collect();
        if numbers.len() != arch.calls().len() {
            return Err(io::Error::other(format!("{} numbers", numbers.len())));
        }
        let names = arch.calls().iter().map(|(name, _)| *name);
        Ok(names.zip(numbers).collect())
    }

    /// The filter of a profile on the native architecture, or on that of its 32-bit
    /// programs, for the calls on which both have a meaning.
    ///
    /// # Errors
    /// libseccomp's.
    pub fn build(&self, profile: &Profile, arch: Arch, search: Search) -> io::Result<Filter> {
        let (text, comparable) = self.written(profile, arch, search)?;
        let output = self.tool.run(text.as_bytes())?;
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
        let widest = widest(arch);
        Ok(Filter {
            program,
            comparable,
            widest,
        })
    }

    /// The rules in the builder's format, and the calls that can be compared.
    fn written(
        &self,
        profile: &Profile,
        arch: Arch,
        search: Search,
    ) -> io::Result<(String, Vec<u32>)> {
        let mut text = format!("default {:#x}\n", return_value(profile.default));
        let small = arch.of_32_bit().is_none();
        if small {
            writeln!(text, "arch {:#x}", arch.audit()).map_err(io::Error::other)?;
        }
        if search == Search::Tree {
            text.push_str("tree\n");
        }
        let mut comparable = Vec::new();
        let known = self.known.iter().find(|(of, _)| *of == arch);
        for number in arch.numbers() {
            let name = arch.name(number).unwrap_or_default();
            let is_known = known.is_none_or(|(_, known)| known.contains(&number));
            if !is_known || MULTIPLEXERS.contains(&name) {
                continue;
            }
            let call = if small {
                name.to_owned()
            } else {
                number.to_string()
            };
            let rules: Vec<&Rule> = profile
                .rules
                .iter()
                .filter(|rule| rule.syscall == number)
                .collect();
            if !is_comparable(&rules, arch) {
                continue;
            }
            comparable.push(number);
            if rules.is_empty() {
                let otherwise = return_value(profile.otherwise(number));
                writeln!(text, "rule {otherwise:#x} {call}").map_err(io::Error::other)?;
            }
            for rule in rules {
                write!(text, "rule {:#x} {call}", return_value(rule.action))
                    .map_err(io::Error::other)?;
                if let When::All(conditions) = &rule.when {
                    for condition in conditions {
                        let low = small
                            || compares_32_bits(arch, number, condition.argument, rule.action);
                        let (operator, one, two) = words(condition.comparison, low);
                        write!(text, " {} {operator} {one:#x} {two:#x}", condition.argument)
                            .map_err(io::Error::other)?;
                    }
                }
                text.push('\n');
            }
        }
        Ok((text, comparable))
    }

    /// Starts a process that builds the same filter on each request.
    ///
    /// # Errors
    /// The process cannot start.
    pub fn timer(&self, profile: &Profile, arch: Arch, search: Search) -> io::Result<Timer> {
        let (text, _) = self.written(profile, arch, search)?;
        Timer::start(&self.tool, &text)
    }
}

/// The largest argument of a program of this architecture.
fn widest(arch: Arch) -> u64 {
    match arch.of_32_bit() {
        Some(_) => u64::MAX,
        None => u64::from(u32::MAX),
    }
}

/// The multiplexed calls, which libseccomp decides in its own way.
const MULTIPLEXERS: [&str; 2] = ["socketcall", "ipc"];

impl Filter {
    /// Its answer, if the call is compared: SECCOMP_RET_*.
    #[must_use]
    pub fn answer(&self, call: &Call) -> Option<u32> {
        self.comparable.binary_search(&call.number).ok()?;
        if call.arguments.iter().any(|value| *value > self.widest) {
            return None;
        }
        run(&self.program, call)
    }

    /// The filter.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The calls that both compilers decide, by number.
    #[must_use]
    pub fn comparable(&self) -> &[u32] {
        &self.comparable
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
                // If registers have 32 bits, it compares 32 in any case.
                if low && !equal && arch.of_32_bit().is_some() {
                    return false;
                }
                if value_of(condition.comparison) > widest(arch) {
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

fn value_of(comparison: Comparison) -> u64 {
    match comparison {
        Comparison::Equal(value)
        | Comparison::NotEqual(value)
        | Comparison::Less(value)
        | Comparison::LessOrEqual(value)
        | Comparison::Greater(value)
        | Comparison::GreaterOrEqual(value)
        | Comparison::Masked { value, .. } => value,
    }
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

/// Whether libseccomp accepts an action as a default.
#[must_use]
pub fn takes_default(action: Action) -> bool {
    !matches!(action, Action::Errno(0))
}
