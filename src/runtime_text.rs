//! An error in the words of a runtime and its users.
//!
//! They have no command line of nsexec, so a hint that names one of its options is left out.
//! Engines derive the reason of a failure from its text ("no such file or directory", "permission
//! denied"), and know the kernel's reasons in Go's spelling, in small letters.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use nix::errno::Errno;

use crate::error::Error;
use nsexec_text::printable::Escaping;

/// Prints the error.
#[derive(Debug)]
pub(crate) struct ForRuntime<'a>(pub(crate) &'a Error);

impl fmt::Display for ForRuntime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaping(f);
        f.write_str(self.0.message())?;
        match self.0.source().map(|source| (source, errno(source))) {
            Some((_, Some(errno))) => write!(f, ": {errno:?}: {}", errno.desc().to_lowercase())?,
            Some((source, None)) => write!(f, ": {source}")?,
            None => {}
        }
        match self.0.hint() {
            Some(hint) if !names_option(hint) => write!(f, "; {hint}"),
            _ => Ok(()),
        }
    }
}

fn names_option(hint: &str) -> bool {
    let mut words = hint.split(' ');
    words.any(|word| {
        word.trim_start_matches(['(', '`', '"', '\''])
            .starts_with('-')
    })
}

/// The kernel's reason, if the underlying failure is one.
fn errno(source: &(dyn StdError + 'static)) -> Option<Errno> {
    let number = |error: &std::io::Error| error.raw_os_error().map(Errno::from_raw);
    let errno = source.downcast_ref().copied();
    errno.or_else(|| source.downcast_ref().and_then(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn no_option_is_named_and_reasons_are_as_go_writes_them() {
        let error = |right: &str| Error::new(ErrorKind::Join, "the uts namespace").with_hint(right);
        let printed = |error: &Error| ForRuntime(error).to_string();
        for hint in [
            "leave -U out",
            "--user keeps the caller's",
            "give -t PID, or a file",
            "join it (-U)",
        ] {
            let error = error(hint).with_source(Errno::EACCES);
            assert_eq!(
                printed(&error),
                "the uts namespace: EACCES: permission denied"
            );
            assert!(error.to_string().ends_with(hint));
        }
        let missing = std::io::Error::from_raw_os_error(2);
        assert_eq!(
            printed(&error("give a file of a read-only mount").with_source(missing)),
            "the uts namespace: ENOENT: no such file or directory; give a file of a read-only mount"
        );
        assert_eq!(
            printed(&error("be its owner").with_source("three")),
            "the uts namespace: three; be its owner"
        );
    }
}
