//! Filters for a run with --explain.
//!
//! An errno from a filter becomes a notification, and the listener answers with
//! that errno. Among filters that notify, the kernel notifies the listener of the
//! filter loaded last; a notification of a filter without a listener fails with
//! ENOSYS (kernel/seccomp.c). So the last filter must notify for all of them.
//! Kills and traps are unchanged.

use crate::seccomp::program::{Instruction, Program, ProgramFault};

/// BPF_LD | BPF_W | BPF_ABS of `seccomp_data.nr`
const LOAD_NUMBER: Instruction = instruction(0x20, 0, 0, 0);
/// BPF_RET | BPF_K
const RETURN: u16 = 0x06;
/// SECCOMP_RET_USER_NOTIF
const NOTIFY: u32 = 0x7fc0_0000;
/// SECCOMP_RET_ALLOW
const ALLOW: u32 = 0x7fff_0000;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Whether a return value is SECCOMP_RET_ERRNO.
#[must_use]
pub fn is_errno(value: u32) -> bool {
    value & 0xffff_0000 == 0x0005_0000
}

/// The program with a notification instead of each errno.
///
/// # Errors
/// None that a [`Program`] leads to.
pub fn notifying(program: &Program) -> Result<Program, ProgramFault> {
    let instructions = program.instructions().iter();
    let changed = instructions.map(|old| match old {
        Instruction {
            code: RETURN, k, ..
        } if is_errno(*k) => instruction(RETURN, 0, 0, NOTIFY),
        other => *other,
    });
    Program::new(changed.collect())
}

/// The program to load last. It notifies for each call that one of `programs`
/// answers with an errno, and for each call number `always`. It allows
/// everything else, so that the other filters decide.
///
/// # Errors
/// The programs together are too long.
pub fn listening(programs: &[&Program], always: u32) -> Result<Program, ProgramFault> {
    let mut all = vec![
        LOAD_NUMBER,
        // BPF_JMP | BPF_JEQ | BPF_K
        instruction(0x15, 0, 1, always),
        instruction(RETURN, 0, 0, NOTIFY),
    ];
    for program in programs {
        let instructions = program.instructions();
        for (at, old) in instructions.iter().enumerate() {
            all.push(match old {
                Instruction {
                    code: RETURN, k, ..
                } if is_errno(*k) => instruction(RETURN, 0, 0, NOTIFY),
                // On to the next program; the jump is BPF_JMP | BPF_JA.
                Instruction { code: RETURN, .. } => {
                    let left = instructions.len() - at - 1;
                    let left = u32::try_from(left).map_err(|_| ProgramFault::Length(left))?;
                    instruction(0x05, 0, 0, left)
                }
                other => *other,
            });
        }
    }
    all.push(instruction(RETURN, 0, 0, ALLOW));
    Program::new(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seccomp::compile::compile;
    use crate::seccomp::interpret::{Call, run, run_stacked};
    use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
    use crate::seccomp::table::Arch;

    const ARCH: Arch = Arch::X86_64;
    const EXECVE: u32 = 59;

    fn profile() -> impl Strategy<Value = Profile> {
        let action = || {
            prop_oneof![
                Just(Action::Allow),
                Just(Action::Log),
                (1_u16..40).prop_map(Action::Errno),
                Just(Action::Trap),
                Just(Action::KillProcess),
            ]
        };
        let condition = (0_u8..3, 0_u64..3).prop_map(|(argument, value)| Condition {
            argument,
            comparison: Comparison::Equal(value),
        });
        let when = prop_oneof![
            Just(When::Always),
            prop::collection::vec(condition, 1..3).prop_map(When::All)
        ];
        let rule = (55_u32..65, when, action()).prop_map(|(syscall, when, action)| Rule {
            syscall,
            when,
            action,
        });
        (action(), prop::collection::vec(rule, 0..12)).prop_map(|(default, rules)| Profile {
            default,
            newest: u32::MAX,
            rules,
        })
    }

    proptest! {
        /// A call is notified of by the filter with the listener exactly where
        /// the filters by themselves answer with an errno, and is answered as
        /// before in all other cases.
        #[test]
        fn errnos_become_notifications_and_nothing_else_changes(
            ceiling in profile(),
            workload in profile(),
            number in 54_u32..66,
            arguments in prop::array::uniform6(0_u64..3),
            foreign in any::<bool>(),
        ) {
            let arch = if foreign { Arch::Aarch64 } else { ARCH }.audit();
            let call = Call { number, arch, instruction_pointer: 0, arguments };
            let compiled = [&ceiling, &workload].map(|profile| compile(profile, ARCH).expect("small"));
            let [below, above] = &compiled;
            let changed = [below, above].map(|program| notifying(program).expect("as long"));
            let last = listening(&[above, below], EXECVE).expect("short");

            let before = run_stacked(&[below, above], &call).expect("valid");
            let after = run_stacked(&[&changed[0], &changed[1], &last], &call).expect("valid");
            let notified = run(&last, &call).expect("valid") == NOTIFY;
            if is_errno(before) {
                prop_assert_eq!(after, NOTIFY);
                prop_assert!(notified);
            } else if number == EXECVE && (before == ALLOW || before == 0x7ffc_0000) {
                prop_assert_eq!(after, NOTIFY);
                prop_assert!(notified);
            } else {
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn programs_that_are_too_long_together_are_an_error() {
        let long = |length| {
            let mut all = vec![LOAD_NUMBER; length];
            all.push(instruction(RETURN, 0, 0, ALLOW));
            Program::new(all).expect("a program")
        };
        assert!(listening(&[&long(2000), &long(2000)], EXECVE).is_ok());
        let fault = listening(&[&long(2000), &long(2094)], EXECVE).expect_err("4100 instructions");
        assert_eq!(fault, ProgramFault::Length(4100));
    }
}
