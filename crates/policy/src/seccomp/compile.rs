//! Compiles a profile to one BPF program.
//!
//! ```text
//! arch != native      -> FOREIGN_ARCH, or the same tree for 32-bit programs
//! tree over ranges of numbers that are treated alike
//!   not in the table  -> UNKNOWN_CALL     (x32 numbers among them)
//!   no conditions     -> action
//!   conditions        -> checks, strictest action first; the first that holds
//! ```
//!
//! seccompiler compiles the checks. The dispatch is our own: seccompiler's is a
//! chain that needs 5 instructions for each call.

use std::cmp::Reverse;
use std::fmt;

use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::seccomp::assemble::{Assembler, Label, Test};
use crate::seccomp::evaluate::{FOREIGN_ARCH, UNKNOWN_CALL};
use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::program::{Instruction, Program, ProgramFault};
use crate::seccomp::table::Arch;
use crate::seccomp::width::Width;

/// Offsets in `struct seccomp_data`, linux/seccomp.h.
const DATA_NUMBER: u32 = 0;
const DATA_ARCH: u32 = 4;

/// MAX_ERRNO, include/linux/err.h: SECCOMP_RET_ERRNO with more is cut to it.
pub const MAX_ERRNO: u16 = 4095;

/// Why a profile cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileFault {
    /// An errno above [`MAX_ERRNO`].
    Errno(u16),
    /// A rule for a number that the architecture's table does not know.
    Syscall(u32),
    /// A rule with an empty list of conditions.
    NoConditions(u32),
    /// A condition on an argument beyond 5.
    Argument(u8),
    /// A condition that denies a value that the kernel never sees, because it
    /// reads only 32 bits of this argument.
    Wide {
        /// Which rule of the profile, from 0.
        rule: usize,
        /// The call.
        call: &'static str,
        /// The argument.
        argument: u8,
        /// The value.
        value: u64,
    },
    /// `argument & mask == value` with bits in the value that the mask lacks:
    /// it never holds.
    Mask {
        /// The mask.
        mask: u64,
        /// The value.
        value: u64,
    },
    /// The program is too long, or (in no known case) invalid.
    Program(ProgramFault),
}

/// Compiles a program that gives the answers of `profile` on `arch`; the result
/// is deterministic.
///
/// # Errors
/// The first invalid rule, or a program longer than the kernel accepts.
pub fn compile(profile: &Profile, arch: Arch) -> Result<Program, CompileFault> {
    compile_with_32_bit(profile, arch, None)
}

/// The same, with a second part for the 32-bit programs of `arch`, compiled from
/// `profile_32_bit`; `None`: their calls get [`FOREIGN_ARCH`].
///
/// # Errors
/// As [`compile`].
pub fn compile_with_32_bit(
    profile: &Profile,
    arch: Arch,
    profile_32_bit: Option<&Profile>,
) -> Result<Program, CompileFault> {
    let mut code = Assembler::default();
    let (native, other) = match profile_32_bit.zip(arch.of_32_bit()) {
        Some((profile_32_bit, compat_arch)) => {
            let (calls, foreign) = dispatch(profile_32_bit, compat_arch, &mut code)?;
            let other = code.branch(Test::Equal, compat_arch.audit(), calls, foreign);
            (dispatch(profile, arch, &mut code)?.0, other)
        }
        None => dispatch(profile, arch, &mut code)?,
    };
    code.branch(Test::Equal, arch.audit(), native, other);
    code.load(DATA_ARCH);
    Program::new(code.finish()).map_err(CompileFault::Program)
}

/// The code that decides about a call of `arch`, and the answer to other
/// architectures.
fn dispatch(
    profile: &Profile,
    arch: Arch,
    code: &mut Assembler,
) -> Result<(Label, Label), CompileFault> {
    check(profile, arch)?;
    let mut treatments = Treatments::default();
    let ranges = ranges(profile, arch, &mut treatments);
    let checked: Vec<Option<Label>> = treatments
        .all
        .iter()
        .map(|treatment| treatment.checks(code))
        .collect::<Result<_, _>>()?;
    // The returns are between the tree and the checks, near their users.
    let mut returns = Returns { known: Vec::new() };
    let mut leaves = Vec::with_capacity(ranges.len());
    for range in &ranges {
        let leaf = match checked.get(range.treatment).copied().flatten() {
            Some(checks) => checks,
            None => returns.label(code, treatments.otherwise(range.treatment)),
        };
        leaves.push((range.first, leaf));
    }
    let foreign = returns.label(code, FOREIGN_ARCH);
    let root = tree(code, &leaves);
    code.go(root);
    Ok((code.load(DATA_NUMBER), foreign))
}

/// The SECCOMP_RET_* value of an action, linux/seccomp.h.
#[must_use]
pub fn return_value(action: Action) -> u32 {
    match action {
        Action::Allow => 0x7fff_0000,
        Action::Log => 0x7ffc_0000,
        Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
        Action::Trap => 0x0003_0000,
        Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
    }
}

/// Rejects rules that no program could implement correctly.
fn check(profile: &Profile, arch: Arch) -> Result<(), CompileFault> {
    check_action(profile.default)?;
    for (index, rule) in profile.rules.iter().enumerate() {
        check_action(rule.action)?;
        let Some(call) = arch.name(rule.syscall) else {
            return Err(CompileFault::Syscall(rule.syscall));
        };
        let When::All(conditions) = &rule.when else {
            continue;
        };
        if conditions.is_empty() {
            return Err(CompileFault::NoConditions(rule.syscall));
        }
        for condition in conditions {
            let value = check_condition(*condition)?;
            let argument = condition.argument;
            let width = Width::of(arch, rule.syscall, argument, rule.action);
            if width.cut(value) != value {
                return Err(CompileFault::Wide {
                    rule: index,
                    call,
                    argument,
                    value,
                });
            }
        }
    }
    Ok(())
}

fn check_action(action: Action) -> Result<(), CompileFault> {
    match action {
        Action::Errno(errno) if errno > MAX_ERRNO => Err(CompileFault::Errno(errno)),
        _ => Ok(()),
    }
}

/// The value that the argument is held against.
fn check_condition(condition: Condition) -> Result<u64, CompileFault> {
    if condition.argument > 5 {
        return Err(CompileFault::Argument(condition.argument));
    }
    match condition.comparison {
        Comparison::Equal(value)
        | Comparison::NotEqual(value)
        | Comparison::Less(value)
        | Comparison::LessOrEqual(value)
        | Comparison::Greater(value)
        | Comparison::GreaterOrEqual(value) => Ok(value),
        Comparison::Masked { mask, value } if value & !mask != 0 => {
            Err(CompileFault::Mask { mask, value })
        }
        Comparison::Masked { value, .. } => Ok(value),
    }
}

/// How one call is treated.
#[derive(Debug, PartialEq, Eq)]
struct Treatment {
    /// Alternatives, in order: conditions that must all hold, and their action.
    checks: Vec<(Vec<(Condition, Width)>, Action)>,
    /// The action if none holds.
    otherwise: Action,
}

impl Treatment {
    /// A call without a matching rule gets `otherwise`; the strictest rule comes
    /// first.
    fn new(rules: &[&Rule], otherwise: Action, arch: Arch) -> Self {
        let mut checks = Vec::new();
        let mut otherwise = otherwise;
        for rule in rules {
            match &rule.when {
                When::All(conditions) => {
                    let wide = |condition: &Condition| {
                        let width = Width::of(arch, rule.syscall, condition.argument, rule.action);
                        (*condition, width)
                    };
                    checks.push((conditions.iter().map(wide).collect(), rule.action));
                }
                When::Always => {
                    otherwise = rule.action;
                    break;
                }
            }
        }
        while checks
            .last()
            .is_some_and(|(_, action)| *action == otherwise)
        {
            checks.pop();
        }
        Self { checks, otherwise }
    }

    /// The code of the checks; `None` if there are none.
    fn checks(&self, code: &mut Assembler) -> Result<Option<Label>, CompileFault> {
        if self.checks.is_empty() {
            return Ok(None);
        }
        code.ret(return_value(self.otherwise));
        for (conditions, action) in self.checks.iter().rev() {
            code.ret(return_value(*action));
            code.splice(body(conditions)?.into_iter());
        }
        Ok(Some(code.here()))
    }
}

/// Code that falls through when the conditions hold, and else skips the one
/// instruction behind it.
fn body(conditions: &[(Condition, Width)]) -> Result<Vec<Instruction>, CompileFault> {
    let conditions = conditions
        .iter()
        .map(|(condition, width)| seccompiler_condition(*condition, *width))
        .collect::<Result<Vec<_>, _>>()?;
    // Not reached: an empty list was refused before.
    let rule = SeccompRule::new(conditions).map_err(|_| CompileFault::NoConditions(0))?;
    // The two jumps before it let a caller skip the rule.
    let program: BpfProgram = rule.into();
    let instruction = |i: &seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Ok(program.iter().skip(2).map(instruction).collect())
}

fn seccompiler_condition(
    condition: Condition,
    width: Width,
) -> Result<SeccompCondition, CompileFault> {
    let (operator, value) = match condition.comparison {
        Comparison::Equal(value) => (SeccompCmpOp::Eq, value),
        Comparison::NotEqual(value) => (SeccompCmpOp::Ne, value),
        Comparison::Less(value) => (SeccompCmpOp::Lt, value),
        Comparison::LessOrEqual(value) => (SeccompCmpOp::Le, value),
        Comparison::Greater(value) => (SeccompCmpOp::Gt, value),
        Comparison::GreaterOrEqual(value) => (SeccompCmpOp::Ge, value),
        Comparison::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
    };
    let length = match width {
        Width::Low32 => SeccompCmpArgLen::Dword,
        Width::Full64 => SeccompCmpArgLen::Qword,
    };
    SeccompCondition::new(condition.argument, length, operator, value)
        .map_err(|_| CompileFault::Argument(condition.argument))
}

/// Each treatment once.
#[derive(Default)]
struct Treatments {
    all: Vec<Treatment>,
}

impl Treatments {
    fn index(&mut self, treatment: Treatment) -> usize {
        if let Some(at) = self.all.iter().position(|known| *known == treatment) {
            return at;
        }
        self.all.push(treatment);
        self.all.len() - 1
    }

    fn otherwise(&self, index: usize) -> Action {
        self.all
            .get(index)
            .map_or(Action::KillProcess, |treatment| treatment.otherwise)
    }
}

/// Numbers from `first` up to the next range, with the same answer.
struct Range {
    first: u32,
    treatment: usize,
}

/// All numbers, from 0 to the highest of 32 bits.
fn ranges(profile: &Profile, arch: Arch, treatments: &mut Treatments) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut add = |first: u32, treatment: usize| {
        if ranges.last().is_none_or(|last| last.treatment != treatment) {
            ranges.push(Range { first, treatment });
        }
    };
    let hole = treatments.index(Treatment::new(&[], UNKNOWN_CALL, arch));
    let mut rules: Vec<&Rule> = profile.rules.iter().collect();
    // Stable: among equally strict rules the first of the text stays first.
    rules.sort_by_key(|rule| (rule.syscall, Reverse(rule.action.strictness())));
    let (mut rules, mut next) = (rules.as_slice(), 0);
    for number in arch.numbers() {
        if number > next {
            add(next, hole);
        }
        let others = rules.iter().position(|rule| rule.syscall != number);
        let (of_call, others) = rules.split_at(others.unwrap_or(rules.len()));
        let treatment = Treatment::new(of_call, profile.otherwise(number), arch);
        add(number, treatments.index(treatment));
        rules = others;
        next = number.saturating_add(1);
    }
    add(next, hole);
    ranges
}

/// Finds the leaf for the accumulator's range by binary search.
fn tree(code: &mut Assembler, leaves: &[(u32, Label)]) -> Label {
    let (low, high) = leaves.split_at(leaves.len() / 2);
    match (low, high) {
        (_, []) => code.here(),
        ([], [(_, leaf), ..]) => *leaf,
        (_, [(first, _), ..]) => {
            let yes = tree(code, high);
            let no = tree(code, low);
            code.branch(Test::GreaterOrEqual, *first, yes, no)
        }
    }
}

/// The returns that leaves share.
struct Returns {
    known: Vec<(Action, Label)>,
}

impl Returns {
    fn label(&mut self, code: &mut Assembler, action: Action) -> Label {
        if let Some((_, label)) = self.known.iter().find(|(known, _)| *known == action) {
            return *label;
        }
        let label = code.ret(return_value(action));
        self.known.push((action, label));
        label
    }
}

impl fmt::Display for CompileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "errno {errno} is above {MAX_ERRNO}"),
            Self::Syscall(number) => {
                write!(f, "no system call of this architecture has number {number}")
            }
            Self::NoConditions(number) => {
                write!(
                    f,
                    "a rule for call {number} has an empty list of conditions"
                )
            }
            Self::Argument(argument) => {
                write!(f, "there is no argument {argument}; they are 0 to 5")
            }
            Self::Wide {
                call,
                argument,
                value,
                ..
            } => write!(
                f,
                "the kernel reads 32 bits of argument {argument} of {call}, so that denying \
                 {value:#x} denies nothing; deny a value that fits"
            ),
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask:#x} can be {value:#x}: the value has bits that the mask lacks"
            ),
            Self::Program(fault) => write!(f, "the rules make no program: {fault}"),
        }
    }
}

impl std::error::Error for CompileFault {}

#[cfg(test)]
mod tests;
