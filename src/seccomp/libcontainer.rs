//! The seccomp filter of a 2015 libcontainer configuration (`configs.Seccomp`
//! of runc's libcontainer, as it stands in protocol A's initConfig).

use std::fmt;

use serde::Deserialize;

use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::table::{Arch, is_go_architecture};

/// EPERM: the only errno of that format.
const ERRNO: u16 = 1;

/// `config.seccomp`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// -4 kill, -3 errno, -2 trap, -1 allow.
    pub default_action: i32,
    /// Names as Go's libseccomp binding has them: `amd64`, `x86`, ...
    pub architectures: Option<Vec<String>>,
    /// The rules.
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
    pub args: Option<Vec<Arg>>,
}

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    /// The argument: 0 to 5.
    pub index: u32,
    /// What it is compared with; for operator 6 the mask.
    pub value: u64,
    /// For operator 6, what the masked argument has to be.
    pub value_two: u64,
    /// 0 `==`, 1 `!=`, 2 `>`, 3 `>=`, 4 `<`, 5 `<=`, 6 masked `==`.
    pub op: u32,
}

/// A configuration as this architecture understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What it means.
    pub profile: Profile,
    /// Names that the architecture has no system call for, in their order; as
    /// with libcontainer, their rules are left out.
    pub skipped: Vec<String>,
}

/// Why a configuration has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
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
        /// What they have to be.
        value: u64,
    },
}

/// The meaning of `config` on `arch`.
///
/// Of its architectures only the native one is let in.
///
/// # Errors
/// The first thing that has no meaning.
pub fn resolve_libcontainer_2015(config: &Config, arch: Arch) -> Result<Resolved, Reason> {
    for name in config.architectures.iter().flatten() {
        if !is_go_architecture(name) {
            return Err(Reason::Architecture(name.clone()));
        }
    }
    let mut profile = Profile {
        default: action(config.default_action)?,
        rules: Vec::new(),
    };
    let mut skipped = Vec::new();
    for call in config.syscalls.iter().flatten() {
        if call.name.is_empty() {
            return Err(Reason::EmptyName);
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
    Ok(Resolved { profile, skipped })
}

fn action(number: i32) -> Result<Action, Reason> {
    match number {
        -4 => Ok(Action::KillThread),
        -3 => Ok(Action::Errno(ERRNO)),
        -2 => Ok(Action::Trap),
        -1 => Ok(Action::Allow),
        other => Err(Reason::Action(other)),
    }
}

fn when(args: &[Arg]) -> Result<When, Reason> {
    let mut conditions: Vec<Condition> = Vec::with_capacity(args.len());
    for arg in args {
        let condition = condition(*arg)?;
        if conditions.iter().any(|c| c.argument == condition.argument) {
            return Err(Reason::ArgumentTwice(arg.index));
        }
        conditions.push(condition);
    }
    Ok(if conditions.is_empty() {
        When::Always
    } else {
        When::All(conditions)
    })
}

fn condition(arg: Arg) -> Result<Condition, Reason> {
    let argument = match u8::try_from(arg.index) {
        Ok(index @ 0..=5) => index,
        _ => return Err(Reason::Argument(arg.index)),
    };
    let comparison = match arg.op {
        0 => Comparison::Equal(arg.value),
        1 => Comparison::NotEqual(arg.value),
        2 => Comparison::Greater(arg.value),
        3 => Comparison::GreaterOrEqual(arg.value),
        4 => Comparison::Less(arg.value),
        5 => Comparison::LessOrEqual(arg.value),
        6 if arg.value_two & !arg.value != 0 => {
            return Err(Reason::Mask {
                mask: arg.value,
                value: arg.value_two,
            });
        }
        6 => Comparison::Masked {
            mask: arg.value,
            value: arg.value_two,
        },
        other => return Err(Reason::Operator(other)),
    };
    Ok(Condition {
        argument,
        comparison,
    })
}

impl fmt::Display for Reason {
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
                write!(f, "two conditions on argument {index}; a rule takes one")
            }
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask} can be {value}: the value has bits that the mask lacks"
            ),
        }
    }
}

impl std::error::Error for Reason {}
