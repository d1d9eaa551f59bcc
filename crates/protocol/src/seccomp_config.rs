//! The raw seccomp filter in an initConfig: `config.seccomp`.

use nsexec_policy_engine::seccomp::libcontainer;
use serde::Deserialize;

use nsexec_text::json::objects;

/// `config.seccomp`.
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

impl From<Config> for libcontainer::Config {
    fn from(written: Config) -> Self {
        let arg = |arg: Arg| libcontainer::Arg {
            index: arg.index,
            value: arg.value,
            value_two: arg.value_two,
            op: arg.op,
        };
        let syscall = |syscall: Syscall| libcontainer::Syscall {
            name: syscall.name,
            action: syscall.action,
            args: syscall.args.map(|args| args.into_iter().map(arg).collect()),
        };
        let syscalls = written.syscalls;
        Self {
            default_action: written.default_action,
            architectures: written.architectures,
            syscalls: syscalls.map(|list| list.into_iter().map(syscall).collect()),
        }
    }
}
