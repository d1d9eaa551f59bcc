//! setns(2), and the ways to a namespace's descriptor: ioctl_nsfs(2), the
//! ioctls of pidfds (linux/pidfd.h) and of sockets.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::{check, pidfd};
use crate::request::Namespace;

/// ioctl_nsfs(2): the user namespace that owns a namespace.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
/// ioctl_nsfs(2): the CLONE_NEW* flag of a namespace.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
/// linux/sockios.h: the network namespace of a socket.
const SIOCGSKNS: libc::Ioctl = 0x894c;

/// The request of PIDFD_GET_*_NAMESPACE (Linux 6.11): `_IO(0xff, number)`.
fn pidfd_request(namespace: Namespace) -> libc::Ioctl {
    let number = match namespace {
        Namespace::Cgroup => 1,
        Namespace::Ipc => 2,
        Namespace::Mnt => 3,
        Namespace::Net => 4,
        Namespace::Pid => 5,
        Namespace::Time => 7,
        Namespace::User => 9,
        Namespace::Uts => 10,
    };
    0xff00 | number
}

/// Moves this process into a namespace, which must be of this type.
pub(crate) fn set(fd: BorrowedFd<'_>, namespace: Namespace) -> Result<(), Errno> {
    // SAFETY: setns takes two integers. It changes the whole process, which is
    // single-threaded.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_raw_fd(), namespace.clone_flag()) })?;
    Ok(())
}

/// Moves this process into all of these namespaces of another process, in one step
/// (Linux 5.8): either all of them, as they are at one moment, or none.
///
/// # Errors
/// EINVAL: before Linux 5.8; or one of them cannot be joined by this process.
/// EPERM: this process lacks the right to join one of them. ESRCH: the process,
/// or its main thread, has ended.
pub(crate) fn set_all(
    process: BorrowedFd<'_>,
    namespaces: impl Iterator<Item = Namespace>,
) -> Result<(), Errno> {
    let flags = namespaces.fold(0, |flags, namespace| flags | namespace.clone_flag());
    // SAFETY: setns takes two integers. It changes the whole process, which is
    // single-threaded.
    check(unsafe { libc::syscall(libc::SYS_setns, process.as_raw_fd(), flags) })?;
    Ok(())
}

/// The process's namespace, without /proc.
///
/// # Errors
/// ENOTTY or EINVAL: the kernel has no such ioctl. EOPNOTSUPP: it has no
/// namespaces of this type. ESRCH: the process has ended.
pub(crate) fn of_pidfd(process: BorrowedFd<'_>, namespace: Namespace) -> Result<OwnedFd, Errno> {
    descriptor_ioctl(process, pidfd_request(namespace))
}

/// The user namespace that owns a namespace; the parent of a user namespace.
pub(crate) fn owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    descriptor_ioctl(namespace, NS_GET_USERNS)
}

/// The network namespace of a socket.
pub(crate) fn of_socket(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    descriptor_ioctl(socket, SIOCGSKNS)
}

/// The CLONE_NEW* flag of the namespace behind `fd`.
///
/// # Errors
/// ENOTTY: it is no namespace.
pub(crate) fn type_of(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    // SAFETY: NS_GET_NSTYPE has no argument and touches no memory of ours.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) })
}

/// The id of a namespace in nsfs, which is never used twice (Linux 6.18).
pub(crate) fn id(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    /// NS_GET_ID, linux/nsfs.h: `_IOR(0xb7, 13, __u64)`.
    const NS_GET_ID: libc::Ioctl = 0x8008_b70d;
    let mut id: u64 = 0;
    // SAFETY: NS_GET_ID writes one u64, which outlives the call.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_ID, &raw mut id) })?;
    Ok(id)
}

/// An ioctl without argument that returns a new descriptor (CLOEXEC).
fn descriptor_ioctl(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<OwnedFd, Errno> {
    // SAFETY: the three requests that reach this have no argument and touch no
    // memory of ours; on success they return a new descriptor.
    let fd = Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, 0) })?;
    Ok(pidfd::owned(fd.into()))
}

/// `struct nsfs_file_handle` in the frame of `struct file_handle`.
#[repr(C)]
struct NsfsHandle {
    bytes: u32,
    kind: i32,
    id: u64,
    ns_type: u32,
    inum: u32,
}

/// Opens a namespace by its nsfs id alone (Linux 6.19).
///
/// # Errors
/// ESTALE: no such namespace, or a kernel before 6.19, which requires type and inode number as
/// well. EBADF: a kernel before 6.18.
pub(crate) fn by_id(id: u64) -> Result<OwnedFd, Errno> {
    /// linux/fcntl.h: means the root of nsfs.
    const FD_NSFS_ROOT: i32 = -10003;
    /// FILEID_NSFS, linux/exportfs.h.
    const FILEID_NSFS: i32 = 0xf1;
    let mut handle = NsfsHandle {
        bytes: 16,
        kind: FILEID_NSFS,
        id,
        ns_type: 0,
        inum: 0,
    };
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: open_by_handle_at reads a file_handle and the 16 bytes that its
    // first field announces; NsfsHandle is exactly that and outlives the call.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            FD_NSFS_ROOT,
            &raw mut handle,
            flags,
        )
    })?;
    Ok(pidfd::owned(fd))
}
