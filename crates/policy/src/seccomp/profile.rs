//! A resolved seccomp profile: numbers and conditions, no names.

/// The kernel's action if a rule matches, seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The call is executed.
    Allow,
    /// The call is executed and logged.
    Log,
    /// The call fails with this errno: 0 to 4095.
    Errno(u16),
    /// SIGSYS is sent to the thread.
    Trap,
    /// The thread is ended.
    KillThread,
    /// The process is ended.
    KillProcess,
}

impl Action {
    /// How strict an action is, in the kernel's order: where rules overlap,
    /// the strictest wins (seccomp(2), "SECCOMP_RET_*" in decreasing precedence).
    #[must_use]
    pub fn strictness(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Log => 1,
            Self::Errno(_) => 2,
            Self::Trap => 3,
            Self::KillThread => 4,
            Self::KillProcess => 5,
        }
    }
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `argument == value`
    Equal(u64),
    /// `argument != value`
    NotEqual(u64),
    /// `argument < value`
    Less(u64),
    /// `argument <= value`
    LessOrEqual(u64),
    /// `argument > value`
    Greater(u64),
    /// `argument >= value`
    GreaterOrEqual(u64),
    /// `argument & mask == value`
    Masked {
        /// The bits that are looked at.
        mask: u64,
        /// The expected value of the masked bits.
        value: u64,
    },
}

/// One condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Which argument: 0 to 5.
    pub argument: u8,
    /// How it is compared.
    pub comparison: Comparison,
}

/// When a rule applies to its system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// With any arguments.
    Always,
    /// When all of these hold; never empty.
    All(Vec<Condition>),
}

/// An action for a system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The number of the system call on the architecture compiled for.
    pub syscall: u32,
    /// With which arguments.
    pub when: When,
    /// The action.
    pub action: Action,
}

/// A profile for one architecture.
///
/// If several rules match, the strictest action wins; if none does, the default.
/// Numbers that the tables do not know answer ENOSYS in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The action for a known call that no rule matches.
    pub default: Action,
    /// The highest number that the text names. Its author could not know of
    /// calls above it: where the default denies, they answer ENOSYS, so that
    /// programs fall back (runc does the same: libcontainer/seccomp/patchbpf).
    /// `u32::MAX`: all are known.
    pub newest: u32,
    /// The rules, in the order of the text.
    pub rules: Vec<Rule>,
}
