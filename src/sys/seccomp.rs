//! seccomp(2). seccompiler's own loader always sets no_new_privs.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::{check, pidfd};
use crate::seccomp::program::{Instruction, Program};

/// Adds a filter to this process, permanently.
///
/// # Errors
/// EACCES: neither no_new_privs nor CAP_SYS_ADMIN. ENOMEM: more than 32768 instructions (plus 4 per
/// filter) in all.
pub(crate) fn load(program: &Program) -> Result<(), Errno> {
    set_mode_filter(program.instructions(), 0).map(drop)
}

/// The same, but the kernel audits each kill and trap of the filter.
///
/// # Errors
/// Those of [`load`].
pub(crate) fn load_audited(program: &Program) -> Result<(), Errno> {
    set_mode_filter(program.instructions(), libc::SECCOMP_FILTER_FLAG_LOG).map(drop)
}

/// The same, with a descriptor that delivers its notifications. CLOEXEC.
///
/// # Errors
/// Those of [`load`]. EBUSY: another filter of this process has a listener.
pub(crate) fn load_listening(program: &Program) -> Result<OwnedFd, Errno> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    set_mode_filter(program.instructions(), flags).map(pidfd::owned)
}

/// Whether the kernel executes seccomp(2) for this process. A filter of the caller may return 0
/// instead, and then loading seems to succeed: this call has flags that the kernel refuses.
pub(crate) fn is_executed() -> bool {
    let operation = libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER);
    let none = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: seccomp reads a sock_fprog only after it has accepted the flags; these are invalid.
    check(unsafe { libc::syscall(libc::SYS_seccomp, operation, libc::c_ulong::MAX, none) }).is_err()
}

fn set_mode_filter(
    instructions: &[Instruction],
    flags: libc::c_ulong,
) -> Result<libc::c_long, Errno> {
    let fprog = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?,
        filter: instructions.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // Passed as a whole register: a loaded filter compares all 64 bits.
    let operation = libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER);
    // SAFETY: seccomp reads `len` sock_filters at `filter`: Instruction has the
    // layout of sock_filter (repr(C), the same fields; asserted below), there
    // are `len` of them, and the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const fprog) })
}

const _: () = assert!(
    size_of::<Instruction>() == size_of::<libc::sock_filter>()
        && align_of::<Instruction>() == align_of::<libc::sock_filter>()
);

#[cfg(test)]
mod tests;
