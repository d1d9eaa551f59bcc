//! Namespaces as open descriptors: of the target, from a file, by id, or of a socket.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use crate::error::{Error, ErrorKind, Result};
use crate::request::{Namespace, NamespaceSource};
use crate::sys::namespace;
use crate::target::Target;

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

/// Opens one namespace, and checks that it is one of this type.
pub(super) fn open_source(
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
pub(super) fn of_target(namespace: Namespace, target: &Target) -> Result<OwnedFd> {
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
pub(super) fn check(
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
