//! The filters of the helper's own processes: lists of calls, all others are
//! refused.

use crate::seccomp::compile::compile;
use crate::seccomp::profile::{Action, Profile, Rule, When};
use crate::seccomp::program::Program;
use crate::seccomp::table::Arch;
use crate::{Error, ErrorKind, Result};

/// What waiting for the program takes: at most 20 calls.
pub(crate) const SUPERVISOR: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_waitid,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_pidfd_send_signal,
    // To stop, and to end by the program's signal.
    libc::SYS_getpid,
    libc::SYS_kill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    libc::SYS_exit_group,
    // The allocator, for the status lines and for errors.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
];

/// What compiling a policy takes.
pub(crate) const POLICY_CHILD: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit_group,
];

/// What explaining refusals takes.
pub(crate) const EXPLAINER: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    // The listener.
    libc::SYS_ioctl,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_getppid,
    // Audit records.
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit_group,
];

/// The architecture that filters are made for.
pub(crate) fn native() -> Result<Arch> {
    Arch::native().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "filters are made for x86_64 and aarch64 only",
        )
    })
}

/// A program that allows these calls; any other fails with EPERM.
pub(crate) fn allowing(calls: &[libc::c_long]) -> Result<Program> {
    let rule = |number: &libc::c_long| {
        let syscall = u32::try_from(*number).ok()?;
        Some(Rule {
            syscall,
            when: When::Always,
            action: Action::Allow,
        })
    };
    let rules = calls.iter().filter_map(rule).collect();
    let eperm = Action::Errno(1);
    compile(
        &Profile {
            default: eperm,
            newest: u32::MAX,
            rules,
        },
        native()?,
    )
    .map_err(|fault| {
        Error::new(
            ErrorKind::LockDown,
            format!("the helper's own filter: {fault}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helpers_own_filters_are_small() {
        assert!(SUPERVISOR.len() <= 20, "{}", SUPERVISOR.len());
        assert!(POLICY_CHILD.len() <= 12, "{}", POLICY_CHILD.len());
        assert!(EXPLAINER.len() <= 20, "{}", EXPLAINER.len());
    }
}
