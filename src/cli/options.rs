//! The one table of options: the parser, `--help` and the manual come from it.

use crate::request::Namespace;

/// Which option it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// `-a`
    All,
    /// `-t`
    Target,
    /// `-m`, `-u`, `-i`, `-n`, `-p`, `-U`, `-C`, `-T`
    Namespace(Namespace),
    /// `-N`
    NetSocket,
    /// `--user-parent`
    UserParent,
    /// `-S`
    SetUid,
    /// `-G`
    SetGid,
    /// `--keep-caps`
    KeepCaps,
    /// `--preserve-credentials`
    PreserveCredentials,
    /// `-r`
    Root,
    /// `-w`
    WorkDir,
    /// `-W`
    WorkDirInside,
    /// `-e`, and `--env=K[=V]`
    Environment,
    /// `-F`
    NoFork,
    /// `-c`
    JoinCgroup,
    /// `-Z`
    FollowContext,
    /// `--preserve-fds`
    PreserveFds,
    /// `--preserve-fd`
    PreserveFd,
    /// `--policy`
    Policy,
    /// `--seccomp-fd`
    SeccompFd,
    /// `--status-fd`
    StatusFd,
    /// `--dry-run`
    DryRun,
    /// `--explain`
    Explain,
    /// `--features`
    Features,
    /// `-h`
    Help,
    /// `-V`
    Version,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Never.
    None,
    /// Attached or not at all: `-mFILE`, `-m=FILE`, `--mount=FILE`.
    Attached(&'static str),
    /// Always: attached, or the next word.
    Required(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Option {
    /// Which one.
    pub name: Name,
    /// Its letter.
    pub letter: std::option::Option<char>,
    /// Its long name, without `--`.
    pub long: &'static str,
    /// Its value.
    pub value: Value,
    /// What it does, in a few words.
    pub help: &'static str,
}

const fn option(
    name: Name,
    letter: char,
    long: &'static str,
    value: Value,
    help: &'static str,
) -> Option {
    Option {
        name,
        letter: Some(letter),
        long,
        value,
        help,
    }
}

const fn long_only(name: Name, long: &'static str, value: Value, help: &'static str) -> Option {
    Option {
        name,
        letter: None,
        long,
        value,
        help,
    }
}

/// Every option, in the order of `--help`.
pub const OPTIONS: [Option; 32] = {
    use Value::{Attached, None, Required};
    let ns = Attached("FILE");
    [
        option(
            Name::Target,
            't',
            "target",
            Required("PID[:INODE]"),
            "the process whose namespaces are joined",
        ),
        option(
            Name::All,
            'a',
            "all",
            None,
            "all namespaces (what -t alone means)",
        ),
        option(
            Name::Namespace(Namespace::Mnt),
            'm',
            "mount",
            ns,
            "mount namespace",
        ),
        option(
            Name::Namespace(Namespace::Uts),
            'u',
            "uts",
            ns,
            "UTS namespace (host name)",
        ),
        option(
            Name::Namespace(Namespace::Ipc),
            'i',
            "ipc",
            ns,
            "System V IPC namespace",
        ),
        option(
            Name::Namespace(Namespace::Net),
            'n',
            "net",
            ns,
            "network namespace",
        ),
        option(
            Name::NetSocket,
            'N',
            "net-socket",
            Required("FD"),
            "network namespace of the target's socket",
        ),
        option(
            Name::Namespace(Namespace::Pid),
            'p',
            "pid",
            ns,
            "pid namespace",
        ),
        option(
            Name::Namespace(Namespace::Cgroup),
            'C',
            "cgroup",
            ns,
            "cgroup namespace",
        ),
        option(
            Name::Namespace(Namespace::User),
            'U',
            "user",
            ns,
            "user namespace",
        ),
        long_only(
            Name::UserParent,
            "user-parent",
            None,
            "parent of the (target's) user namespace",
        ),
        option(
            Name::Namespace(Namespace::Time),
            'T',
            "time",
            ns,
            "time namespace",
        ),
        option(
            Name::SetUid,
            'S',
            "setuid",
            Required("UID|follow"),
            "user id; follow: the target's",
        ),
        option(
            Name::SetGid,
            'G',
            "setgid",
            Required("GID|follow"),
            "group id; follow: the target's",
        ),
        long_only(
            Name::PreserveCredentials,
            "preserve-credentials",
            None,
            "leave user and groups as they are",
        ),
        long_only(
            Name::KeepCaps,
            "keep-caps",
            None,
            "keep capabilities of a user namespace",
        ),
        option(
            Name::Root,
            'r',
            "root",
            Attached("DIR"),
            "root directory (the target's)",
        ),
        option(
            Name::WorkDir,
            'w',
            "wd",
            Attached("DIR"),
            "working directory (the target's)",
        ),
        option(
            Name::WorkDirInside,
            'W',
            "wdns",
            Required("DIR"),
            "working directory, looked up inside",
        ),
        option(
            Name::Environment,
            'e',
            "env",
            Attached("K[=V]"),
            "the target's environment; with =K[=V]: add K",
        ),
        option(
            Name::JoinCgroup,
            'c',
            "join-cgroup",
            None,
            "the target's cgroups (v1 and v2)",
        ),
        option(
            Name::FollowContext,
            'Z',
            "follow-context",
            None,
            "the target's SELinux context",
        ),
        option(
            Name::NoFork,
            'F',
            "no-fork",
            None,
            "become the program, start no child",
        ),
        long_only(
            Name::PreserveFds,
            "preserve-fds",
            Required("N"),
            "hand descriptors 3 to 3+N-1 over",
        ),
        long_only(
            Name::PreserveFd,
            "preserve-fd",
            Required("LIST"),
            "hand these over: 63, or 9,20-22",
        ),
        long_only(
            Name::Policy,
            "policy",
            Required("NAME|FILE"),
            "default, net, strict, admin, or a manifest",
        ),
        long_only(
            Name::SeccompFd,
            "seccomp-fd",
            Required("FD"),
            "add the seccomp program (BPF) that is there",
        ),
        long_only(
            Name::StatusFd,
            "status-fd",
            Required("FD"),
            "write JSON lines on what happens there",
        ),
        long_only(
            Name::DryRun,
            "dry-run",
            None,
            "print the plan as JSON, do nothing",
        ),
        long_only(
            Name::Explain,
            "explain",
            Attached("audit"),
            "report what was refused, by which rule",
        ),
        long_only(
            Name::Features,
            "features",
            None,
            "print what this kernel has",
        ),
        option(Name::Help, 'h', "help", None, "print this"),
    ]
};

/// `-V`, which shares its line of `--help` with `-h`.
pub const VERSION: Option = option(
    Name::Version,
    'V',
    "version",
    Value::None,
    "print the version",
);

/// Every option, `-V` as well.
pub fn all() -> impl Iterator<Item = &'static Option> {
    OPTIONS.iter().chain([&VERSION])
}

impl Option {
    /// The option with this letter.
    #[must_use]
    pub fn by_letter(letter: char) -> std::option::Option<&'static Self> {
        all().find(|option| option.letter == Some(letter))
    }

    /// The option with this long name.
    #[must_use]
    pub fn by_long(long: &str) -> std::option::Option<&'static Self> {
        all().find(|option| option.long == long)
    }
}
