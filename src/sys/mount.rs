//! open_tree(2) and mount_setattr(2).

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::{check, pidfd};

/// open_tree's flags are unsigned and libc's AT_EMPTY_PATH is not.
const EMPTY_PATH: libc::c_uint = libc::AT_EMPTY_PATH.cast_unsigned();

/// A detached mount of the file or directory behind `file`: its `..` is itself.
///
/// # Errors
/// EPERM: no CAP_SYS_ADMIN in the user namespace of the mount namespace. ENOSYS: before Linux 5.2.
/// EINVAL: the file is on a mount of another mount namespace, or on one that must not be cloned.
pub(crate) fn detached(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | EMPTY_PATH;
    // SAFETY: open_tree reads one string, a literal here.
    let tree = check(unsafe {
        libc::syscall(libc::SYS_open_tree, file.as_raw_fd(), c"".as_ptr(), flags)
    })?;
    Ok(pidfd::owned(tree))
}

/// A detached, read-only mount of the file or directory behind `file`.
///
/// # Errors
/// EPERM: no CAP_SYS_ADMIN in the user namespace of the mount namespace. ENOSYS: before Linux 5.2,
/// or 5.12 for the attribute. EINVAL: the file is on a mount of another mount namespace, or on one
/// that must not be cloned.
pub(crate) fn detached_read_only(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let tree = detached(file)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: mount_setattr reads one string, a literal here, and as many bytes of the structure as
    // the last argument states, which is its size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(tree)
}
