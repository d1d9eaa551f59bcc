//! A profile as seccompiler builds it: one filter per action, stacked.
//!
//! The kernel uses the strictest of their answers, so together they are
//! equivalent to the single program, except for one case: between two errnos for
//! one call the filter loaded last decides, not the order of the text.

use std::collections::BTreeMap;

use nsexec_policy_engine::seccomp::interpret::{Call, run_stacked};
use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use nsexec_policy_engine::seccomp::program::{Instruction, Program};
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_policy_engine::seccomp::width::compares_32_bits;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Why a profile cannot be built from stacked filters.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The filters, in the order in which they are loaded.
#[derive(Clone, Debug)]
pub struct Stacked(Vec<Program>);

impl Stacked {
    /// Builds `profile` for `arch`.
    ///
    /// # Errors
    /// seccompiler's.
    pub fn build(profile: &Profile, arch: Arch) -> Result<Self, Fault> {
        let mut programs = Vec::new();
        // Calls newer than the text have another default.
        let newer: Vec<Rule> = arch
            .numbers()
            .into_iter()
            .filter(|number| profile.otherwise(*number) != profile.default)
            .filter(|number| !profile.rules.iter().any(|rule| rule.syscall == *number))
            .map(|syscall| Rule {
                syscall,
                when: When::Always,
                action: profile.otherwise(syscall),
            })
            .collect();
        let rules: Vec<&Rule> = profile.rules.iter().chain(&newer).collect();
        if profile.default != Action::Allow {
            programs.push(filter(&rules, profile.default, Action::Allow, arch)?);
        }
        let mut actions: Vec<Action> = Vec::new();
        for rule in &rules {
            if rule.action != Action::Allow && !actions.contains(&rule.action) {
                actions.push(rule.action);
            }
        }
        // The first errno of the text is loaded last, so that it is returned.
        for action in actions.into_iter().rev() {
            let of_action: Vec<&Rule> = rules
                .iter()
                .copied()
                .filter(|rule| rule.action == action)
                .collect();
            programs.push(filter(&of_action, Action::Allow, action, arch)?);
        }
        Ok(Self(programs))
    }

    /// Their combined answer: SECCOMP_RET_*.
    #[must_use]
    pub fn answer(&self, call: &Call) -> Option<u32> {
        let programs: Vec<&Program> = self.0.iter().collect();
        run_stacked(&programs, call)
    }

    /// The filters, in the order in which they are loaded.
    #[must_use]
    pub fn programs(&self) -> &[Program] {
        &self.0
    }

    /// How many instructions they have together.
    #[must_use]
    pub fn instructions(&self) -> usize {
        self.0
            .iter()
            .map(|program| program.instructions().len())
            .sum()
    }

    /// Whether the text's order of errnos cannot be kept for this call: rules
    /// with several of them.
    #[must_use]
    pub fn is_ambiguous(profile: &Profile, number: u32) -> bool {
        let rules = profile.rules.iter().filter(|rule| rule.syscall == number);
        let mut errnos = rules
            .map(|rule| rule.action)
            .chain([profile.otherwise(number)])
            .filter(|action| matches!(action, Action::Errno(_)));
        let first = errnos.next();
        errnos.any(|errno| Some(errno) != first)
    }
}

/// One of seccompiler's filters: `matched` where a rule matches, else `otherwise`.
fn filter(
    rules: &[&Rule],
    otherwise: Action,
    matched: Action,
    arch: Arch,
) -> Result<Program, Fault> {
    let mut by_number: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut always: Vec<i64> = Vec::new();
    for rule in rules {
        let number = i64::from(rule.syscall);
        let of_number = by_number.entry(number).or_default();
        match &rule.when {
            When::Always => always.push(number),
            When::All(conditions) => {
                let conditions = conditions
                    .iter()
                    .map(|condition| {
                        let low =
                            compares_32_bits(arch, rule.syscall, condition.argument, rule.action);
                        seccompiler_condition(*condition, low)
                    })
                    .collect::<Result<_, _>>()?;
                of_number.push(SeccompRule::new(conditions)?);
            }
        }
    }
    // For seccompiler, a call without rules matches with any arguments.
    for number in always {
        by_number.insert(number, Vec::new());
    }
    let target = match arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
        // seccompiler has no 32-bit architectures.
        Arch::I386 | Arch::Arm => return Err(format!("{arch}: not seccompiler's").into()),
    };
    let filter = SeccompFilter::new(by_number, action(otherwise), action(matched), target)?;
    let program: BpfProgram = filter.try_into()?;
    let instruction = |i: &seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Ok(Program::new(program.iter().map(instruction).collect())?)
}

fn action(action: Action) -> SeccompAction {
    match action {
        Action::Allow => SeccompAction::Allow,
        Action::Log => SeccompAction::Log,
        Action::Errno(errno) => SeccompAction::Errno(errno.into()),
        Action::Trap => SeccompAction::Trap,
        Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
    }
}

fn seccompiler_condition(condition: Condition, low: bool) -> Result<SeccompCondition, Fault> {
    let (operator, value) = match condition.comparison {
        Comparison::Equal(value) => (SeccompCmpOp::Eq, value),
        Comparison::NotEqual(value) => (SeccompCmpOp::Ne, value),
        Comparison::Less(value) => (SeccompCmpOp::Lt, value),
        Comparison::LessOrEqual(value) => (SeccompCmpOp::Le, value),
        Comparison::Greater(value) => (SeccompCmpOp::Gt, value),
        Comparison::GreaterOrEqual(value) => (SeccompCmpOp::Ge, value),
        Comparison::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
    };
    let length = if low {
        SeccompCmpArgLen::Dword
    } else {
        SeccompCmpArgLen::Qword
    };
    Ok(SeccompCondition::new(
        condition.argument,
        length,
        operator,
        value,
    )?)
}
