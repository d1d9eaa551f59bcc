//! The C interface of libnsexec. include/nsexec.h is generated from this file.
//!
//! # Safety
//! The functions here take no pointers, except [`escape_json_string`], which
//! documents its argument. The caller guarantees that no other thread runs: a
//! constructor of a program without threads meets this.
#![expect(unsafe_code, reason = "the C interface: symbols, and C's strings")]

use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

use nsexec::library::{Options, enter};
use nsexec_protocol::log_escape::Escaped;

/// Set before the call of [`nsexec`], by the only thread.
static CEILING: AtomicBool = AtomicBool::new(false);
static LEADING_NUL: AtomicBool = AtomicBool::new(false);

/// Joins the namespaces that the environment names, and returns in the process
/// in which the runtime continues. It returns at once if the environment names
/// none.
///
/// Call it from a constructor, before the program has a second thread. It uses
/// protocol A of runc's libcontainer (2015) if `_LIBCONTAINER_INITPID` is set,
/// and protocol B (runc 1.2 and later) if only `_LIBCONTAINER_INITPIPE` is set.
/// If a libcontainer of 2015 creates a container
/// (`_LIBCONTAINER_INITTYPE=standard`, and neither `_LIBCONTAINER_LOGPIPE` nor
/// `_LIBCONTAINER_SYNCPIPE`), the environment names none. The processes that
/// only serve the protocol exit with 0 instead of returning; on an error the
/// process exits with 1.
// SAFETY: no other symbol in a program that links libnsexec has this name.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec() {
    enter(Options {
        ceiling: CEILING.load(Ordering::Relaxed),
        leading_nul: LEADING_NUL.load(Ordering::Relaxed),
    });
}

/// Enforces the ceiling of the policy `libcontainer` before the last clone: a
/// seccomp filter and a Landlock domain for the runtime and all its descendants.
/// It is for runtimes that only join: under the ceiling, mounts, ptrace and new
/// namespaces fail. Call it before nsexec(); it is off by default.
// SAFETY: no other symbol in a program that links libnsexec has this name.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec_set_ceiling() {
    CEILING.store(true, Ordering::Relaxed);
}

/// For runc 1.1, whose program a container could otherwise overwrite: nsexec()
/// then protects the program as the nsexec.c of runc 1.1 does (CVE-2019-5736).
/// Unless the program's file is on a read-only mount, nsexec() executes it
/// again, with the same arguments and environment, from a read-only clone of
/// that mount or from sealed memory.
///
/// After that it sends one NUL on the init pipe, which runc 1.1 waits for before
/// it sends protocol B's message. Call it before nsexec(); it is off by default,
/// because runc 1.2 and later protect their program themselves, and would read
/// the NUL as a wrong answer.
// SAFETY: no other symbol in a program that links libnsexec has this name.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec_send_leading_nul() {
    LEADING_NUL.store(true, Ordering::Relaxed);
}

/// Escapes a string for JSON. It returns the same string if nothing needs an
/// escape. Otherwise it frees the string, as runc's function of this name does,
/// and returns a new one, which the caller frees with free(3). Without memory it
/// exits with 1. It exists for runc's own unit test of its nsexec.c.
///
/// # Safety
/// `string` is a C string from malloc(3). No other code changes it during the
/// call, or uses it afterwards unless it is returned.
// SAFETY: no other symbol in a program that links libnsexec has this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn escape_json_string(string: *mut c_char) -> *mut c_char {
    // SAFETY: from_ptr needs a C string; the caller promises one.
    let text = unsafe { CStr::from_ptr(string) }.to_bytes();
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        escaped.extend_from_slice(Escaped::of(*byte).as_bytes());
    }
    if escaped.len() == text.len() {
        return string;
    }
    // SAFETY: malloc accepts any size, and the size is not 0.
    let copy: *mut u8 = unsafe { libc::malloc(escaped.len() + 1) }.cast();
    if copy.is_null() {
        // SAFETY: _exit accepts any number, and does not return.
        unsafe { libc::_exit(1) };
    }
    // SAFETY: the memory is new, so it overlaps nothing, and it is one byte
    // longer than the copied text.
    unsafe { copy.copy_from_nonoverlapping(escaped.as_ptr(), escaped.len()) };
    // SAFETY: that byte is the last one of it.
    let end = unsafe { copy.add(escaped.len()) };
    // SAFETY: write needs room for one byte, which is there.
    unsafe { end.write(0) };
    // SAFETY: free needs memory from malloc that is not used any more; the caller
    // promises both.
    unsafe { libc::free(string.cast()) };
    copy.cast()
}

/// Panics. Only there for the test that a panic ends the process.
// SAFETY: no other symbol in a program that links libnsexec has this name.
#[cfg(feature = "panic-for-test")]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn nsexec_panic_for_test() {
    panic!("for the test");
}
