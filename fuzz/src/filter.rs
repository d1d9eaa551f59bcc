//! A profile and its compiled program give the same answers.

use nsexec_policy_engine::seccomp::compile::{compile, return_value};
use nsexec_policy_engine::seccomp::interpret::{Call, run};
use nsexec_policy_engine::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use nsexec_policy_engine::seccomp::table::Arch;

/// Reads bytes as a profile of a few rules, and calls at and next to its
/// compared values.
pub fn filter(input: &[u8]) {
    let mut bytes = Bytes(input);
    let arch = if bytes.next() & 1 == 0 {
        Arch::X86_64
    } else {
        Arch::Aarch64
    };
    let default = bytes.action();
    let newest = match bytes.next() {
        u8::MAX => u32::MAX,
        newest => u32::from(newest) * 2,
    };
    let mut rules = Vec::new();
    while !bytes.0.is_empty() && rules.len() < 32 {
        rules.push(bytes.rule());
    }
    let profile = Profile {
        default,
        newest,
        rules,
    };
    let Ok(program) = compile(&profile, arch) else {
        return;
    };
    for rule in &profile.rules {
        for number in [
            rule.syscall,
            rule.syscall.wrapping_add(1),
            rule.syscall.wrapping_sub(1),
        ] {
            for shift in [0, 1, u64::MAX, 1 << 32] {
                let arguments = arguments_near(&rule.when, shift);
                let call = Call {
                    number,
                    arch: arch.audit(),
                    instruction_pointer: 0,
                    arguments,
                };
                let meant = return_value(profile.evaluate(arch, number, arguments));
                assert_eq!(run(&program, &call), Some(meant), "{profile:?} {call:?}");
            }
        }
    }
}

/// Arguments that meet the conditions, moved by `shift`.
fn arguments_near(when: &When, shift: u64) -> [u64; 6] {
    let mut arguments = [0; 6];
    if let When::All(conditions) = when {
        for condition in conditions {
            let value = match condition.comparison {
                Comparison::Equal(value)
                | Comparison::NotEqual(value)
                | Comparison::Less(value)
                | Comparison::LessOrEqual(value)
                | Comparison::Greater(value)
                | Comparison::GreaterOrEqual(value)
                | Comparison::Masked { value, .. } => value,
            };
            if let Some(argument) = arguments.get_mut(usize::from(condition.argument)) {
                *argument = value.wrapping_add(shift);
            }
        }
    }
    arguments
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn action(&mut self) -> Action {
        match self.next() % 6 {
            0 => Action::Allow,
            1 => Action::Log,
            2 => Action::Errno(self.next().into()),
            3 => Action::Trap,
            4 => Action::KillThread,
            _ => Action::KillProcess,
        }
    }

    /// Small values, values about 2^32, and their neighbours are the interesting
    /// ones.
    fn value(&mut self) -> u64 {
        let low = u64::from(self.next());
        match self.next() % 4 {
            0 => low,
            1 => low << 24,
            2 => (1 << 32) + low,
            _ => u64::MAX - low,
        }
    }

    fn rule(&mut self) -> Rule {
        let syscall = u32::from(self.next()) + u32::from(self.next() % 2) * 256;
        let action = self.action();
        let count = self.next() % 4;
        let conditions: Vec<Condition> = (0..count).map(|_| self.condition()).collect();
        let when = if conditions.is_empty() {
            When::Always
        } else {
            When::All(conditions)
        };
        Rule {
            syscall,
            when,
            action,
        }
    }

    fn condition(&mut self) -> Condition {
        let argument = self.next() % 6;
        let comparison = match self.next() % 7 {
            0 => Comparison::Equal(self.value()),
            1 => Comparison::NotEqual(self.value()),
            2 => Comparison::Less(self.value()),
            3 => Comparison::LessOrEqual(self.value()),
            4 => Comparison::Greater(self.value()),
            5 => Comparison::GreaterOrEqual(self.value()),
            _ => {
                let mask = self.value();
                Comparison::Masked {
                    mask,
                    value: self.value() & mask,
                }
            }
        };
        Condition {
            argument,
            comparison,
        }
    }
}
