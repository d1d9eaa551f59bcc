//! Whether a descriptor that the caller passes by its number is usable.
//!
//! Checked before anything starts. A descriptor that is open the wrong way is a mistake of the
//! caller, and `EBADF` at its first use would neither identify it nor show that the number is right
//! and the redirection is wrong.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

use crate::error::{Error, ErrorKind, Result};
use crate::sys::descriptor;

/// The use of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The program gets it unchanged.
    Inherited,
    Read,
    Write,
    ReadAndWrite,
}

/// A copy of descriptor `number`, the value of `name`, if it is usable.
///
/// # Errors
/// `kind`: it is not open, is a directory, was opened with O_PATH, or is open the other way.
pub(crate) fn take(kind: ErrorKind, name: &str, number: RawFd, usage: Use) -> Result<OwnedFd> {
    let wrong = |wrong: &str, right: &str| {
        let wrong = format!("{name}{number}: descriptor {number} {wrong}");
        Error::new(kind, wrong).with_hint(right)
    };
    let copy = match descriptor::duplicate_number(number) {
        Ok(copy) => copy,
        Err(_) if !descriptor::is_open(number) => {
            return Err(wrong(
                "is not open",
                "give the number of a descriptor that the caller has open",
            ));
        }
        Err(errno) => return Err(wrong("cannot be copied", usage.hint()).with_source(errno)),
    };
    let unreadable =
        |errno| wrong("has no readable state (fstat, F_GETFL)", usage.hint()).with_source(errno);
    let flags = fcntl(copy.as_fd(), FcntlArg::F_GETFL).map_err(unreadable)?;
    let stat = fstat(&copy).map_err(unreadable)?;
    match unfit(
        OFlag::from_bits_retain(flags),
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT,
        usage,
    ) {
        None => Ok(copy),
        Some(reason) => Err(wrong(reason, usage.hint())),
    }
}

/// Why a descriptor with these flags, of a file of this type, is unusable.
fn unfit(flags: OFlag, kind: SFlag, usage: Use) -> Option<&'static str> {
    if usage == Use::Inherited {
        return None;
    }
    if kind == SFlag::S_IFDIR {
        return Some("is a directory");
    }
    if flags.contains(OFlag::O_PATH) {
        return Some("was opened with O_PATH");
    }
    let mode = flags & OFlag::O_ACCMODE;
    match usage {
        Use::Read | Use::ReadAndWrite if mode == OFlag::O_WRONLY => {
            Some("is open for writing only")
        }
        Use::Write | Use::ReadAndWrite if mode == OFlag::O_RDONLY => {
            Some("is open for reading only")
        }
        _ => None,
    }
}

impl Use {
    fn hint(self) -> &'static str {
        match self {
            Self::Inherited => "give the number of a descriptor that the caller has open",
            Self::Read => "give a file, pipe or socket that is open for reading",
            Self::Write => "give a file, pipe or socket that is open for writing",
            Self::ReadAndWrite => "give one end of a pair of sockets",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_requires_its_access_mode() {
        let [read, write, both] = [OFlag::O_RDONLY, OFlag::O_WRONLY, OFlag::O_RDWR];
        let file = SFlag::S_IFREG;
        for (flags, kind, usage, fit) in [
            (read, file, Use::Read, true),
            (both, file, Use::Read, true),
            (write, file, Use::Read, false),
            (write | OFlag::O_APPEND, file, Use::Write, true),
            (both, SFlag::S_IFSOCK, Use::Write, true),
            (read, SFlag::S_IFIFO, Use::Write, false),
            (both, SFlag::S_IFSOCK, Use::ReadAndWrite, true),
            (read, file, Use::ReadAndWrite, false),
            (write, file, Use::ReadAndWrite, false),
            (read, SFlag::S_IFDIR, Use::Read, false),
            (OFlag::O_PATH, file, Use::Read, false),
            (OFlag::O_PATH, SFlag::S_IFDIR, Use::Inherited, true),
            (read, SFlag::S_IFDIR, Use::Inherited, true),
        ] {
            assert_eq!(
                unfit(flags, kind, usage).is_none(),
                fit,
                "{flags:?} {kind:?} {usage:?}"
            );
        }
    }
}
