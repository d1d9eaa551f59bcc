//! The one table of options: the parser, `--help` and the manual come from it.

use nsexec_request::Namespace;

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
    /// Where the program runs with it, as which user, with what, and which other
    /// options it excludes. `tests/option_pairs.rs` holds each pair of options to it.
    pub rule: &'static str,
}

const fn option(
    name: Name,
    letter: char,
    long: &'static str,
    value: Value,
    help: &'static str,
    rule: &'static str,
) -> Option {
    Option {
        name,
        letter: Some(letter),
        long,
        value,
        help,
        rule,
    }
}

const fn long_only(
    name: Name,
    long: &'static str,
    value: Value,
    help: &'static str,
    rule: &'static str,
) -> Option {
    Option {
        name,
        letter: None,
        long,
        value,
        help,
        rule,
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
            "The process that every other option means where it names nothing else. Without \
             the letter of a namespace, all namespaces of this process are joined, whatever \
             other options are given",
        ),
        option(
            Name::All,
            'a',
            "all",
            None,
            "all namespaces (what -t alone means)",
            "Joins each namespace of the target that the caller is not in, also beside their letters. A FILE beside it \
             takes the place of the target's namespace of that type",
        ),
        option(
            Name::Namespace(Namespace::Mnt),
            'm',
            "mount",
            ns,
            "mount namespace",
            "Joins this mount namespace. The program's root is then the target's, or that \
             of the namespace if it is a file, and its working directory is /, unless -r, \
             -w or -W say otherwise",
        ),
        option(
            Name::Namespace(Namespace::Uts),
            'u',
            "uts",
            ns,
            "UTS namespace (host name)",
            "Joins this UTS namespace and, alone, no other",
        ),
        option(
            Name::Namespace(Namespace::Ipc),
            'i',
            "ipc",
            ns,
            "System V IPC namespace",
            "Joins this IPC namespace and, alone, no other",
        ),
        option(
            Name::Namespace(Namespace::Net),
            'n',
            "net",
            ns,
            "network namespace",
            "Joins this network namespace and, alone, no other. Excludes -N",
        ),
        option(
            Name::NetSocket,
            'N',
            "net-socket",
            Required("FD"),
            "network namespace of the target's socket",
            "Joins the network namespace of the socket that the target has open under this \
             number. Excludes -n",
        ),
        option(
            Name::Namespace(Namespace::Pid),
            'p',
            "pid",
            ns,
            "pid namespace",
            "Joins this pid namespace: the program is in it, or with -F its children are",
        ),
        option(
            Name::Namespace(Namespace::Cgroup),
            'C',
            "cgroup",
            ns,
            "cgroup namespace",
            "Joins this cgroup namespace, and no cgroup: that is -c",
        ),
        option(
            Name::Namespace(Namespace::User),
            'U',
            "user",
            ns,
            "user namespace",
            "Joins this user namespace. The program is user and group 0 there without \
             supplementary groups, unless -S, -G or --preserve-credentials say otherwise. \
             Refused if the caller is in it, unless -a is given",
        ),
        long_only(
            Name::UserParent,
            "user-parent",
            None,
            "parent of the (target's) user namespace",
            "Joins the parent of the user namespace that is selected, else of the target's, \
             in its place. Refused if it is not below the caller's",
        ),
        option(
            Name::Namespace(Namespace::Time),
            'T',
            "time",
            ns,
            "time namespace",
            "Joins this time namespace and, alone, no other",
        ),
        option(
            Name::SetUid,
            'S',
            "setuid",
            Required("UID|follow"),
            "user id; follow: the target's",
            "The program's user, as the joined user namespace names it. Without it, user 0 \
             of a joined user namespace, else the caller. Excludes --preserve-credentials",
        ),
        option(
            Name::SetGid,
            'G',
            "setgid",
            Required("GID|follow"),
            "group id; follow: the target's",
            "The program's group, as the joined user namespace names it; supplementary \
             groups are dropped. Without it, group 0 of a joined user namespace, else the \
             caller's. Excludes --preserve-credentials",
        ),
        long_only(
            Name::PreserveCredentials,
            "preserve-credentials",
            None,
            "leave user and groups as they are",
            "User, group and supplementary groups stay the caller's, whatever the policy \
             says and whichever user namespace is joined. Excludes -S and -G",
        ),
        long_only(
            Name::KeepCaps,
            "keep-caps",
            None,
            "keep capabilities of a user namespace",
            "The capabilities that the policy names, and that the joined user namespace \
             gives, become ambient: a user other than 0 has them. Refused if no user \
             namespace is joined, and under a policy that names none",
        ),
        option(
            Name::Root,
            'r',
            "root",
            Attached("DIR"),
            "root directory (the target's)",
            "The program's root: the target's, or DIR, looked up in the mount namespace \
             that is joined, else where nsexec is started",
        ),
        option(
            Name::WorkDir,
            'w',
            "wd",
            Attached("DIR"),
            "working directory (the target's)",
            "The working directory: the target's, or DIR, looked up in the mount namespace \
             that is joined, else where nsexec is started. Refused if it lies outside the \
             program's root. Excludes -W",
        ),
        option(
            Name::WorkDirInside,
            'W',
            "wdns",
            Required("DIR"),
            "working directory, looked up inside",
            "The working directory: DIR, looked up in the program's root with the program's \
             rights. Excludes -w",
        ),
        option(
            Name::Environment,
            'e',
            "env",
            Attached("K[=V]"),
            "the target's environment; with =K[=V]: add K",
            "Alone, the target's environment in the place of the policy's. With a value, \
             one variable more: added last, with this value or the caller's; any number of \
             times",
        ),
        option(
            Name::JoinCgroup,
            'c',
            "join-cgroup",
            None,
            "the target's cgroups (v1 and v2)",
            "The program is put into the target's cgroups before it runs, or does not run. \
             default, net and strict do so without the option where the caller may",
        ),
        option(
            Name::FollowContext,
            'Z',
            "follow-context",
            None,
            "the target's SELinux context",
            "The program gets the target's SELinux context. Without SELinux it is a warning",
        ),
        option(
            Name::NoFork,
            'F',
            "no-fork",
            None,
            "become the program, start no child",
            "nsexec becomes the program, which keeps the pid of nsexec and the caller's pid \
             namespace. Excludes --status-fd and --explain",
        ),
        long_only(
            Name::PreserveFds,
            "preserve-fds",
            Required("N"),
            "hand descriptors 3 to 3+N-1 over",
            "The program gets 3 to 3+N-1 besides 0, 1 and 2. Refused under a policy that \
             hands nothing over, and for what is not open or has another use",
        ),
        long_only(
            Name::PreserveFd,
            "preserve-fd",
            Required("LIST"),
            "hand these over: 63, or 9,20-22",
            "The program gets these descriptors, under their numbers. Refused as with \
             --preserve-fds",
        ),
        long_only(
            Name::Policy,
            "policy",
            Required("NAME|FILE"),
            "default, net, strict, admin, or a manifest",
            "The program is bound by this policy, or that of /etc/nsexec.toml, or default. \
             A policy that takes its settings from the pipe protocol is refused",
        ),
        long_only(
            Name::SeccompFd,
            "seccomp-fd",
            Required("FD"),
            "add the seccomp program (BPF) that is there",
            "One more filter, which refuses more; any number of times. Excludes --explain",
        ),
        long_only(
            Name::StatusFd,
            "status-fd",
            Required("FD"),
            "write JSON lines on what happens there",
            "What is planned, started and ended is written here. The program does not get \
             it. Excludes -F",
        ),
        long_only(
            Name::DryRun,
            "dry-run",
            None,
            "print the plan as JSON, do nothing",
            "Everything is looked at and the plan is printed with all that the other \
             options say; nothing is joined or executed, and nothing is written to \
             --status-fd",
        ),
        long_only(
            Name::Explain,
            "explain",
            Attached("audit"),
            "report what was refused, by which rule",
            "The program runs as without it, and what was refused is reported after its end. With \
             audit, kernel auditing is switched on meanwhile. Excludes -F and --seccomp-fd",
        ),
        long_only(
            Name::Features,
            "features",
            None,
            "print what this kernel has",
            "Prints and ends. Of this, -h and -V the first one counts, and no other option \
             does",
        ),
        option(
            Name::Help,
            'h',
            "help",
            None,
            "print this",
            "Prints and ends. Of this, -V and --features the first one counts, and no other \
             option does",
        ),
    ]
};

/// `-V`, which shares its line of `--help` with `-h`.
pub const VERSION: Option = option(
    Name::Version,
    'V',
    "version",
    Value::None,
    "print the version",
    "Prints and ends. Of this, -h and --features the first one counts, and no other option does",
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
