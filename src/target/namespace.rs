//! The decision about each type of namespace, and the namespaces to join, each an open descriptor
//! of a known type.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use super::{Procfs, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Namespace, NamespaceSource, Selection};
use crate::sys::namespace;

/// The identity of a namespace: its device and inode number in nsfs. No other namespace has the
/// same while a descriptor or a process holds this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// A namespace to join.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) namespace: Namespace,
    pub(crate) fd: OwnedFd,
    pub(crate) identity: Identity,
    /// It is the target's, and was named neither as a file nor by an id.
    pub(crate) of_target: bool,
}

/// The decision about the program's namespace of one type. There is no fifth case.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The program joins it.
    Join(Join),
    /// It is requested, and the program is in it already.
    Shared(Identity),
    /// It is not requested: the program stays in this one.
    NotRequested(Identity),
    /// The kernel has no namespaces of this type: the caller's own /proc/self/ns lacks it. This is
    /// the only reason.
    Unsupported,
}

impl Decision {
    /// The namespace that the program must be in; `None` only if the kernel has no namespaces of
    /// this type.
    pub(crate) fn expected(&self) -> Option<Identity> {
        match self {
            Self::Join(join) => Some(join.identity),
            Self::Shared(identity) | Self::NotRequested(identity) => Some(*identity),
            Self::Unsupported => None,
        }
    }
}

/// The decision about each type of namespace.
#[derive(Debug)]
pub(crate) struct Memberships {
    /// One for each of [`Namespace::ALL`], in that order.
    decisions: Vec<(Namespace, Decision)>,
}

/// How often the namespaces of a target that changes them meanwhile are opened again before the
/// exec is refused.
const ATTEMPTS: u32 = 10;

impl Memberships {
    /// Opens the namespaces of `selection` for a program that is a child of this process, or, with
    /// `no_fork`, this process itself.
    ///
    /// The target's namespaces are opened one after the other. If the target changes one meanwhile,
    /// half of the joined namespaces would be old and half new. So they are checked a second time,
    /// and opened again if one has changed.
    ///
    /// `network`: the namespace of the socket, if `selection` names one.
    ///
    /// # Errors
    /// `Target`: the target does not exist, or changes its namespaces faster than they can be
    /// opened. `Unsupported`: the kernel lacks a type that was named.
    pub(crate) fn open(
        selection: &Selection,
        user_parent: bool,
        no_fork: bool,
        target: Option<&Target>,
        network: Option<&OwnedFd>,
        procfs: &Procfs,
    ) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let mut opened = Self::open_once(selection, no_fork, target, network, procfs)?;
            if opened.are_still_the_targets(target)? {
                if user_parent {
                    opened.join_parent(target, procfs)?;
                }
                return Ok(opened);
            }
        }
        let pid = target.map_or(0, |target| target.pid().get());
        let wrong = format!("process {pid} changes its namespaces while they are opened");
        Err(Error::new(ErrorKind::Target, wrong)
            .with_hint("retry when the target no longer changes its namespaces"))
    }

    fn open_once(
        selection: &Selection,
        no_fork: bool,
        target: Option<&Target>,
        network: Option<&OwnedFd>,
        procfs: &Procfs,
    ) -> Result<Self> {
        let none = BTreeMap::new();
        let (whole, named): (&[Namespace], _) = match selection {
            Selection::All { except } => (&Namespace::ALL, except),
            Selection::ProtocolA => (&PROTOCOL_A, &none),
            Selection::Only(named) => (&[], named),
        };
        let mut decisions = Vec::with_capacity(Namespace::ALL.len());
        for namespace in Namespace::ALL {
            let own = Own::look_up(namespace, no_fork, procfs)?;
            let name = namespace.name();
            let decision = match (named.get(&namespace), own) {
                (Some(_), Own::Unsupported) => {
                    let wrong = format!("this kernel has no {name} namespaces");
                    return Err(Error::new(ErrorKind::Unsupported, wrong));
                }
                (Some(source), own) => {
                    let join = open_source(namespace, source, target, network)?;
                    match own {
                        // setns(2) refuses it.
                        Own::This(own) if own == join.identity && namespace == Namespace::User => {
                            return Err(in_it_already());
                        }
                        _ => Decision::Join(join),
                    }
                }
                (None, Own::Unsupported) => Decision::Unsupported,
                (None, own) if whole.contains(&namespace) => {
                    let join = open_source(namespace, &NamespaceSource::Target, target, network)?;
                    match own {
                        Own::This(own) if own == join.identity => Decision::Shared(own),
                        _ => Decision::Join(join),
                    }
                }
                (None, Own::This(own)) => Decision::NotRequested(own),
                (None, Own::NotYet) => {
                    let wrong = format!("the next child would be in a new {name} namespace");
                    return Err(Error::new(ErrorKind::Usage, wrong)
                        .with_hint("start nsexec from a child of the process that unshared it"));
                }
            };
            decisions.push((namespace, decision));
        }
        Ok(Self { decisions })
    }

    /// Whether the target is still in all of the namespaces that were opened.
    fn are_still_the_targets(&self, target: Option<&Target>) -> Result<bool> {
        let Some(target) = target else {
            return Ok(true);
        };
        for (namespace, decision) in &self.decisions {
            let seen = match decision {
                Decision::Join(join) if join.of_target => join.identity,
                Decision::Shared(identity) => *identity,
                _ => continue,
            };
            if identity(&of_target(*namespace, target)?)? != seen {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn decisions(&self) -> impl Iterator<Item = (Namespace, &Decision)> {
        self.decisions
            .iter()
            .map(|(namespace, decision)| (*namespace, decision))
    }

    fn of(&self, namespace: Namespace) -> Option<&Decision> {
        let mut decisions = self.decisions();
        decisions
            .find(|(known, _)| *known == namespace)
            .map(|(_, decision)| decision)
    }

    /// The namespaces to join; joining consumes them.
    pub(crate) fn into_joins(self) -> Vec<Join> {
        let decisions = self.decisions.into_iter();
        decisions
            .filter_map(|(_, decision)| match decision {
                Decision::Join(join) => Some(join),
                _ => None,
            })
            .collect()
    }

    fn joins_of(&self) -> impl Iterator<Item = &Join> {
        self.decisions().filter_map(|(_, decision)| match decision {
            Decision::Join(join) => Some(join),
            _ => None,
        })
    }

    pub(crate) fn joins(&self, namespace: Namespace) -> bool {
        matches!(self.of(namespace), Some(Decision::Join(_)))
    }

    /// Whether the program ends up in the target's namespace of this type because the request names
    /// it: the program joins it, or shares it already.
    pub(crate) fn is_targets(&self, namespace: Namespace) -> bool {
        match self.of(namespace) {
            Some(Decision::Join(join)) => join.of_target,
            Some(Decision::Shared(_)) => true,
            _ => false,
        }
    }

    /// Whether the program's user namespace is the target's own, in whatever way it was named.
    pub(crate) fn has_user_namespace_of(&self, target: &Target) -> Result<bool> {
        let theirs = identity(&of_target(Namespace::User, target)?)?;
        Ok(self.of(Namespace::User).and_then(Decision::expected) == Some(theirs))
    }

    /// `--user-parent`: the parent of the selected user namespace, in its place; else the parent of
    /// the target's; without a target, the user namespace that owns the first named namespace
    /// (nsenter(1) does the same, but needs a target).
    fn join_parent(&mut self, target: Option<&Target>, procfs: &Procfs) -> Result<()> {
        let selected = self
            .joins_of()
            .find(|join| join.namespace == Namespace::User);
        let (owner, of) = match (selected, target) {
            (Some(user), _) => (namespace::owner(user.fd.as_fd()), "user"),
            (None, Some(target)) => {
                let user = of_target(Namespace::User, target)?;
                (namespace::owner(user.as_fd()), "target's user")
            }
            (None, None) => {
                let first = self.joins_of().next().ok_or_else(|| {
                    Error::new(ErrorKind::Usage, "--user-parent: no namespace is joined")
                        .with_hint("select a namespace as well, such as -n")
                })?;
                (namespace::owner(first.fd.as_fd()), first.namespace.name())
            }
        };
        let fd = owner.map_err(|errno| {
            let wrong = format!("--user-parent: the user namespace above the {of} namespace");
            Error::new(ErrorKind::Join, wrong)
                .with_source(errno)
                .with_hint("the target's cgroup has to be below the caller's")
        })?;
        let owner = check(Namespace::User, fd, false, &"--user-parent")?;
        if let Own::This(own) = Own::look_up(Namespace::User, false, procfs)?
            && own == owner.identity
        {
            return Err(in_it_already());
        }
        let user = self
            .decisions
            .iter_mut()
            .find(|(namespace, _)| *namespace == Namespace::User);
        if let Some((_, decision)) = user {
            *decision = Decision::Join(owner);
        }
        Ok(())
    }
}

/// A user namespace can only be joined from outside, setns(2).
fn in_it_already() -> Error {
    Error::new(ErrorKind::Join, "the user namespace cannot be joined")
        .with_hint("the caller is in it already: leave -U and --user-parent out")
}

/// The namespace of one type that the program is in without a join.
enum Own {
    /// The kernel has no namespaces of this type.
    Unsupported,
    This(Identity),
    /// It does not exist yet: the next child of this process creates it.
    NotYet,
}

impl Own {
    /// A child is born into the pid and time namespaces that its parent has set
    /// for its children, which need not be the parent's own (pid_namespaces(7)).
    fn look_up(namespace: Namespace, no_fork: bool, procfs: &Procfs) -> Result<Self> {
        let look_up = |name: &str| match procfs.own_namespace(name) {
            Ok(own) => Ok(Some(own)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => {
                let what = format!("/proc/self/ns/{name}");
                Err(Error::new(ErrorKind::System, what).with_source(errno))
            }
        };
        let Some(own) = look_up(namespace.name())? else {
            return Ok(Self::Unsupported);
        };
        let for_children = match (namespace, no_fork) {
            (Namespace::Pid, false) => "pid_for_children",
            (Namespace::Time, false) => "time_for_children",
            _ => return Ok(Self::This(own)),
        };
        Ok(look_up(for_children)?.map_or(Self::NotYet, Self::This))
    }
}

/// The types that protocol A joins.
const PROTOCOL_A: [Namespace; 6] = [
    Namespace::Ipc,
    Namespace::Uts,
    Namespace::Net,
    Namespace::Pid,
    Namespace::Mnt,
    Namespace::User,
];

fn open_source(
    namespace: Namespace,
    source: &NamespaceSource,
    target: Option<&Target>,
    network: Option<&OwnedFd>,
) -> Result<Join> {
    match source {
        NamespaceSource::Target => {
            let target = target.ok_or_else(|| no_target(namespace))?;
            let fd = of_target(namespace, target)?;
            check(namespace, fd, true, &namespace.name())
        }
        NamespaceSource::File(path) => check(namespace, open_path(path)?, false, &path.display()),
        NamespaceSource::Id(id) => {
            let fd = namespace::by_id(id.get()).map_err(|errno| {
                Error::new(
                    ErrorKind::Target,
                    format!("no namespace with the id {id} can be opened"),
                )
                .with_source(errno)
                .with_hint("opening a namespace by its id requires Linux 6.19")
            })?;
            check(namespace, fd, false, id)
        }
        NamespaceSource::Socket(number) => {
            let copy = network.map(OwnedFd::try_clone).transpose();
            let copy = copy.map_err(|error| {
                Error::new(ErrorKind::System, "a descriptor cannot be copied").with_source(error)
            })?;
            let fd = copy.ok_or_else(|| no_target(namespace))?;
            check(
                namespace,
                fd,
                false,
                &format!("descriptor {number} of the target"),
            )
        }
    }
}

/// The target's namespace: by its pidfd, else through its directory.
///
/// Both fail for a process with an ended main thread, even if other threads still run: the kernel
/// keeps the namespaces of a thread, not of a process.
fn of_target(namespace: Namespace, target: &Target) -> Result<OwnedFd> {
    if let Ok(fd) = namespace::of_pidfd(target.pidfd(), namespace) {
        return Ok(fd);
    }
    let name = format!("ns/{}", namespace.name());
    let path = CString::new(name.as_str()).unwrap_or_default();
    // Linux 5.10 opens a directory of procfs if it denies the link.
    let opened = target.open(&path, OFlag::O_RDONLY).and_then(|fd| {
        let is_namespace = is_namespace(&fd)?;
        is_namespace.then_some(fd).ok_or(Errno::EACCES)
    });
    opened.map_err(|errno| {
        if errno == Errno::ENOENT && target.main_thread_has_ended() {
            let wrong = format!("the main thread of process {} has ended", target.pid());
            return Error::new(ErrorKind::Target, wrong)
                .with_hint("give the pid of another process in the same namespaces");
        }
        target.failed(&name, errno)
    })
}

fn open_path(path: &Path) -> Result<OwnedFd> {
    // NONBLOCK: a FIFO in its place must not hang the helper.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open(path, flags, Mode::empty()).map_err(|errno| {
        let name = path.to_string_lossy();
        let error = Error::new(
            ErrorKind::Target,
            format!("cannot open the namespace file {name}"),
        );
        let error = error.with_source(errno);
        // `-mt PID`: other programs accept joined letters.
        let letters = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic());
        if errno == Errno::ENOENT && letters {
            return error.with_hint(
                "the value of a namespace option is a file: write the \
                 letters apart, such as -m -t PID",
            );
        }
        error
    })
}

/// Whether it is a file of nsfs.
pub(crate) fn is_namespace(fd: impl AsFd) -> std::result::Result<bool, Errno> {
    /// NSFS_MAGIC, linux/magic.h.
    const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
    Ok(fstatfs(fd)?.filesystem_type() == NSFS_MAGIC)
}

/// Checks that `fd` is a namespace, and of this type.
fn check(
    namespace: Namespace,
    fd: OwnedFd,
    of_target: bool,
    name: &dyn std::fmt::Display,
) -> Result<Join> {
    let failed = |errno| Error::new(ErrorKind::System, format!("{name}")).with_source(errno);
    if !is_namespace(&fd).map_err(failed)? {
        return Err(
            Error::new(ErrorKind::Target, format!("{name} is not a namespace file"))
                .with_hint("give a file such as /proc/PID/ns/net, or a bind mount of one"),
        );
    }
    let found = namespace::type_of(fd.as_fd()).map_err(failed)?;
    let found = found.cast_unsigned();
    if found != namespace.clone_flag() {
        let other = Namespace::ALL
            .into_iter()
            .find(|ns| ns.clone_flag() == found);
        let other = other.map_or("of another type", Namespace::name);
        let wanted = namespace.name();
        let wrong = format!("{name} is a namespace of the type {other}, not {wanted}");
        return Err(Error::new(ErrorKind::Target, wrong));
    }
    let identity = identity(&fd)?;
    Ok(Join {
        namespace,
        fd,
        identity,
        of_target,
    })
}

/// The identity of the namespace behind `fd`.
pub(crate) fn identity(fd: &OwnedFd) -> Result<Identity> {
    let stat = fstat(fd).map_err(|errno| {
        Error::new(
            ErrorKind::System,
            "cannot read the inode number of a namespace",
        )
        .with_source(errno)
    })?;
    Ok(Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
    })
}

fn no_target(namespace: Namespace) -> Error {
    let wrong = format!(
        "joining the {} namespace requires a target",
        namespace.name()
    );
    Error::new(ErrorKind::Usage, wrong).with_hint("add -t PID, or name a file of the namespace")
}
