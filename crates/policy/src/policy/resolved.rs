//! A policy ready to apply: without unresolved names, conditions or files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::policy::layered::Layered;
use crate::seccomp::program::Program;
use nsexec_kernel_text::capability::CapabilitySet;

pub use crate::policy::right::{LogFlag, Right};

/// A policy that is ready to apply. Only `policy` makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedPolicy {
    /// The name that the status report shows.
    pub name: String,
    /// Restricts everything from before the clone on: helper and program.
    pub ceiling: Layers,
    /// Binds the program, on top of the ceiling.
    pub workload: Layers,
    /// The attributes of the program's process.
    pub process: Process,
    /// Whether `--preserve-fds` is allowed.
    pub preserve_fds: bool,
}

/// The sandbox layers of the ceiling or of the workload.
pub type Layers = Layered<Layer<Program>, Layer<LandlockRules>>;

/// A layer, or the author's reason to leave it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Layer<T> {
    /// It is enforced, or the exec fails.
    Enforce(T),
    /// The layer is left out.
    None {
        /// Why; shown in the status report.
        reason: String,
    },
}

impl<T> Layer<T> {
    /// The layer to enforce; `None` if it is left out.
    #[must_use]
    pub fn enforced(&self) -> Option<&T> {
        match self {
            Self::Enforce(layer) => Some(layer),
            Self::None { .. } => None,
        }
    }
}

/// Whether a layer or right is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Require {
    /// All of it is required, or the exec fails.
    Full,
    /// Enforce the part if the kernel supports it, else list it as dropped.
    BestEffort {
        /// Why; shown in the status report.
        reason: String,
    },
}

/// Landlock rules by path: the paths are opened inside the program's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandlockRules {
    /// Behaviour on a kernel without Landlock's REFER right (before 5.19): with
    /// `BestEffort` the whole layer is left out there, and this is reported.
    pub require: Require,
    /// The rights that are denied wherever no rule grants them. Not empty, or
    /// `scopes` is not.
    pub handled: Vec<HandledRight>,
    /// The log flags for audit, each at most once. Without a flag, the kernel
    /// logs only denials before the next execve.
    pub log: Vec<RequestedLogFlag>,
    /// Grants beneath paths of the program's root.
    pub beneath: Vec<BeneathRule>,
    /// Grants for TCP ports.
    pub ports: Vec<PortRule>,
}

/// A right that a domain handles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandledRight {
    /// The right.
    pub right: Right,
    /// Whether the kernel must know it.
    pub require: Require,
}

/// A flag of landlock_restrict_self(2) that a domain requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedLogFlag {
    /// The flag.
    pub flag: LogFlag,
    /// Whether the kernel must know it.
    pub require: Require,
}

/// Rights granted beneath a path of the program's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeneathRule {
    /// Absolute, resolved inside the program's root. A path that is not there
    /// grants nothing and is listed in the status report.
    pub path: PathBuf,
    /// File-system rights, all of them handled. Not empty.
    pub rights: Vec<Right>,
}

/// Rights granted for a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRule {
    /// The port; 0 means a port that the kernel chooses.
    pub port: u16,
    /// `BindTcp` or `ConnectTcp`, handled. Not empty.
    pub rights: Vec<Right>,
}

/// The attributes of the program's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The upper limit of the program's capabilities.
    pub capabilities: Capabilities,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privs: bool,
    /// Whether supplementary groups of the caller stay.
    pub keep_groups: bool,
    /// Which session keyring the program has, session-keyring(7).
    pub keyring: Keyring,
    /// The cgroups the program runs in.
    pub cgroup: Follow,
    /// The program's label of a security module.
    pub label: Follow,
    /// setrlimit(2), in this order.
    pub rlimits: Vec<Rlimit>,
    /// umask(2); `None`: the caller's.
    pub umask: Option<u32>,
    /// -1000 to 1000; `None`: the caller's.
    pub oom_score_adj: Option<i16>,
    /// The environment.
    pub environment: Environment,
}

/// Whether the program has something of the target's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Follow {
    /// The caller's.
    Caller,
    /// The target's; with `BestEffort` the caller's if the target's is
    /// unavailable, and this is reported.
    Target(Require),
}

/// A session keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyring {
    /// A new one, with no key in it.
    New,
    /// The caller's, with its keys.
    Caller,
}

/// The upper limit of the program's capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Capabilities {
    /// These, as far as the helper has them; the bounding set is the same.
    Keep(CapabilitySet),
    /// The caller's.
    Inherit,
    /// From initConfig (protocol A).
    InitConfig,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rlimit {
    /// RLIMIT_*, 0 to 15.
    pub resource: u8,
    /// The soft limit; `u64::MAX` is RLIM_INFINITY. At most `hard`.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// The source of the program's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Environment {
    /// The caller's, unchanged.
    Inherit,
    /// These of the caller's, a fixed PATH, and HOME, USER and SHELL from the
    /// passwd file of the program's root.
    Login {
        /// Names; a name that ends with `*` matches all names with this prefix.
        pass: Vec<String>,
    },
    /// From initConfig (protocol A).
    InitConfig,
}
