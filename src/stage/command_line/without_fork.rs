//! The exec without a child: the helper becomes the program.

use std::cell::OnceCell;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::image::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::request::Pid;
use crate::stage::exec::{Image, ParentConnection, Release, VerificationRequest};
use crate::stage::waits::Delivered;

fn own_pid() -> Result<Pid> {
    let pid = i32::try_from(std::process::id()).ok().and_then(Pid::new);
    pid.ok_or_else(|| Error::new(ErrorKind::System, "getpid returned an invalid pid"))
}

impl Prepared {
    /// Returns only on failure.
    pub(super) fn become_without_fork(self) -> Error {
        let Self {
            image,
            program,
            directory,
            expected,
            verifier,
            supervisor,
            explainer,
        } = self;
        let asking = match own_pid() {
            Ok(pid) => VerificationRequest {
                verifier,
                pid,
                expected,
                refused: OnceCell::new(),
            },
            Err(error) => return error,
        };
        let error = execute(&image, asking, &program, directory.as_deref());
        // The numbers of their descriptors are closed by the time execve fails.
        std::mem::forget((image, supervisor, explainer));
        error
    }
}

/// Returns only on failure.
fn execute(
    image: &Image,
    asking: VerificationRequest,
    program: &str,
    directory: Option<&str>,
) -> Error {
    let (verifier, pid) = (&asking.verifier, asking.pid);
    // Each signal has its default effect on this process.
    let waits = Delivered(None);
    let begun = verifier
        .move_to_cgroups(pid, &waits)
        .and_then(|()| verifier.verify_mount(pid, &asking.expected, &waits));
    if let Err(unmet) = begun {
        return unmet.into_error();
    }
    // The report has no reader: this process returns the failure and reports it itself.
    let report = match pipe2(OFlag::O_CLOEXEC) {
        Ok((_, report)) => report,
        Err(errno) => {
            return Error::new(ErrorKind::System, "cannot create a pipe").with_source(errno);
        }
    };
    let parent = ParentConnection {
        report,
        release: Release::Verifier(asking),
    };
    let failure = image.become_program(&parent);
    let refused = match parent.release {
        Release::Verifier(VerificationRequest {
            verifier, refused, ..
        }) => {
            // The number of its socket is closed as well.
            std::mem::forget(verifier);
            refused.into_inner()
        }
        Release::Parent(_) | Release::Own => None,
    };
    refused.unwrap_or_else(|| failure.into_error_in(program, directory))
}
