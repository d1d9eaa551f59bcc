use proptest::prelude::*;

use super::*;
use crate::seccomp::boundary::disagreement;
use crate::seccomp::interpret::{Call, run, run_stacked};
use crate::seccomp::profile::Rule;

fn number(name: &str) -> u32 {
    Arch::X86_64.number(name).expect("a known call")
}

fn equal(argument: u8, value: u64) -> When {
    When::All(vec![Condition {
        argument,
        comparison: Comparison::Equal(value),
    }])
}

fn profile(default: Action, rules: Vec<(&str, When, Action)>) -> Profile {
    let rules = rules.into_iter().map(|(name, when, action)| Rule {
        syscall: number(name),
        when,
        action,
    });
    Profile {
        default,
        newest: u32::MAX,
        rules: rules.collect(),
    }
}

fn answer(program: &Program, arch: u32, number: u32, arguments: [u64; 6]) -> Option<u32> {
    let call = Call {
        number,
        arch,
        instruction_pointer: 0,
        arguments,
    };
    run(program, &call)
}

#[test]
fn foreign_architectures_are_denied_for_every_number() {
    let allow = profile(
        Action::Allow,
        vec![("ptrace", When::Always, Action::Errno(1))],
    );
    for arch in Arch::ALL {
        let empty = Profile {
            default: Action::Allow,
            newest: u32::MAX,
            rules: Vec::new(),
        };
        let program = compile(&empty, arch).expect("compiles");
        // AUDIT_ARCH_I386, AUDIT_ARCH_ARM, and the other of the two.
        let other = Arch::ALL.into_iter().find(|a| *a != arch).expect("two");
        for foreign in [0x4000_0003, 0x4000_0028, other.audit(), 0, u32::MAX] {
            for number in [0, 1, 59, 221, 400] {
                assert_eq!(
                    answer(&program, foreign, number, [0; 6]),
                    Some(0x0005_0001),
                    "{foreign:#x}"
                );
            }
        }
    }
    let program = compile(&allow, Arch::X86_64).expect("compiles");
    assert_eq!(answer(&program, 0x4000_0003, 26, [0; 6]), Some(0x0005_0001));
}

#[test]
fn x32_and_unknown_numbers_answer_enosys_where_all_is_allowed() {
    let allow = profile(Action::Allow, Vec::new());
    let program = compile(&allow, Arch::X86_64).expect("compiles");
    let audit = Arch::X86_64.audit();
    for unknown in [337, 423, 472, 1000, 0x4000_0000, 0x4000_0065, u32::MAX] {
        let got = answer(&program, audit, unknown, [0; 6]);
        assert_eq!(got, Some(0x0005_0026), "{unknown}");
    }
    assert_eq!(answer(&program, audit, 471, [0; 6]), Some(0x7fff_0000));
}

/// A filter of another project was weaker than its text because one of two
/// entries of a call, with and without conditions, replaced the other.
#[test]
fn an_unconditional_rule_is_not_lost_beside_a_conditional_one() {
    let read = number("read");
    for rules in [
        vec![
            ("read", When::Always, Action::Trap),
            ("read", equal(0, 3), Action::Trap),
        ],
        vec![
            ("read", equal(0, 3), Action::Trap),
            ("read", When::Always, Action::Trap),
        ],
    ] {
        let profile = profile(Action::Allow, rules);
        let program = compile(&profile, Arch::X86_64).expect("compiles");
        for fd in [0, 3, 4] {
            let arguments = [fd, 0, 0, 0, 0, 0];
            assert_eq!(
                answer(&program, Arch::X86_64.audit(), read, arguments),
                Some(0x0003_0000)
            );
        }
    }
}

#[test]
fn a_rule_with_an_empty_list_of_conditions_is_refused() {
    let profile = profile(
        Action::Errno(1),
        vec![("read", When::All(vec![]), Action::Allow)],
    );
    let fault = CompileFault::NoConditions(number("read"));
    assert_eq!(compile(&profile, Arch::X86_64), Err(fault));
}

#[test]
fn a_rule_without_a_meaning_is_an_error() {
    let wrong = |when, action| {
        compile(
            &profile(Action::Allow, vec![("ioctl", when, action)]),
            Arch::X86_64,
        )
    };
    let deny = Action::Errno(1);
    assert_eq!(
        wrong(When::Always, Action::Errno(4096)),
        Err(CompileFault::Errno(4096))
    );
    assert!(wrong(When::Always, Action::Errno(4095)).is_ok());
    assert_eq!(wrong(equal(6, 0), deny), Err(CompileFault::Argument(6)));
    assert!(wrong(equal(5, 0), deny).is_ok());
    let (argument, value) = (1, 1 << 32);
    let wide = CompileFault::Wide {
        rule: 0,
        call: "ioctl",
        argument,
        value,
    };
    assert_eq!(wrong(equal(1, value), deny), Err(wide));
    assert!(wrong(equal(1, value), Action::Allow).is_ok());
    assert!(wrong(equal(1, value - 1), deny).is_ok());
    let comparison = Comparison::Masked { mask: 6, value: 1 };
    let masked = When::All(vec![Condition {
        argument,
        comparison,
    }]);
    assert_eq!(
        wrong(masked, deny),
        Err(CompileFault::Mask { mask: 6, value: 1 })
    );
    let default = profile(Action::Errno(4096), Vec::new());
    assert_eq!(
        compile(&default, Arch::X86_64),
        Err(CompileFault::Errno(4096))
    );
    let unknown = Rule {
        syscall: 337,
        when: When::Always,
        action: deny,
    };
    let unknown = Profile {
        default: Action::Allow,
        newest: u32::MAX,
        rules: vec![unknown],
    };
    assert_eq!(
        compile(&unknown, Arch::X86_64),
        Err(CompileFault::Syscall(337))
    );
}

#[test]
fn branches_reach_over_programs_longer_than_a_branch() {
    // Each call is treated in a way of its own: 10 or more instructions each.
    for arch in Arch::ALL {
        let rule = |(value, syscall): (u64, u32)| Rule {
            syscall,
            when: equal(3, value << 33 | value),
            action: Action::Allow,
        };
        let profile = Profile {
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: (0..).zip(arch.numbers()).map(rule).collect(),
        };
        let program = compile(&profile, arch).expect("compiles");
        assert!(program.instructions().len() > 2000, "{program:?}");
        assert_eq!(disagreement(&profile, &program, arch), None);
    }
}

#[test]
fn a_program_that_the_kernel_would_refuse_is_refused_here() {
    let conditions = |count: u64| {
        let rule = |value| Rule {
            syscall: number("read"),
            when: equal(2, value),
            action: Action::Allow,
        };
        Profile {
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: (0..count).map(rule).collect(),
        }
    };
    // 5 instructions a rule, 7 for all else.
    let longest = compile(&conditions(817), Arch::X86_64).expect("compiles");
    assert!(longest.instructions().len() > 4096 - 5, "{longest:?}");
    for (value, expected) in [(0, 0x7fff_0000), (816, 0x7fff_0000), (817, 0x0005_0001)] {
        let got = answer(
            &longest,
            Arch::X86_64.audit(),
            number("read"),
            [0, 0, value, 0, 0, 0],
        );
        assert_eq!(got, Some(expected), "{value}");
    }
    assert!(matches!(
        compile(&conditions(819), Arch::X86_64),
        Err(CompileFault::Program(ProgramFault::Length(_)))
    ));
}

prop_compose! {
    fn a_value()(
        kind in 0..5,
        small in 0_u64..40,
        bit in 0_u32..64,
        any in any::<u64>(),
    ) -> u64 {
        match kind {
            0 => small,
            1 => 1 << bit,
            2 => (1 << bit) - 1,
            3 => u64::from(u32::MAX) + small,
            _ => any,
        }
    }
}

fn a_comparison() -> impl Strategy<Value = Comparison> {
    (0..7, a_value(), a_value()).prop_map(|(kind, value, mask)| match kind {
        0 => Comparison::Equal(value),
        1 => Comparison::NotEqual(value),
        2 => Comparison::Less(value),
        3 => Comparison::LessOrEqual(value),
        4 => Comparison::Greater(value),
        5 => Comparison::GreaterOrEqual(value),
        _ => Comparison::Masked {
            mask,
            value: value & mask,
        },
    })
}

fn an_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Allow),
        1 => Just(Action::Log),
        2 => (0..4_u16).prop_map(Action::Errno),
        1 => Just(Action::Errno(MAX_ERRNO)),
        1 => Just(Action::Trap),
        1 => Just(Action::KillThread),
        1 => Just(Action::KillProcess),
    ]
}

fn a_when() -> impl Strategy<Value = When> {
    let condition = (0..6_u8, a_comparison()).prop_map(|(argument, comparison)| Condition {
        argument,
        comparison,
    });
    prop_oneof![
        2 => Just(When::Always),
        3 => prop::collection::vec(condition, 1..4).prop_map(When::All),
    ]
}

/// Few calls and many rules, so that rules overlap.
fn a_profile(arch: Arch) -> impl Strategy<Value = Profile> {
    let names = vec![
        "read",
        "ioctl",
        "clone",
        "socket",
        "personality",
        "openat",
        "listns",
    ];
    let rule = (prop::sample::select(names), a_when(), an_action()).prop_map(
        move |(name, when, action)| {
            let syscall = arch.number(name).expect("a known call");
            let fits = |condition: Condition| {
                let width = Width::of(arch, syscall, condition.argument, action);
                Condition {
                    comparison: narrowed(condition.comparison, width),
                    ..condition
                }
            };
            let when = match when {
                When::Always => When::Always,
                When::All(conditions) => When::All(conditions.into_iter().map(fits).collect()),
            };
            Rule {
                syscall,
                when,
                action,
            }
        },
    );
    let rules = prop::collection::vec(rule, 0..16);
    let newest = prop_oneof![Just(u32::MAX), Just(334), 0..500_u32];
    (an_action(), newest, rules).prop_map(|(default, newest, rules)| Profile {
        default,
        newest,
        rules,
    })
}

/// A comparison limited to the values of a 32-bit argument.
fn narrowed(comparison: Comparison, width: Width) -> Comparison {
    match comparison {
        Comparison::Equal(v) => Comparison::Equal(width.cut(v)),
        Comparison::NotEqual(v) => Comparison::NotEqual(width.cut(v)),
        Comparison::Less(v) => Comparison::Less(width.cut(v)),
        Comparison::LessOrEqual(v) => Comparison::LessOrEqual(width.cut(v)),
        Comparison::Greater(v) => Comparison::Greater(width.cut(v)),
        Comparison::GreaterOrEqual(v) => Comparison::GreaterOrEqual(width.cut(v)),
        Comparison::Masked { mask, value } => Comparison::Masked {
            mask,
            value: width.cut(value),
        },
    }
}

fn an_arch_and_profile() -> impl Strategy<Value = (Arch, Profile)> {
    prop::sample::select(Arch::ALL.to_vec())
        .prop_flat_map(|arch| a_profile(arch).prop_map(move |profile| (arch, profile)))
}

proptest! {
    #[test]
    fn compiled_programs_implement_their_profiles((arch, profile) in an_arch_and_profile()) {
        let program = compile(&profile, arch).expect("compiles");
        assert_eq!(disagreement(&profile, &program, arch), None);
    }

    #[test]
    fn the_same_profile_gives_the_same_program((arch, profile) in an_arch_and_profile()) {
        prop_assert_eq!(compile(&profile, arch), compile(&profile.clone(), arch));
    }

    /// Composition of profiles is commutative except for the errno, idempotent
    /// and associative, and never allows more than each profile alone.
    #[test]
    fn composition_narrows_in_meaning(
        profiles in prop::array::uniform3(a_profile(Arch::X86_64)),
        arguments in prop::array::uniform6(a_value()),
    ) {
        for name in ["read", "ioctl", "socket"] {
            let number = number(name);
            let [a, b, c] = [0, 1, 2].map(|at: usize| profiles[at].evaluate(Arch::X86_64, number, arguments));
            let both = a.on_top_of(b);
            prop_assert_eq!(both.strictness(), b.on_top_of(a).strictness());
            prop_assert_eq!(a.on_top_of(a), a);
            prop_assert_eq!(both.on_top_of(c), a.on_top_of(b.on_top_of(c)));
            prop_assert_eq!(both.executes(), a.executes() && b.executes());
            prop_assert!(both == a || both == b);
        }
    }

    /// Compiled filters together give the answers of the composition of their
    /// profiles.
    #[test]
    fn stacked_programs_implement_their_composition(
        oldest_first in prop::array::uniform3(a_profile(Arch::X86_64)),
        arguments in prop::array::uniform6(a_value()),
    ) {
        let arch = Arch::X86_64;
        let programs = [0, 1, 2].map(|at: usize| compile(&oldest_first[at], arch).expect("compiles"));
        for name in ["read", "ioctl", "socket"] {
            let number = number(name);
            let call = Call { number, arch: arch.audit(), instruction_pointer: 0, arguments };
            let meant = oldest_first
                .iter()
                .map(|profile| profile.evaluate(arch, number, arguments))
                .reduce(|below, above| above.on_top_of(below))
                .expect("three");
            let stack: Vec<&Program> = programs.iter().collect();
            prop_assert_eq!(run_stacked(&stack, &call), Some(return_value(meant)));
        }
    }

    /// An additional rule that denies never allows a call that was denied
    /// before.
    #[test]
    fn a_rule_that_denies_never_widens(
        (arch, profile) in an_arch_and_profile(),
        when in a_when(),
        arguments in prop::array::uniform6(a_value()),
    ) {
        for name in ["read", "ioctl", "socket"] {
            let syscall = arch.number(name).expect("a known call");
            let mut narrower = profile.clone();
            narrower.rules.push(Rule { syscall, when: when.clone(), action: Action::Errno(1) });
            let before = profile.evaluate(arch, syscall, arguments);
            let after = narrower.evaluate(arch, syscall, arguments);
            prop_assert!(before.executes() || !after.executes());
        }
    }

    /// A certain answer of `may_deny` holds for all arguments.
    #[test]
    fn a_call_that_may_not_be_denied_is_executed(
        (arch, profile) in an_arch_and_profile(),
        arguments in prop::array::uniform6(a_value()),
        known in prop::array::uniform6(any::<bool>()),
    ) {
        let mut some = [None; 6];
        for (at, known) in known.into_iter().enumerate() {
            some[at] = known.then_some(arguments[at]);
        }
        for name in ["read", "ioctl", "socket", "write"] {
            let syscall = arch.number(name).expect("a known call");
            if !profile.may_deny(arch, syscall, &some) {
                prop_assert!(profile.evaluate(arch, syscall, arguments).executes());
            }
        }
    }
}
