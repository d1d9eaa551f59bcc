//! The attributes of a process: dumpable, single-threaded, started with more privilege than its
//! caller had; and its end.

use nix::errno::Errno;

/// Whether the kernel started this program with credentials that its caller
/// did not have: set-user-ID, set-group-ID or file capabilities (AT_SECURE,
/// getauxval(3)).
pub(crate) fn gained_privilege() -> bool {
    // SAFETY: getauxval takes an integer and reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// PR_SET_DUMPABLE 0: no ptrace and no /proc/PID/{exe,fd,root,cwd,mem} for
/// processes without CAP_SYS_PTRACE. Every change of credentials may undo it.
pub(crate) fn set_undumpable() -> Result<(), Errno> {
    set_dumpable(0)
}

/// PR_GET_DUMPABLE, for [`restore_dumpable`]: 0, 1 or 2.
pub(crate) fn dumpable() -> Result<i32, Errno> {
    // SAFETY: PR_GET_DUMPABLE takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) })
}

/// Makes the process as dumpable as [`dumpable`] reported. A process cannot set 2 (suid_dumpable),
/// which becomes 0.
pub(crate) fn restore_dumpable(value: i32) -> Result<(), Errno> {
    set_dumpable(libc::c_ulong::from(value == 1))
}

fn set_dumpable(value: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: PR_SET_DUMPABLE takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0) })?;
    match dumpable()? {
        found if libc::c_ulong::try_from(found) == Ok(value) => Ok(()),
        _ => Err(Errno::EBADE),
    }
}

/// PR_SET_NO_NEW_PRIVS.
pub(crate) fn set_no_new_privs() -> Result<(), Errno> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}

/// PR_GET_NO_NEW_PRIVS.
pub(crate) fn no_new_privs() -> Result<bool, Errno> {
    // SAFETY: PR_GET_NO_NEW_PRIVS takes integers only.
    let set = Errno::result(unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) })?;
    Ok(set == 1)
}

/// PR_SET_PDEATHSIG: SIGKILL when the parent ends. Cleared by a change of
/// credentials, and by executing a set-user-ID program.
pub(crate) fn set_killed_with_parent() -> Result<(), Errno> {
    // SAFETY: PR_SET_PDEATHSIG takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
    let mut signal: libc::c_int = 0;
    // SAFETY: PR_GET_PDEATHSIG writes one int, which outlives the call.
    Errno::result(unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal, 0, 0, 0) })?;
    if signal == libc::SIGKILL {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// [`set_killed_with_parent`], and a check whether `parent` has ended before.
///
/// Only if both are in one pid namespace: elsewhere the parent has the number 0.
///
/// # Errors
/// ESRCH: it has ended.
pub(crate) fn bind_to(parent: u32) -> Result<(), Errno> {
    set_killed_with_parent()?;
    if nix::unistd::getppid().as_raw().unsigned_abs() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

/// PR_SET_NAME: the name in ps(1); at most 15 bytes count.
pub(crate) fn set_name(name: &std::ffi::CStr) -> Result<(), Errno> {
    // SAFETY: PR_SET_NAME reads a string, which a CStr is.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })?;
    Ok(())
}

/// umask(2).
///
/// # Errors
/// EBADE: the kernel did not execute the call, which itself reports no failure.
pub(crate) fn set_umask(mask: u32) -> Result<(), Errno> {
    let other = !mask & 0o777;
    // SAFETY: umask takes an integer.
    unsafe { libc::umask(other) };
    // SAFETY: umask takes an integer.
    match unsafe { libc::umask(mask) } {
        before if before == other => Ok(()),
        _ => Err(Errno::EBADE),
    }
}

/// Sets a resource limit of this process; `u64::MAX` is RLIM_INFINITY.
///
/// # Errors
/// EPERM: a hard limit is raised without CAP_SYS_RESOURCE.
pub(crate) fn set_rlimit(resource: u8, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let none = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: prlimit64 reads one rlimit64, which outlives the call, and writes the old one only if
    // the last pointer is not null.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::c_uint::from(resource),
            &raw const limit,
            none,
        )
    })?;
    let mut found = libc::rlimit64 {
        rlim_cur: !soft,
        rlim_max: !hard,
    };
    let unchanged = std::ptr::null::<libc::rlimit64>();
    // SAFETY: prlimit64 writes one rlimit64, which outlives the call, and reads no new limit
    // because that pointer is null.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::c_uint::from(resource),
            unchanged,
            &raw mut found,
        )
    })?;
    if (found.rlim_cur, found.rlim_max) == (soft, hard) {
        Ok(())
    } else {
        Err(Errno::EBADE)
    }
}

/// The working directory in the kernel's notation, written into `buffer`.
///
/// # Errors
/// ERANGE: longer than `buffer`. ENOENT: it was removed.
pub(crate) fn current_directory(buffer: &mut [u8; 4096]) -> Result<&[u8], Errno> {
    // The system call, not getcwd(3), which hides "(unreachable)".
    // SAFETY: getcwd writes at most as many bytes as the second argument states, which is the
    // length of the buffer.
    let length = super::check(unsafe {
        libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len())
    })?;
    let length = usize::try_from(length).map_err(|_| Errno::EOVERFLOW)?;
    let path = buffer.get(..length).ok_or(Errno::EOVERFLOW)?;
    Ok(path.strip_suffix(&[0]).unwrap_or(path))
}

/// Ends the process at once: no destructor, no atexit(3) handler.
pub(crate) fn exit_now(status: u8) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(i32::from(status)) }
}
