//! The seccomp filter of a 2015 libcontainer configuration (`configs.Seccomp` of
//! runc's libcontainer, as contained in protocol A's initConfig).

use std::fmt;

use serde::Deserialize;

use nsexec_text::json::objects;

use crate::seccomp::clone3;
use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::table::{Arch, is_go_architecture};

/// EPERM: the only errno of that format.
const ERRNO: u16 = 1;

/// `config.seccomp`. Go writes each key always, so that none may be missing:
/// a rule that lost its conditions would hold for any arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// -4 kill, -3 errno, -2 trap, -1 allow.
    pub default_action: i32,
    /// Names as Go's libseccomp binding has them: `amd64`, `x86`, ...
    #[serde(deserialize_with = "Option::deserialize")]
    pub architectures: Option<Vec<String>>,
    /// The rules.
    #[serde(deserialize_with = "objects")]
    pub syscalls: Option<Vec<Syscall>>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syscall {
    /// The system call.
    pub name: String,
    /// As `default_action`.
    pub action: i32,
    /// Conditions that must hold together.
    #[serde(deserialize_with = "objects")]
    pub args: Option<Vec<Arg>>,
}

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    /// The argument: 0 to 5.
    pub index: u32,
    /// The value to compare with; for operator 6 the mask.
    pub value: u64,
    /// For operator 6, the expected value of the masked argument.
    pub value_two: u64,
    /// 0 `==`, 1 `!=`, 2 `>`, 3 `>=`, 4 `<`, 5 `<=`, 6 masked `==`.
    pub op: u32,
}

/// A configuration resolved for this architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The profile.
    pub profile: Profile,
    /// Names without a system call on this architecture, in order. As in
    /// libcontainer, their rules are skipped.
    pub skipped: Vec<String>,
}

/// Why a configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibcontainerErrorKind {
    /// No action has this number.
    Action(i32),
    /// No operator has this number.
    Operator(u32),
    /// A rule with an empty name.
    EmptyName,
    /// No architecture has this name.
    Architecture(String),
    /// An argument beyond 5.
    Argument(u32),
    /// Two conditions on one argument, which libseccomp refuses.
    ArgumentTwice(u32),
    /// A masked comparison that never holds.
    Mask {
        /// The bits that are looked at.
        mask: u64,
        /// The expected value of the masked bits.
        value: u64,
    },
}

/// The meaning of `config` on `arch`.
///
/// Only the native one of its architectures is allowed.
///
/// # Errors
/// The first error in the configuration.
pub fn resolve_libcontainer_2015(
    config: &Config,
    arch: Arch,
) -> Result<Resolved, LibcontainerErrorKind> {
    for name in config.architectures.iter().flatten() {
        if !is_go_architecture(name) {
            return Err(LibcontainerErrorKind::Architecture(name.clone()));
        }
    }
    let mut profile = Profile {
        default: action(config.default_action)?,
        newest: u32::MAX,
        rules: Vec::new(),
    };
    let mut skipped = Vec::new();
    for call in config.syscalls.iter().flatten() {
        if call.name.is_empty() {
            return Err(LibcontainerErrorKind::EmptyName);
        }
        let action = action(call.action)?;
        let when = when(call.args.as_deref().unwrap_or_default())?;
        match arch.number(&call.name) {
            Some(syscall) => profile.rules.push(Rule {
                syscall,
                when,
                action,
            }),
            None => skipped.push(call.name.clone()),
        }
    }
    let newest = profile.rules.iter().map(|rule| rule.syscall).max();
    profile.newest = newest.unwrap_or(u32::MAX);
    let clone3 = clone3::rule(&profile, arch);
    profile.rules.extend(clone3);
    Ok(Resolved { profile, skipped })
}

fn action(number: i32) -> Result<Action, LibcontainerErrorKind> {
    match number {
        -4 => Ok(Action::KillThread),
        -3 => Ok(Action::Errno(ERRNO)),
        -2 => Ok(Action::Trap),
        -1 => Ok(Action::Allow),
        other => Err(LibcontainerErrorKind::Action(other)),
    }
}

fn when(args: &[Arg]) -> Result<When, LibcontainerErrorKind> {
    let mut conditions: Vec<Condition> = Vec::with_capacity(args.len());
    for arg in args {
        let condition = condition(*arg)?;
        if conditions.iter().any(|c| c.argument == condition.argument) {
            return Err(LibcontainerErrorKind::ArgumentTwice(arg.index));
        }
        conditions.push(condition);
    }
    Ok(if conditions.is_empty() {
        When::Always
    } else {
        When::All(conditions)
    })
}

fn condition(arg: Arg) -> Result<Condition, LibcontainerErrorKind> {
    let argument = match u8::try_from(arg.index) {
        Ok(index @ 0..=5) => index,
        _ => return Err(LibcontainerErrorKind::Argument(arg.index)),
    };
    let comparison = match arg.op {
        0 => Comparison::Equal(arg.value),
        1 => Comparison::NotEqual(arg.value),
        2 => Comparison::Greater(arg.value),
        3 => Comparison::GreaterOrEqual(arg.value),
        4 => Comparison::Less(arg.value),
        5 => Comparison::LessOrEqual(arg.value),
        6 if arg.value_two & !arg.value != 0 => {
            return Err(LibcontainerErrorKind::Mask {
                mask: arg.value,
                value: arg.value_two,
            });
        }
        6 => Comparison::Masked {
            mask: arg.value,
            value: arg.value_two,
        },
        other => return Err(LibcontainerErrorKind::Operator(other)),
    };
    Ok(Condition {
        argument,
        comparison,
    })
}

impl fmt::Display for LibcontainerErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action(number) => write!(
                f,
                "no seccomp action has number {number}; they are -4 (kill) to -1 (allow)"
            ),
            Self::Operator(number) => {
                write!(
                    f,
                    "no seccomp operator has number {number}; they are 0 to 6"
                )
            }
            Self::EmptyName => write!(f, "empty string is not a valid syscall"),
            Self::Architecture(name) => write!(f, "no architecture is named {name:?}"),
            Self::Argument(index) => write!(f, "there is no argument {index}; they are 0 to 5"),
            Self::ArgumentTwice(index) => {
                write!(f, "two conditions on argument {index}; a rule accepts one")
            }
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask} can be {value}: the value has bits that the mask lacks"
            ),
        }
    }
}

impl std::error::Error for LibcontainerErrorKind {}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).expect("a configuration")
    }

    fn resolved(text: &str) -> Result<Resolved, LibcontainerErrorKind> {
        resolve_libcontainer_2015(&config(text), Arch::X86_64)
    }

    fn with_arg(arg: &str) -> Result<Resolved, LibcontainerErrorKind> {
        resolved(&format!(
            r#"{{ "default_action": -1, "architectures": null,
                 "syscalls": [{{ "name": "ioctl", "action": -3, "args": [{arg}] }}] }}"#
        ))
    }

    #[test]
    fn actions_and_names_are_libcontainer_s() {
        let resolved = resolved(
            r#"{ "default_action": -4, "architectures": ["amd64", "x86", "x32"],
                 "syscalls": [
                   { "name": "read", "action": -1, "args": null },
                   { "name": "no_such_call", "action": -1, "args": [] },
                   { "name": "chown32", "action": -3, "args": null },
                   { "name": "write", "action": -2, "args": [] },
                   { "name": "mount", "action": -3, "args": null }
                 ] }"#,
        )
        .expect("resolves");
        assert_eq!(resolved.profile.default, Action::KillThread);
        let rules: Vec<_> = resolved
            .profile
            .rules
            .iter()
            .map(|rule| (rule.syscall, rule.action))
            .collect();
        assert_eq!(
            rules,
            [
                (0, Action::Allow),
                (1, Action::Trap),
                (165, Action::Errno(1))
            ]
        );
        assert_eq!(resolved.skipped, ["no_such_call", "chown32"]);
    }

    #[test]
    fn operators_are_libcontainer_s() {
        let of = |op: u32| {
            let two = if op == 6 { 4 } else { 0 };
            let arg = format!(r#"{{ "index": 1, "value": 6, "value_two": {two}, "op": {op} }}"#);
            let resolved = with_arg(&arg).expect("resolves");
            match &resolved.profile.rules[0].when {
                When::All(conditions) => conditions[0].comparison,
                When::Always => panic!("no condition"),
            }
        };
        assert_eq!(of(0), Comparison::Equal(6));
        assert_eq!(of(1), Comparison::NotEqual(6));
        assert_eq!(of(2), Comparison::Greater(6));
        assert_eq!(of(3), Comparison::GreaterOrEqual(6));
        assert_eq!(of(4), Comparison::Less(6));
        assert_eq!(of(5), Comparison::LessOrEqual(6));
        assert_eq!(of(6), Comparison::Masked { mask: 6, value: 4 });
    }

    #[test]
    fn a_rule_without_a_meaning_is_an_error() {
        let arg = |index: u32, value: u64, two: u64, op: u32| {
            format!(r#"{{ "index": {index}, "value": {value}, "value_two": {two}, "op": {op} }}"#)
        };
        assert_eq!(
            with_arg(&arg(6, 0, 0, 0)),
            Err(LibcontainerErrorKind::Argument(6))
        );
        assert_eq!(
            with_arg(&arg(256, 0, 0, 0)),
            Err(LibcontainerErrorKind::Argument(256))
        );
        assert_eq!(
            with_arg(&arg(0, 0, 0, 7)),
            Err(LibcontainerErrorKind::Operator(7))
        );
        let (mask, value) = (6, 1);
        assert_eq!(
            with_arg(&arg(0, 6, 1, 6)),
            Err(LibcontainerErrorKind::Mask { mask, value })
        );
        let twice = format!("{}, {}", arg(1, 0, 0, 0), arg(1, 1, 0, 0));
        assert_eq!(
            with_arg(&twice),
            Err(LibcontainerErrorKind::ArgumentTwice(1))
        );
        for (text, reason) in [
            (
                r#"{ "default_action": 0, "architectures": null, "syscalls": null }"#,
                LibcontainerErrorKind::Action(0),
            ),
            (
                r#"{ "default_action": -5, "architectures": null, "syscalls": null }"#,
                LibcontainerErrorKind::Action(-5),
            ),
            (
                r#"{ "default_action": -1, "architectures": ["i386"], "syscalls": null }"#,
                LibcontainerErrorKind::Architecture("i386".to_owned()),
            ),
            (
                r#"{ "default_action": -1, "architectures": null,
                     "syscalls": [{ "name": "", "action": -3, "args": null }] }"#,
                LibcontainerErrorKind::EmptyName,
            ),
        ] {
            assert_eq!(resolved(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn unknown_repeated_and_missing_keys_are_refused() {
        for text in [
            r#"{ "default_action": -1, "syscalls": null, "arch": [] }"#,
            r#"{ "default_action": -1, "default_action": -3, "architectures": null, "syscalls": null }"#,
            r#"{ "architectures": null, "syscalls": null }"#,
            r#"{ "default_action": -1, "syscalls": null }"#,
            r#"{ "default_action": -1, "architectures": null }"#,
            r#"{ "default_action": -1, "architectures": null,
                 "syscalls": [{ "name": "read", "action": -3 }] }"#,
            r#"{ "default_action": -1, "architectures": null,
                 "syscalls": [{ "name": "read", "action": -3, "arg": null }] }"#,
            r#"{ "default_action": -1, "architectures": null,
                 "syscalls": [{ "name": "read", "action": -3, "args": [{ "index": 0, "value": 1, "op": 0 }] }] }"#,
        ] {
            assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
