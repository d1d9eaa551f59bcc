//! Messages of the auditor about itself.

use std::io::{self, Write as _};

/// Writes a line to standard error; an error in doing so has nowhere to go.
pub fn log_stderr(message: &str) {
    let _ = writeln!(io::stderr(), "nsexec-audit: {message}");
}
