//! The namespaces to join, each as an open descriptor of a known type.

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
use crate::sys::{namespace, pidfd};

/// A namespace to join.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) namespace: Namespace,
    pub(crate) fd: OwnedFd,
    /// Its inode number in nsfs.
    pub(crate) inode: u64,
    /// It is the target's, and was not named as a file or by an id.
    pub(crate) of_target: bool,
}

/// What becomes of each namespace.
#[derive(Debug)]
pub(crate) struct Memberships {
    pub(crate) join: Vec<Membership>,
    /// Those that the caller shares already.
    pub(crate) shared: Vec<Namespace>,
    /// Those that the kernel does not have.
    pub(crate) missing: Vec<Namespace>,
}

impl Memberships {
    /// Opens the namespaces of `selection`.
    pub(crate) fn open(
        selection: &Selection,
        user_parent: bool,
        target: Option<&Target>,
        procfs: &Procfs,
    ) -> Result<Self> {
        let mut opened = Self {
            join: Vec::new(),
            shared: Vec::new(),
            missing: Vec::new(),
        };
        let none = BTreeMap::new();
        let (whole, named): (&[Namespace], _) = match selection {
            Selection::All { except } => (&Namespace::ALL, except),
            Selection::ProtocolA => (&PROTOCOL_A, &none),
            Selection::Only(named) => (&[], named),
        };
        for namespace in Namespace::ALL {
            match named.get(&namespace) {
                Some(source) => {
                    let opened_source = open_source(namespace, source, target, procfs)?;
                    opened.join.push(opened_source);
                }
                None if whole.contains(&namespace) => {
                    opened.add_unless_shared(namespace, target, procfs)?;
                }
                None => {}
            }
        }
        if user_parent {
            opened.join_owner()?;
        }
        Ok(opened)
    }

    pub(crate) fn joins(&self, namespace: Namespace) -> bool {
        self.join.iter().any(|member| member.namespace == namespace)
    }

    /// Whether the namespace of this type is joined and is the target's own.
    pub(crate) fn joins_targets(&self, namespace: Namespace) -> bool {
        self.join
            .iter()
            .any(|member| member.namespace == namespace && member.of_target)
    }

    fn add_unless_shared(
        &mut self,
        namespace: Namespace,
        target: Option<&Target>,
        procfs: &Procfs,
    ) -> Result<()> {
        let Some(target) = target else {
            return Err(no_target(namespace));
        };
        let failed = |errno| Error::new(ErrorKind::System, "a namespace's inode").because(errno);
        let own = match procfs.own_namespace(namespace.name()) {
            Ok(own) => own,
            // Only the caller's own directory shows which types the kernel
            // lacks: that of the target lacks all of them once it has ended.
            Err(Errno::ENOENT) => {
                self.missing.push(namespace);
                return Ok(());
            }
            Err(errno) => return Err(failed(errno)),
        };
        let fd = of_target(namespace, target)?;
        let stat = fstat(&fd).map_err(failed)?;
        if own == (stat.st_dev, stat.st_ino) {
            self.shared.push(namespace);
        } else {
            self.join.push(Membership {
                namespace,
                fd,
                inode: stat.st_ino,
                of_target: true,
            });
        }
        Ok(())
    }

    /// `--user-parent`: the user namespace that owns the first of the others,
    /// or the parent of the one that is joined.
    fn join_owner(&mut self) -> Result<()> {
        let of = self
            .join
            .iter()
            .find(|member| member.namespace == Namespace::User);
        let Some(of) = of.or_else(|| self.join.first()) else {
            return Err(
                Error::new(ErrorKind::Usage, "--user-parent: no namespace is joined")
                    .right("name the namespace whose owner is meant"),
            );
        };
        let fd = namespace::owner(of.fd.as_fd()).map_err(|errno| {
            let wrong = format!(
                "the user namespace above the {} namespace",
                of.namespace.name()
            );
            Error::new(ErrorKind::Join, wrong)
                .because(errno)
                .right("it is out of reach when it is not beneath the caller's")
        })?;
        let owner = membership(Namespace::User, fd, false, &"--user-parent")?;
        self.join
            .retain(|member| member.namespace != Namespace::User);
        self.join.push(owner);
        Ok(())
    }
}

/// What protocol A joins.
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
    procfs: &Procfs,
) -> Result<Membership> {
    match source {
        NamespaceSource::Target => {
            let target = target.ok_or_else(|| no_target(namespace))?;
            if procfs.own_namespace(namespace.name()) == Err(Errno::ENOENT) {
                let wrong = format!("this kernel has no {} namespaces", namespace.name());
                return Err(Error::new(ErrorKind::Unsupported, wrong));
            }
            let fd = of_target(namespace, target)?;
            membership(namespace, fd, true, &namespace.name())
        }
        NamespaceSource::File(path) => {
            membership(namespace, open_path(path)?, false, &path.display())
        }
        NamespaceSource::Id(id) => {
            let fd = namespace::by_id(id.get()).map_err(|errno| {
                Error::new(
                    ErrorKind::Target,
                    format!("no namespace with the id {id} can be opened"),
                )
                .because(errno)
                .right("by its id alone, a namespace is opened from Linux 6.19 on")
            })?;
            membership(namespace, fd, false, id)
        }
        NamespaceSource::Socket(number) => {
            let target = target.ok_or_else(|| no_target(namespace))?;
            let wrong = format!("descriptor {number} of process {}", target.pid());
            let failed = |errno| Error::new(ErrorKind::Target, wrong.clone()).because(errno);
            let socket = pidfd::duplicate(target.pidfd(), *number).map_err(failed)?;
            let fd = namespace::of_socket(socket.as_fd())
                .map_err(|errno| failed(errno).right("give the number of a socket"))?;
            membership(namespace, fd, false, &wrong)
        }
    }
}

/// The target's namespace: by its pidfd, else through its directory.
///
/// Both fail for a process whose main thread has ended, whatever its other
/// threads do: the kernel keeps the namespaces of a thread, not of a process.
fn of_target(namespace: Namespace, target: &Target) -> Result<OwnedFd> {
    if let Ok(fd) = namespace::of_pidfd(target.pidfd(), namespace) {
        return Ok(fd);
    }
    let name = format!("ns/{}", namespace.name());
    let path = CString::new(name.as_str()).unwrap_or_default();
    target.open(&path, OFlag::O_RDONLY).map_err(|errno| {
        if errno == Errno::ENOENT && target.main_thread_has_ended() {
            let wrong = format!("the main thread of process {} has ended", target.pid());
            return Error::new(ErrorKind::Target, wrong)
                .right("give the pid of another process in the same namespaces");
        }
        target.failed(&name, errno)
    })
}

fn open_path(path: &Path) -> Result<OwnedFd> {
    // NONBLOCK: a FIFO in its place must not hang the helper.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open(path, flags, Mode::empty())
        .map_err(|errno| Error::new(ErrorKind::Target, path.display().to_string()).because(errno))
}

/// Makes sure that `fd` is a namespace, and of this type.
fn membership(
    namespace: Namespace,
    fd: OwnedFd,
    of_target: bool,
    name: &dyn std::fmt::Display,
) -> Result<Membership> {
    /// NSFS_MAGIC, linux/magic.h.
    const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
    let failed = |errno| Error::new(ErrorKind::System, format!("{name}")).because(errno);
    let is_namespace = fstatfs(&fd).map_err(failed)?.filesystem_type() == NSFS_MAGIC;
    if !is_namespace {
        return Err(
            Error::new(ErrorKind::Target, format!("{name} is no namespace"))
                .right("give a file such as /proc/PID/ns/net, or a bind mount of one"),
        );
    }
    let found = namespace::type_of(fd.as_fd()).map_err(failed)?;
    if found != namespace::clone_flag(namespace) {
        let other = Namespace::ALL
            .into_iter()
            .find(|ns| namespace::clone_flag(*ns) == found);
        let other = other.map_or("of another type", Namespace::name);
        let wanted = namespace.name();
        let wrong = format!("{name} is a namespace of the type {other}, not {wanted}");
        return Err(Error::new(ErrorKind::Target, wrong));
    }
    let inode = fstat(&fd).map_err(failed)?.st_ino;
    Ok(Membership {
        namespace,
        fd,
        inode,
        of_target,
    })
}

fn no_target(namespace: Namespace) -> Error {
    let wrong = format!("whose {} namespace is meant is not said", namespace.name());
    Error::new(ErrorKind::Usage, wrong).right("give -t PID, or a file")
}
