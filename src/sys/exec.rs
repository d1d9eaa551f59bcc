//! execve(2) and execveat(2) from memory that was prepared before.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// A null-terminated array of strings, the format of execve.
pub(crate) struct StringArray {
    strings: Vec<CString>,
    /// Points into `strings`, which is never changed; ends with null.
    pointers: Vec<*const c_char>,
}

impl StringArray {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self { strings, pointers }
    }
}

impl fmt::Debug for StringArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.strings.fmt(f)
    }
}

/// Executes the program at `path`. Returns only on failure.
pub(crate) fn execve(path: &CStr, argv: &StringArray, envp: &StringArray) -> Errno {
    // SAFETY: execve reads a string and two null-terminated arrays of strings;
    // CStr and StringArray are that, and outlive the call.
    unsafe {
        libc::execve(
            path.as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
        )
    };
    Errno::last()
}

/// Whether the effective user may execute the file at `path`, with the effective
/// capabilities (faccessat2(2), Linux 5.8).
///
/// # Errors
/// EACCES: it may not.
pub(crate) fn may_execute(path: &CStr) -> Result<(), Errno> {
    // The system call, not the C library's function, which may start a process for AT_EACCESS.
    // SAFETY: faccessat2 reads a string, which a CStr is, and takes integers.
    super::check(unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::X_OK,
            libc::AT_EACCESS,
        )
    })?;
    Ok(())
}

unsafe extern "C" {
    /// environ(7), kept by the C library.
    safe static environ: EnvironmentPointer;
}

/// The C library's pointer to the environment.
#[repr(transparent)]
struct EnvironmentPointer(*const *const c_char);

// SAFETY: Sync requires that sharing is sound; the process is single-threaded, and nothing in it
// changes the environment.
unsafe impl Sync for EnvironmentPointer {}

/// Executes `file` with this process's own environment, unchanged. Returns only on failure.
pub(crate) fn execute_again(file: BorrowedFd<'_>, argv: &StringArray) -> Errno {
    // SAFETY: execveat reads a string and two null-terminated arrays of strings; with AT_EMPTY_PATH
    // and "" it executes the descriptor itself; CStr and StringArray outlive the call, and environ
    // is a null-terminated array of strings by the C library's promise.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            environ.0,
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}
