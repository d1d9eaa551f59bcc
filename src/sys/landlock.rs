//! The two Landlock calls that do not go through the landlock crate: the ABI version, and entering
//! a domain between clone and exec, where allocation is forbidden.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::check;

/// The Landlock of this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It is in force, with this ABI version: 1 or more.
    Abi(u32),
    /// It is built in, but not in force: lsm= at boot does not name it.
    SwitchedOff,
    /// The kernel has no Landlock.
    NotBuilt,
}

impl Support {
    /// The ABI version; 0 if there is none.
    pub(crate) fn abi(self) -> u32 {
        match self {
            Self::Abi(version) => version,
            Self::SwitchedOff | Self::NotBuilt => 0,
        }
    }
}

/// Queries the kernel's Landlock.
pub(crate) fn support() -> Result<Support, Errno> {
    /// LANDLOCK_CREATE_RULESET_VERSION
    const VERSION: u32 = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with the version flag, the attribute must be null and its size 0.
    let version =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) });
    match version {
        Ok(version) => u32::try_from(version)
            .map(Support::Abi)
            .map_err(|_| Errno::EOVERFLOW),
        Err(Errno::EOPNOTSUPP) => Ok(Support::SwitchedOff),
        Err(Errno::ENOSYS) => Ok(Support::NotBuilt),
        Err(errno) => Err(errno),
    }
}

/// Enters a new domain with the rules of `ruleset`, permanently. `flags` are
/// LANDLOCK_RESTRICT_SELF_* of linux/landlock.h, none before ABI 7.
///
/// # Errors
/// EPERM: neither no_new_privs nor CAP_SYS_ADMIN. E2BIG: 16 domains deep. EINVAL: the kernel does
/// not know a flag. EBADE: the call was not executed: a filter of the caller returns 0 for it
/// (SECCOMP_RET_ERRNO with errno 0).
pub(crate) fn restrict_self(ruleset: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    let ruleset = ruleset.as_raw_fd();
    // SAFETY: landlock_restrict_self takes two integers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, flags) })?;
    // A domain cannot be read back. But the kernel refuses a descriptor that is no ruleset.
    // SAFETY: as above.
    match check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, -1, flags) }) {
        Err(_) => Ok(()),
        Ok(_) => Err(Errno::EBADE),
    }
}
