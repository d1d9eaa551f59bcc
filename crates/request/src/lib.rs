//! A [`Request`]: the caller's intent, independent of the frontend it came
//! through.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::num::NonZeroU64;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

pub use nsexec_kernel_text::Pid;

/// The process whose namespaces the program joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetId {
    /// Its pid in the caller's pid namespace.
    pub pid: Pid,
    /// Its inode number in pidfs, which is never used twice while the system
    /// runs (Linux 6.9): a recycled pid has another one.
    pub inode: Option<NonZeroU64>,
}

/// A type of namespace, namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// cgroup_namespaces(7)
    Cgroup,
    /// ipc_namespaces(7)
    Ipc,
    /// uts_namespaces(7)
    Uts,
    /// network_namespaces(7)
    Net,
    /// pid_namespaces(7)
    Pid,
    /// mount_namespaces(7)
    Mnt,
    /// time_namespaces(7)
    Time,
    /// user_namespaces(7)
    User,
}

impl Namespace {
    /// Every type, in the order in which they are joined within a pass.
    pub const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::Pid,
        Self::Mnt,
        Self::Time,
        Self::User,
    ];

    /// The CLONE_NEW* flag of this type, linux/sched.h.
    #[must_use]
    pub const fn clone_flag(self) -> u32 {
        match self {
            Self::Time => 0x0000_0080,
            Self::Mnt => 0x0002_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Uts => 0x0400_0000,
            Self::Ipc => 0x0800_0000,
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Net => 0x4000_0000,
        }
    }

    /// The name of its file in `/proc/PID/ns`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Mnt => "mnt",
            Self::Time => "time",
            Self::User => "user",
        }
    }
}

/// The source of one namespace to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceSource {
    /// The target's.
    Target,
    /// A namespace file, such as a bind mount of `/proc/PID/ns/net`.
    File(PathBuf),
    /// The namespace's id in nsfs (ioctl_nsfs(2), NS_GET_ID); Linux 6.19.
    Id(NonZeroU64),
    /// The network namespace of a socket that the target has open.
    Socket(RawFd),
}

/// Whether refusals are reported, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    /// They are not.
    No,
    /// Report calls refused by a filter. Report refusals by Landlock and kills
    /// by a filter only where the kernel's audit is already on.
    WithoutSwitching,
    /// Report all of these. The helper switches the kernel's audit on while the
    /// program runs. This affects the whole machine: every process created
    /// before the next reboot pays for it.
    SwitchAuditingOn,
}

/// Which namespaces are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of the target's that the caller does not share.
    All {
        /// Sources other than the target, by namespace.
        except: BTreeMap<Namespace, NamespaceSource>,
    },
    /// Exactly these. It may be empty: a new root or directory alone.
    Only(BTreeMap<Namespace, NamespaceSource>),
    /// Protocol A: ipc, uts, net, pid, mnt and user of the target, but for
    /// those that the caller shares already and those that do not exist.
    ProtocolA,
}

impl Selection {
    /// The number of the target's socket with the network namespace to join.
    #[must_use]
    pub fn socket(&self) -> Option<i32> {
        let named = match self {
            Self::All { except: named } | Self::Only(named) => named,
            Self::ProtocolA => return None,
        };
        match named.get(&Namespace::Net) {
            Some(NamespaceSource::Socket(number)) => Some(*number),
            _ => None,
        }
    }
}

/// A user or group id that the program is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdChoice {
    /// This one: 0 to 2^32 - 2 (the kernel reads 2^32 - 1 as "no change").
    Number(u32),
    /// The target's.
    Follow,
}

/// A directory: the target's own, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    /// The target's.
    Target,
    /// This one. Opened before the joins, inside the target's root when its
    /// mount namespace is joined.
    Path(PathBuf),
}

/// The working directory of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkDir {
    /// The root of the joined mount namespace, else the caller's.
    Default,
    /// `-w`: opened before the joins.
    Before(Directory),
    /// `-W`: a path that is resolved after the joins, in the program's root.
    After(PathBuf),
}

/// `K=V`, or `K` alone, whose value comes from the caller's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentEntry {
    /// Not empty, without `=` and NUL.
    pub key: CString,
    /// `None`: the caller's value, if it has one.
    pub value: Option<CString>,
}

/// Which policy binds the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChoice {
    /// The policy named in /etc/nsexec.toml, else the built-in policy of this
    /// name.
    Configured,
    /// A built-in policy.
    Named(String),
    /// A manifest.
    File(PathBuf),
}

/// The longest name of a built-in policy: status lines and errors contain it.
pub const MAX_POLICY_NAME: usize = 64;

/// The longest path of a policy: PATH_MAX without its NUL, limits.h.
pub const MAX_POLICY_PATH: usize = 4095;

impl PolicyChoice {
    /// Reads the name or the path of a policy. It is a path if it has a `/` or
    /// ends with `.toml`, else a name: lower-case letters, digits and `-`, which
    /// is not the first, at most [`MAX_POLICY_NAME`].
    ///
    /// This is the one rule: `--policy` of the command line, that of protocol A,
    /// /etc/nsexec.toml and nsexec-policy have it in common.
    ///
    /// `None`: `value` is neither.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        if value.contains(&b'/') || value.ends_with(b".toml") {
            let path = value.len() <= MAX_POLICY_PATH && !value.contains(&0);
            return path.then(|| Self::File(PathBuf::from(OsStr::from_bytes(value))));
        }
        let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let name = (1..=MAX_POLICY_NAME).contains(&value.len())
            && !value.starts_with(b"-")
            && value.iter().all(plain);
        let text = std::str::from_utf8(value).ok().filter(|_| name)?;
        Some(Self::Named(text.to_owned()))
    }
}

/// One exec: the target and everything that the caller chose. Built by
/// [`Request::new`] or [`Request::with`], and by assigning fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The target: the source of namespaces, root, directory and environment
    /// wherever one of these is `Target`.
    pub target: Option<TargetId>,
    /// Which namespaces are joined.
    pub namespaces: Selection,
    /// Join the parent of the selected user namespace in its place, else the parent
    /// of the target's; without a target, the owner of the first selected one.
    pub user_parent: bool,
    /// The program's user id.
    pub uid: Option<IdChoice>,
    /// The program's group id; supplementary groups are dropped with it.
    pub gid: Option<IdChoice>,
    /// Keep the capabilities that a joined user namespace gives, as ambient ones.
    pub keep_caps: bool,
    /// Keep the caller's user, group and supplementary groups.
    pub preserve_credentials: bool,
    /// The root directory, if it is not that of the joined mount namespace.
    pub root: Option<Directory>,
    /// The working directory.
    pub work_dir: WorkDir,
    /// Use the target's environment.
    pub target_environment: bool,
    /// Added to the environment last, in this order.
    pub environment: Vec<EnvironmentEntry>,
    /// Put the program into the target's cgroups.
    pub join_cgroup: bool,
    /// Run the program with the SELinux context of the target.
    pub follow_context: bool,
    /// Replace the helper by the program instead of starting it and waiting for
    /// it.
    pub no_fork: bool,
    /// Descriptors that the program inherits under the same numbers, each 3 or more.
    pub preserve_fds: BTreeSet<RawFd>,
    /// The policy.
    pub policy: PolicyChoice,
    /// Report refusals on standard error, with the layer and rule of each.
    pub explain: Explain,
    /// Descriptors of classic BPF programs. The helper reads one program from
    /// each and adds it to the policy's filters, below the program's own. Each
    /// descriptor is 3 or more, is listed once, and is neither `status_fd` nor
    /// handed over. Refusals by these filters are not explained.
    pub seccomp_fds: Vec<RawFd>,
    /// Write status lines (JSON) to this descriptor.
    pub status_fd: Option<RawFd>,
    /// The program and its arguments; empty: the user's shell, as a login shell.
    pub program: Vec<CString>,
}

impl Request {
    /// A request that joins all namespaces of `target` and runs `program`.
    #[must_use]
    pub fn new(target: TargetId, program: Vec<CString>) -> Self {
        let except = BTreeMap::new();
        Self::with(Some(target), Selection::All { except }, program)
    }

    /// A request that joins these namespaces and runs `program`; all else is as the
    /// policy has it.
    #[must_use]
    pub fn with(target: Option<TargetId>, namespaces: Selection, program: Vec<CString>) -> Self {
        Self {
            target,
            namespaces,
            user_parent: false,
            uid: None,
            gid: None,
            keep_caps: false,
            preserve_credentials: false,
            root: None,
            work_dir: WorkDir::Default,
            target_environment: false,
            environment: Vec::new(),
            join_cgroup: false,
            follow_context: false,
            no_fork: false,
            preserve_fds: BTreeSet::new(),
            policy: PolicyChoice::Configured,
            explain: Explain::No,
            seccomp_fds: Vec::new(),
            status_fd: None,
            program,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_name_or_a_file() {
        for file in [
            "a.toml",
            "/etc/nsexec/p",
            "./p",
            "..//x",
            "-x.toml",
            ".toml",
            "/",
        ] {
            let read = PolicyChoice::read(file.as_bytes());
            assert_eq!(read, Some(PolicyChoice::File(PathBuf::from(file))));
        }
        for name in ["default", "a", "7-x"] {
            let read = PolicyChoice::read(name.as_bytes());
            assert_eq!(read, Some(PolicyChoice::Named(name.to_owned())));
        }
        for wrong in [
            "", "Strict", "a b", "a.b", "a_b", "-", "--policy", "-x", "a\0", "ä", "/a\0b",
        ] {
            assert_eq!(PolicyChoice::read(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(PolicyChoice::read(b"a\xff"), None);
        assert!(PolicyChoice::read(b"/a\xff").is_some());
    }

    #[test]
    fn names_and_paths_are_bounded() {
        let name = "a".repeat(MAX_POLICY_NAME);
        assert!(PolicyChoice::read(name.as_bytes()).is_some());
        assert_eq!(PolicyChoice::read(format!("{name}a").as_bytes()), None);
        let path = format!("/{}", "a".repeat(MAX_POLICY_PATH - 1));
        assert!(PolicyChoice::read(path.as_bytes()).is_some());
        assert_eq!(PolicyChoice::read(format!("{path}a").as_bytes()), None);
    }
}
