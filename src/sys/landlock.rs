//! The two Landlock calls that are made without the landlock crate: the ABI
//! version, and entering a domain between clone and exec, where nothing may
//! allocate.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::check;

/// The kernel's Landlock ABI version; 0 when it has no Landlock, or has it
/// switched off.
pub(crate) fn abi() -> Result<u32, Errno> {
    /// LANDLOCK_CREATE_RULESET_VERSION
    const VERSION: u32 = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with the version flag, the attribute must be null and its size 0.
    let version =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) });
    match version {
        Ok(version) => u32::try_from(version).map_err(|_| Errno::EOVERFLOW),
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// Enters a new domain with the rules of `ruleset`, for good. `flags` are
/// LANDLOCK_RESTRICT_SELF_* of linux/landlock.h, none before ABI 7.
///
/// # Errors
/// EPERM: neither no_new_privs nor CAP_SYS_ADMIN. E2BIG: 16 domains deep.
/// EINVAL: the kernel does not know a flag.
pub(crate) fn restrict_self(ruleset: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    let ruleset = ruleset.as_raw_fd();
    // SAFETY: landlock_restrict_self takes two integers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, flags) })?;
    Ok(())
}
