//! The helper's own lines on standard error.

use crate::error::{Error, ErrorKind};
use crate::sys::descriptor;
use nsexec_text::printable::Printable;

/// One line on standard error about a problem that does not prevent the start of the program.
pub(crate) fn warn(warning: &str) {
    print_error(&Error::new(
        ErrorKind::Target,
        format!("warning: {warning}"),
    ));
}

/// One line on standard error.
pub(crate) fn print_error(error: &dyn std::fmt::Display) {
    let line = format!("nsexec: {}\n", Printable(error));
    let _ = nix::unistd::write(descriptor::standard(2), line.as_bytes());
}
