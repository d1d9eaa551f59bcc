//! statx(2), limited to the kernel's own knowledge of a file, without requests to a server.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::stat::SFlag;

use super::check;

/// The kernel's own knowledge of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    /// The type: one of S_IFREG, S_IFDIR and so on.
    pub(crate) kind: SFlag,
    /// The id in mountinfo of the mount through which the file was opened. It stays this mount's
    /// while the file is open.
    pub(crate) mount: u64,
    /// Major and minor number of the file system's device.
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    /// For a device: its own major and minor number.
    pub(crate) number: (u32, u32),
}

impl FileIdentity {
    /// Whether both are one file, reached through one mount.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        (self.mount, self.device, self.inode) == (other.mount, other.device, other.inode)
    }
}

/// Reads type, mount and inode of `file`, which may be an O_PATH descriptor.
///
/// AT_STATX_DONT_SYNC: the kernel sends no request to a process or a machine that serves the file
/// system, so that it cannot block the caller.
///
/// # Errors
/// EOPNOTSUPP: the kernel does not report one of these (before Linux 5.8).
pub(crate) fn identify(file: BorrowedFd<'_>) -> Result<FileIdentity, Errno> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE | libc::STATX_INO | libc::STATX_MNT_ID;
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: statx reads one string, a literal here, and writes one statx, to which the last
    // argument points.
    check(unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            flags,
            mask,
            found.as_mut_ptr(),
        )
    })?;
    // SAFETY: assume_init requires a valid value: the structure consists of integers, all of which
    // were zeroed, so any value is valid.
    let found = unsafe { found.assume_init() };
    if found.stx_mask & mask != mask {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(FileIdentity {
        kind: SFlag::from_bits_truncate(found.stx_mode.into()) & SFlag::S_IFMT,
        mount: found.stx_mnt_id,
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        number: (found.stx_rdev_major, found.stx_rdev_minor),
    })
}
