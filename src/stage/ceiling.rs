//! Step 5: the lock-down before clone. It binds every process that starts after it: the helper's
//! and the program.

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::layers::Ready;
use crate::stage::explain::Audited;
use crate::sys::process;

/// The ceiling, ready to be enforced.
#[derive(Debug)]
pub(crate) struct Ceiling {
    pub(crate) no_new_privs: bool,
    pub(crate) layers: Ready,
    /// Whether the kernel audits refusals of the layers that it does not audit by default.
    pub(crate) audited: Audited,
}

impl Ceiling {
    /// Enforces it for this process and all of its descendants.
    ///
    /// # Errors
    /// `LockDown`: a layer could not be loaded. The process must then end.
    pub(crate) fn enforce(self) -> Result<()> {
        if self.no_new_privs {
            process::set_no_new_privs().map_err(|errno| failed("no_new_privs", errno))?;
        }
        if let Some(domain) = &self.layers.landlock {
            domain
                .enter()
                .map_err(|errno| failed("the Landlock domain", errno))?;
        }
        if let Some(program) = &self.layers.seccomp {
            self.audited
                .load_filter(program)
                .map_err(|errno| failed("the seccomp filter", errno))?;
        }
        Ok(())
    }
}

fn failed(layer: &str, errno: Errno) -> Error {
    let wrong = format!("{layer} of the ceiling cannot be put in force");
    let error = Error::new(ErrorKind::LockDown, wrong).with_source(errno);
    match errno {
        Errno::EACCES | Errno::EPERM => error.with_hint(
            "without no_new_privs this requires CAP_SYS_ADMIN: use a policy that sets no_new_privs",
        ),
        Errno::E2BIG => error.with_hint("at most 16 domains can be nested"),
        _ => error,
    }
}
