//! The session keyring, session-keyring(7).

use nix::errno::Errno;

use super::check;

/// KEYCTL_JOIN_SESSION_KEYRING and KEYCTL_READ, linux/keyctl.h.
const JOIN_SESSION_KEYRING: libc::c_ulong = 1;
const READ: libc::c_ulong = 11;
/// KEY_SPEC_SESSION_KEYRING
const SESSION_KEYRING: libc::c_long = -3;

/// Gives this process, and its later clones, a new session keyring without a name.
///
/// # Errors
/// ENOSYS: the kernel has no keys. EDQUOT: the user has too many. Any other errno that a filter of
/// the caller returns.
pub(crate) fn join_new_session() -> Result<(), Errno> {
    let no_name = std::ptr::null::<libc::c_char>();
    // SAFETY: the command takes one pointer to a name, or null for none.
    let serial = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, no_name) })?;
    // A keyring's number is positive: a filter returned the 0.
    if serial > 0 {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// Reads the length of the session keyring's content, but none of the content.
///
/// # Errors
/// ENOKEY, EACCES, EKEYREVOKED, EKEYEXPIRED by the kernel; never EPERM or ENOSYS, unless it has no
/// keys.
pub(crate) fn read_session() -> Result<(), Errno> {
    let nowhere = std::ptr::null_mut::<libc::c_char>();
    // SAFETY: the command takes a key, a buffer and its length; with a null buffer of length 0
    // nothing is written.
    check(unsafe { libc::syscall(libc::SYS_keyctl, READ, SESSION_KEYRING, nowhere, 0_usize) })?;
    Ok(())
}
