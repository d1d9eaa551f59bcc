//! The reason of a failed clone(2): it has one errno for many reasons.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::error::{Error, ErrorKind};

/// A failed clone(2) of the process that becomes the program.
pub(crate) fn cannot_clone(errno: Errno) -> Error {
    clone_error("the program's process")(errno)
}

/// A failed clone(2), with the possible reasons of the refusal.
pub(crate) fn clone_error(process: &str) -> impl Fn(Errno) -> Error {
    move |errno| with_limits(format!("{process} cannot be cloned"), errno)
}

fn with_limits(message: String, errno: Errno) -> Error {
    let error = Error::new(ErrorKind::System, message);
    match errno {
        Errno::EAGAIN => {
            let uid = nix::unistd::getuid();
            let limit = getrlimit(Resource::RLIMIT_NPROC);
            let limit = limit.map_or("unknown".to_owned(), |(soft, _)| soft.to_string());
            error.with_source(errno).with_hint(format!(
                "raise the limit that is reached: RLIMIT_NPROC (ulimit -u) is {limit} for the \
                 user {uid}; others are pids.max of a cgroup, kernel.pid_max and kernel.threads-max"
            ))
        }
        Errno::ENOMEM => error.with_source(errno).with_hint(
            "the first process of the joined pid namespace has ended, so that the kernel accepts no \
             other process in it: choose a running target; or memory is short",
        ),
        errno => error.with_source(errno),
    }
}
