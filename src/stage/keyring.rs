//! The session keyring: the caller's keys stay with the caller.
//!
//! A session keyring crosses fork, execve and setns, so that the program could read
//! the caller's keys (those of a file system, of Kerberos, of a network file
//! system). runc gives each exec a keyring of the container's for this reason.

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::Keyring;
use crate::sys::keyring;

/// Leaves the caller's session keyring if the policy requires it. Runs before the join, because the
/// quota is the caller's then and the target cannot use it up, and before the ceiling, which
/// refuses keyctl(2).
///
/// # Errors
/// `LockDown`: there is a keyring, and this process cannot leave it.
pub(crate) fn renew(wanted: Keyring) -> Result<()> {
    match wanted {
        Keyring::Caller => return Ok(()),
        Keyring::New => {}
    }
    let Err(errno) = keyring::join_new_session() else {
        return Ok(());
    };
    if out_of_reach(errno, keyring::read_session()) {
        return Ok(());
    }
    let wrong = "cannot join a new session keyring for the program";
    let error = Error::new(ErrorKind::LockDown, wrong).with_source(errno);
    Err(match errno {
        Errno::EDQUOT => error.with_hint(
            "raise kernel.keys.maxkeys or remove keys of this user; /proc/key-users counts them",
        ),
        _ => {
            error.with_hint("use a policy with keyring = \"caller\", which hands the caller's over")
        }
    })
}

/// Whether neither this process nor its descendants can read a key: the kernel has no keyrings, or
/// a filter that binds both refuses keyctl(2), as Docker's does.
fn out_of_reach(joined: Errno, read: std::result::Result<(), Errno>) -> bool {
    let refused = |errno| matches!(errno, Errno::ENOSYS | Errno::EPERM);
    refused(joined) && read.is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_can_be_read_is_not_out_of_reach() {
        assert!(out_of_reach(Errno::ENOSYS, Err(Errno::ENOSYS)));
        assert!(out_of_reach(Errno::EPERM, Err(Errno::EPERM)));
        for (joined, read) in [
            (Errno::EPERM, Ok(())),
            (Errno::ENOSYS, Ok(())),
            (Errno::EPERM, Err(Errno::EACCES)),
            (Errno::EPERM, Err(Errno::ENOKEY)),
            (Errno::EDQUOT, Err(Errno::EPERM)),
            (Errno::EACCES, Err(Errno::EPERM)),
        ] {
            assert!(!out_of_reach(joined, read), "{joined} {read:?}");
        }
    }
}
