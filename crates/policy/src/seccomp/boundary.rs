//! Boundary calls for tests of a profile: values equal to, just below and just
//! above each value in its rules. Two programs that answer all of these alike
//! answer every call alike.

use crate::seccomp::compile::return_value;
use crate::seccomp::interpret::{Call, run};
use crate::seccomp::profile::{Comparison, Profile, When};
use crate::seccomp::program::Program;
use crate::seccomp::table::Arch;

/// Sets that one call is tried with, for each rule about it: a set of arguments
/// that meets the rule, and the same with one of them changed.
#[must_use]
pub fn arguments(profile: &Profile, number: u32) -> Vec<[u64; 6]> {
    let mut sets = vec![[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]];
    for rule in profile.rules.iter().filter(|rule| rule.syscall == number) {
        let When::All(conditions) = &rule.when else {
            continue;
        };
        let mut meets = [0; 6];
        for condition in conditions {
            if let Some(place) = meets.get_mut(usize::from(condition.argument)) {
                *place = meeting(condition.comparison);
            }
        }
        sets.push(meets);
        for condition in conditions {
            for value in beside(condition.comparison) {
                let mut set = meets;
                if let Some(place) = set.get_mut(usize::from(condition.argument)) {
                    *place = value;
                }
                sets.push(set);
            }
        }
    }
    sets
}

fn meeting(comparison: Comparison) -> u64 {
    match comparison {
        Comparison::Equal(v) | Comparison::LessOrEqual(v) | Comparison::GreaterOrEqual(v) => v,
        Comparison::NotEqual(v) | Comparison::Greater(v) => v.wrapping_add(1),
        Comparison::Less(v) => v.wrapping_sub(1),
        Comparison::Masked { value, .. } => value,
    }
}

fn beside(comparison: Comparison) -> Vec<u64> {
    let (value, mask) = match comparison {
        Comparison::Equal(v)
        | Comparison::LessOrEqual(v)
        | Comparison::GreaterOrEqual(v)
        | Comparison::NotEqual(v)
        | Comparison::Greater(v)
        | Comparison::Less(v) => (v, u64::MAX),
        Comparison::Masked { mask, value } => (value, mask),
    };
    let mut values = vec![0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX];
    for value in [value, value | !mask, mask, !mask] {
        values.push(value);
        values.push(value.wrapping_sub(1));
        values.push(value.wrapping_add(1));
        // Bits that the kernel ignores in a 32-bit argument.
        values.push(value ^ 1 << 32);
        values.push(value | u64::from(u32::MAX) << 32);
        values.push(value & u64::from(u32::MAX));
    }
    values.extend((0..64).map(|bit| value ^ 1 << bit));
    values
}

/// Numbers in the table, in its gaps and above it, including x32's.
pub fn numbers(arch: Arch) -> impl Iterator<Item = u32> {
    let highest = arch.highest();
    // The calls private to Arm have numbers far above the others.
    let near = highest.min(550);
    let far = (near + 1..=highest).filter(move |number| number + 50 > highest);
    (0..=near + 50).chain(far).chain([highest + 1]).chain([
        0x3fff_ffff,
        0x4000_0000,
        0x4000_0001,
        0x4000_003b,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ])
}

/// A call for which a program and its profile disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The call.
    pub call: Call,
    /// The profile's answer: SECCOMP_RET_*.
    pub meant: u32,
    /// The program's answer.
    pub answered: Option<u32>,
}

/// The first of these calls for which `program` and `profile` disagree.
#[must_use]
pub fn disagreement(profile: &Profile, program: &Program, arch: Arch) -> Option<Disagreement> {
    numbers(arch).find_map(|number| {
        arguments(profile, number)
            .into_iter()
            .find_map(|arguments| {
                let call = Call {
                    number,
                    arch: arch.audit(),
                    instruction_pointer: 0x7f00_1234_5678,
                    arguments,
                };
                let meant = return_value(profile.evaluate(arch, number, arguments));
                let answered = run(program, &call);
                (answered != Some(meant)).then_some(Disagreement {
                    call,
                    meant,
                    answered,
                })
            })
    })
}
