//! The table of options, with everything about each.

use super::{OptionSpec, Value, long_only, option, store};
use crate::value;
use nsexec_request::{Namespace, WorkDir};

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

/// Every option, in the order of `--help`.
pub const OPTIONS: [OptionSpec; 32] = {
    use Value::{Attached, None, Required};
    let ns = Attached("FILE");
    [
        option(
            Name::Target,
            't',
            "target",
            Required("PID[:INODE]"),
            "join this process's namespaces",
            "The target: the process that other options refer to by default. If no \
             namespace option is given, nsexec joins all namespaces of the target, \
             regardless of other options",
        ),
        option(
            Name::All,
            'a',
            "all",
            None,
            "all namespaces (default with -t)",
            "Joins each namespace of the target that the caller is not in, even if single \
             namespaces are named. A FILE for one type replaces the target's namespace of \
             that type",
        ),
        option(
            Name::Namespace(Namespace::Mnt),
            'm',
            "mount",
            ns,
            "mount namespace",
            "Joins this mount namespace. The program's root is then the target's, or that of the namespace if it is a \
             file, and its working directory is /, unless -r, -w or -W is given",
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
            "Joins this user namespace. The program runs there as user and group 0 without supplementary groups, \
             unless -S, -G or --preserve-credentials is given. Refused if the caller is \
             in it, unless -a is given",
        ),
        long_only(
            Name::UserParent,
            "user-parent",
            None,
            "parent of the (target's) user namespace",
            "Joins the parent of the selected user namespace, or of the target's if none \
             is selected, instead of the namespace itself. Refused unless the parent is \
             below the caller's",
        )
        .flag(|request| &mut request.user_parent),
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
            "The program's user id, in the joined user namespace. The default is user 0 \
             if a user namespace is joined, else the caller. follow is refused if a user \
             namespace other than the target's is joined. Excludes --preserve-credentials",
        )
        .sets(|request, value| store(&mut request.uid, value::id(value))),
        option(
            Name::SetGid,
            'G',
            "setgid",
            Required("GID|follow"),
            "group id; follow: the target's",
            "The program's group id, in the joined user namespace; supplementary groups \
             are dropped. The default is group 0 if a user namespace is joined, else the \
             caller's group. follow is refused if a user namespace other than the target's is \
             joined. Excludes --preserve-credentials",
        )
        .sets(|request, value| store(&mut request.gid, value::id(value))),
        long_only(
            Name::PreserveCredentials,
            "preserve-credentials",
            None,
            "leave user and groups as they are",
            "Keeps the caller's user, group and supplementary groups, regardless of the \
             policy and of the joined user namespace. Excludes -S and -G",
        )
        .flag(|request| &mut request.preserve_credentials),
        long_only(
            Name::KeepCaps,
            "keep-caps",
            None,
            "keep the joined user namespace's capabilities",
            "Makes these capabilities ambient, so that a user other than 0 has them: those \
             that the policy names and that the joined user namespace grants. Refused if no \
             user namespace is joined, or if the policy names no capability",
        )
        .flag(|request| &mut request.keep_caps),
        option(
            Name::Root,
            'r',
            "root",
            Attached("DIR"),
            "root directory (the target's)",
            "The program's root: the target's, or DIR, looked up in the joined mount \
             namespace, or in the caller's if none is joined",
        )
        .sets(|request, value| store(&mut request.root, value::directory(value).map(Some))),
        option(
            Name::WorkDir,
            'w',
            "wd",
            Attached("DIR"),
            "working directory (the target's)",
            "The working directory: the target's, or DIR, looked up in the joined mount \
             namespace, or in the caller's if none is joined. Refused if it is outside \
             the program's root. Excludes -W",
        )
        .sets(|request, value| {
            store(
                &mut request.work_dir,
                value::directory(value).map(WorkDir::Before),
            )
        }),
        option(
            Name::WorkDirInside,
            'W',
            "wdns",
            Required("DIR"),
            "working directory in the program's root",
            "The working directory: DIR, looked up in the program's root with the program's \
             rights. Excludes -w",
        )
        .sets(|request, value| {
            store(
                &mut request.work_dir,
                value::path(value).map(WorkDir::After),
            )
        }),
        option(
            Name::Environment,
            'e',
            "env",
            Attached("K[=V]"),
            "the target's environment; with =K[=V]: add K",
            "Alone, uses the target's environment instead of the policy's. With K=V or K, \
             adds one variable with this value or the caller's, after all others; \
             repeatable",
        )
        .sets(value::environment),
        option(
            Name::JoinCgroup,
            'c',
            "join-cgroup",
            None,
            "the target's cgroups (v1 and v2)",
            "nsexec moves the program into the target's cgroups before it runs, or fails. \
             The policies default, net and strict do so without the option if the caller \
             may",
        )
        .flag(|request| &mut request.join_cgroup),
        option(
            Name::FollowContext,
            'Z',
            "follow-context",
            None,
            "the target's SELinux context",
            "The program runs with the target's SELinux context. If SELinux is off, \
             nsexec prints a warning",
        )
        .flag(|request| &mut request.follow_context),
        option(
            Name::NoFork,
            'F',
            "no-fork",
            None,
            "exec the program without a fork",
            "nsexec executes the program in its own process: the program keeps the pid of \
             nsexec and the caller's pid namespace. Excludes --status-fd and --explain",
        )
        .flag(|request| &mut request.no_fork),
        long_only(
            Name::PreserveFds,
            "preserve-fds",
            Required("N"),
            "hand descriptors 3 to 3+N-1 over",
            "The program inherits 3 to 3+N-1 besides 0, 1 and 2. Refused if the policy \
             hands no descriptors over, or if one is not open or has another use",
        ),
        long_only(
            Name::PreserveFd,
            "preserve-fd",
            Required("LIST"),
            "hand these over: 63, or 9,20-22",
            "The program inherits these descriptors under the same numbers. Refused as \
             with --preserve-fds",
        ),
        long_only(
            Name::Policy,
            "policy",
            Required("NAME|FILE"),
            "default, net, strict, admin, or a manifest",
            "The policy of the program. The default is the policy in /etc/nsexec.toml, \
             else the built-in policy default. A policy that reads its settings from \
             protocol A is refused",
        )
        .sets(|request, value| store(&mut request.policy, value::policy(value))),
        long_only(
            Name::SeccompFd,
            "seccomp-fd",
            Required("FD"),
            "add the seccomp filter (BPF) read from FD",
            "Adds one more filter to the policy's, loaded right before the policy's own; \
             repeatable. Excludes --explain",
        ),
        long_only(
            Name::StatusFd,
            "status-fd",
            Required("FD"),
            "write status as JSON lines there",
            "nsexec writes the plan, the start and the end of the program to this \
             descriptor. The program does not inherit it. Excludes -F",
        ),
        long_only(
            Name::DryRun,
            "dry-run",
            None,
            "print the plan as JSON, do nothing",
            "Checks everything and prints the plan with all other options applied. nsexec \
             joins and executes nothing, and writes nothing to --status-fd",
        ),
        long_only(
            Name::Explain,
            "explain",
            Attached("audit"),
            "report refusals and their rules",
            "Reports refusals after the end of the program, which runs as without this \
             option. With audit, the kernel's audit is on meanwhile. Excludes -F and \
             --seccomp-fd",
        )
        .sets(|request, value| store(&mut request.explain, value::explain(value))),
        long_only(
            Name::Features,
            "features",
            None,
            "print the kernel's features",
            "Prints and exits. Only the first of this, -h and -V has an effect; other \
             options are ignored",
        ),
        option(
            Name::Help,
            'h',
            "help",
            None,
            "print this help",
            "Prints and exits. Only the first of this, -V and --features has an effect; \
             other options are ignored",
        ),
    ]
};

/// `-V`, which shares its line of `--help` with `-h`.
pub const VERSION: OptionSpec = option(
    Name::Version,
    'V',
    "version",
    Value::None,
    "print the version",
    "Prints and exits. Only the first of this, -h and --features has an effect; \
             other options are ignored",
);
