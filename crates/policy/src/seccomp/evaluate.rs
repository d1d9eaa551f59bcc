//! Computes a profile's answers from its rules: the reference for compiled
//! programs.

use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::table::Arch;
use crate::seccomp::width::Width;

/// The answer to a call that is not in the table. Programs read ENOSYS as "this
/// kernel is older", and fall back.
pub const UNKNOWN_CALL: Action = Action::Errno(38);

/// The answer to a call of a foreign architecture (i386 on x86_64, Arm on
/// aarch64): EPERM. Such a program is not killed: it may try its 32-bit helper
/// and do without it, and a log full of killed processes would hide real ones.
pub const FOREIGN_ARCH: Action = Action::Errno(1);

/// The part of a profile that decides about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// `rules[..]`.
    Rule(usize),
    /// The default: no rule matches.
    Default,
    /// The call is newer than every call in the text.
    NewerCall,
    /// The table does not know the call.
    UnknownCall,
}

impl Action {
    /// Whether the call is executed.
    #[must_use]
    pub fn executes(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// The combined answer of this filter and of one loaded before it that
    /// answers `below`: the stricter, and among equals that of the filter loaded
    /// last (`seccomp_run_filters`, kernel/seccomp.c).
    #[must_use]
    pub fn on_top_of(self, below: Self) -> Self {
        if below.strictness() > self.strictness() {
            below
        } else {
            self
        }
    }
}

impl Profile {
    /// The action for a call that no rule matches.
    #[must_use]
    pub fn otherwise(&self, number: u32) -> Action {
        if number > self.newest && !self.default.executes() {
            UNKNOWN_CALL
        } else {
            self.default
        }
    }

    /// The action for this call of the native architecture.
    ///
    /// It is that of the strictest matching rule; among equals, the first in the
    /// text. If none matches, it is the default, ENOSYS for a call newer than
    /// the text, or [`UNKNOWN_CALL`] for a number that is not in the table.
    #[must_use]
    pub fn evaluate(&self, arch: Arch, number: u32, arguments: [u64; 6]) -> Action {
        self.decide(arch, number, &arguments.map(Some)).0
    }

    /// The same, and the part that decides. A rule that reads an unknown
    /// argument counts as matching.
    #[must_use]
    pub fn decide(
        &self,
        arch: Arch,
        number: u32,
        arguments: &[Option<u64>; 6],
    ) -> (Action, Decider) {
        if arch.name(number).is_none() {
            return (UNKNOWN_CALL, Decider::UnknownCall);
        }
        let mut answer: Option<(Action, Decider)> = None;
        for (at, rule) in self.rules.iter().enumerate() {
            let stricter = answer.is_none_or(|(a, _)| rule.action.strictness() > a.strictness());
            if rule.syscall == number && stricter && rule.matches(arch, arguments) != Tri::No {
                answer = Some((rule.action, Decider::Rule(at)));
            }
        }
        answer.unwrap_or_else(|| {
            let otherwise = self.otherwise(number);
            let newer = number > self.newest && otherwise != self.default;
            let decider = if newer {
                Decider::NewerCall
            } else {
                Decider::Default
            };
            (otherwise, decider)
        })
    }

    /// Whether this call may be denied, when only some of its arguments are
    /// known: `true` unless it is certain that it is executed.
    #[must_use]
    pub fn may_deny(&self, arch: Arch, number: u32, arguments: &[Option<u64>; 6]) -> bool {
        let mut executes = self.default.executes();
        for rule in self.rules.iter().filter(|rule| rule.syscall == number) {
            match (rule.action.executes(), rule.matches(arch, arguments)) {
                (false, Tri::Yes | Tri::Maybe) => return true,
                (true, Tri::Yes) => executes = true,
                (false, Tri::No) | (true, Tri::No | Tri::Maybe) => {}
            }
        }
        !executes
    }
}

/// Whether a condition holds, given the known arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tri {
    Yes,
    No,
    Maybe,
}

impl Rule {
    fn matches(&self, arch: Arch, arguments: &[Option<u64>; 6]) -> Tri {
        let When::All(conditions) = &self.when else {
            return Tri::Yes;
        };
        let mut all = Tri::Yes;
        for condition in conditions {
            let width = Width::of(arch, self.syscall, condition.argument, self.action);
            let known = arguments
                .get(usize::from(condition.argument))
                .copied()
                .flatten();
            match known.map(|argument| condition.holds(width, argument)) {
                Some(true) => {}
                Some(false) => return Tri::No,
                None => all = Tri::Maybe,
            }
        }
        all
    }
}

impl Condition {
    fn holds(self, width: Width, argument: u64) -> bool {
        let argument = width.cut(argument);
        match self.comparison {
            Comparison::Equal(value) => argument == value,
            Comparison::NotEqual(value) => argument != value,
            Comparison::Less(value) => argument < value,
            Comparison::LessOrEqual(value) => argument <= value,
            Comparison::Greater(value) => argument > value,
            Comparison::GreaterOrEqual(value) => argument >= value,
            Comparison::Masked { mask, value } => argument & mask == value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: Arch = Arch::X86_64;

    fn number(name: &str) -> u32 {
        ARCH.number(name).expect("a known call")
    }

    fn rule(name: &str, action: Action, comparison: Option<(u8, Comparison)>) -> Rule {
        let when = match comparison {
            None => When::Always,
            Some((argument, comparison)) => When::All(vec![Condition {
                argument,
                comparison,
            }]),
        };
        Rule {
            syscall: number(name),
            when,
            action,
        }
    }

    #[test]
    fn the_strictest_matching_rule_wins_and_the_first_among_equals() {
        let profile = Profile {
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: vec![
                rule("read", Action::Allow, None),
                rule(
                    "read",
                    Action::Errno(5),
                    Some((0, Comparison::GreaterOrEqual(3))),
                ),
                rule("read", Action::Errno(6), Some((0, Comparison::Equal(4)))),
                rule("read", Action::Trap, Some((0, Comparison::Equal(9)))),
            ],
        };
        let answer = |fd| profile.evaluate(ARCH, number("read"), [fd, 0, 0, 0, 0, 0]);
        assert_eq!(answer(0), Action::Allow);
        assert_eq!(answer(4), Action::Errno(5));
        assert_eq!(answer(9), Action::Trap);
        assert_eq!(
            profile.evaluate(ARCH, number("write"), [0; 6]),
            Action::Errno(1)
        );
        assert_eq!(profile.evaluate(ARCH, 5000, [0; 6]), Action::Errno(38));
    }

    #[test]
    fn a_denied_32_bit_argument_is_denied_with_ignored_bits_set() {
        let tiocsti = 0x5412;
        let profile = Profile {
            default: Action::Allow,
            newest: u32::MAX,
            rules: vec![rule(
                "ioctl",
                Action::Errno(1),
                Some((1, Comparison::Equal(tiocsti))),
            )],
        };
        let answer = |command| profile.evaluate(ARCH, number("ioctl"), [0, command, 0, 0, 0, 0]);
        assert_eq!(answer(tiocsti), Action::Errno(1));
        assert_eq!(answer(1 << 32 | tiocsti), Action::Errno(1));
        assert_eq!(answer(tiocsti + 1), Action::Allow);
    }

    #[test]
    fn an_allowed_32_bit_argument_is_denied_with_ignored_bits_set() {
        let profile = Profile {
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: vec![rule(
                "personality",
                Action::Allow,
                Some((0, Comparison::Equal(8))),
            )],
        };
        let answer =
            |persona| profile.evaluate(ARCH, number("personality"), [persona, 0, 0, 0, 0, 0]);
        assert_eq!(answer(8), Action::Allow);
        assert_eq!(answer(1 << 32 | 8), Action::Errno(1));
    }

    #[test]
    fn a_call_with_unknown_arguments_may_be_denied() {
        let profile = Profile {
            default: Action::Errno(1),
            newest: u32::MAX,
            rules: vec![
                rule("write", Action::Allow, Some((0, Comparison::Equal(1)))),
                rule("ioctl", Action::Allow, None),
                rule("ioctl", Action::Errno(1), Some((1, Comparison::Equal(7)))),
                rule("read", Action::Allow, None),
            ],
        };
        let any = [None; 6];
        let command = |value| [None, Some(value), None, None, None, None];
        assert!(profile.may_deny(ARCH, number("write"), &any));
        assert!(!profile.may_deny(ARCH, number("write"), &[Some(1); 6]));
        assert!(profile.may_deny(ARCH, number("ioctl"), &any));
        assert!(profile.may_deny(ARCH, number("ioctl"), &command(7)));
        assert!(!profile.may_deny(ARCH, number("ioctl"), &command(8)));
        assert!(!profile.may_deny(ARCH, number("read"), &any));
        assert!(profile.may_deny(ARCH, number("execve"), &any));
    }

    #[test]
    fn the_deciding_rule_is_returned() {
        let masked = Comparison::Masked { mask: 1, value: 1 };
        let profile = Profile {
            default: Action::Errno(1),
            newest: number("statx"),
            rules: vec![
                rule("read", Action::Allow, None),
                rule("read", Action::KillProcess, Some((0, masked))),
                rule("read", Action::KillProcess, None),
            ],
        };
        let decide = |name: &str, first| {
            let arguments = [first, Some(0), Some(0), Some(0), Some(0), Some(0)];
            profile.decide(ARCH, number(name), &arguments)
        };
        let kill = Action::KillProcess;
        assert_eq!(decide("read", Some(1)), (kill, Decider::Rule(1)));
        assert_eq!(decide("read", Some(2)), (kill, Decider::Rule(2)));
        // The arguments of a killed call may be unknown.
        assert_eq!(decide("read", None), (kill, Decider::Rule(1)));
        assert_eq!(decide("write", None), (Action::Errno(1), Decider::Default));
        assert_eq!(decide("clone3", None), (UNKNOWN_CALL, Decider::NewerCall));
        let unknown = profile.decide(ARCH, 900, &[None; 6]);
        assert_eq!(unknown, (UNKNOWN_CALL, Decider::UnknownCall));
    }
}
