//! The C interface of libnsexec. include/nsexec.h is made from this file.
//!
//! # Safety
//! What C calls here takes no pointers, but for [`escape_json_string`], which
//! says what it takes. That no other thread runs is the caller's promise: a
//! constructor of a program that has started none keeps it.
#![expect(unsafe_code, reason = "the C interface: symbols, and C's strings")]

use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

use nsexec::library::{Options, enter};
use nsexec_protocol::log_escape::Escaped;

/// Set before [`nsexec`] is called, by the one thread that there is.
static CEILING: AtomicBool = AtomicBool::new(false);
static LEADING_NUL: AtomicBool = AtomicBool::new(false);

/// Joins the namespaces that the environment names, and returns in the process
/// that the runtime takes over; returns at once when the environment names none.
///
/// Call it from a constructor, before the program has a second thread. It speaks
/// protocol A of runc's libcontainer (2015) when `_LIBCONTAINER_INITPID` is set,
/// protocol B (runc 1.2 and later) when only `_LIBCONTAINER_INITPIPE` is. A
/// libcontainer of 2015 that creates a container (`_LIBCONTAINER_INITTYPE=standard`,
/// and neither `_LIBCONTAINER_LOGPIPE` nor `_LIBCONTAINER_SYNCPIPE`) names none. In the
/// processes that only serve the protocol, and when something is wrong, it does
/// not return: they end, with 0 or 1.
// SAFETY: no other symbol of this name is in a program that links libnsexec.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec() {
    enter(Options {
        ceiling: CEILING.load(Ordering::Relaxed),
        leading_nul: LEADING_NUL.load(Ordering::Relaxed),
    });
}

/// Puts the ceiling of the policy `libcontainer` in force before the last clone:
/// a seccomp filter and a Landlock domain that bind the runtime and all that
/// comes from it. For runtimes that only join; under it nothing can be mounted,
/// traced, or given new namespaces. Call it before nsexec(); it is off by default.
// SAFETY: no other symbol of this name is in a program that links libnsexec.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec_set_ceiling() {
    CEILING.store(true, Ordering::Relaxed);
}

/// For runc 1.1, whose program a container could overwrite without it: nsexec()
/// then protects the program as the nsexec.c of runc 1.1 does (CVE-2019-5736). Unless
/// its file lies on a read-only mount, it executes the program again, with the same
/// arguments and environment, from a read-only clone of that mount or from sealed
/// memory.
///
/// It then tells the runtime with one NUL on the init pipe that protocol B's message
/// can come, which runc 1.1 waits for. Call it before nsexec(); it is off by default,
/// because runc 1.2 and later protect their program by themselves, and would take the
/// NUL for a wrong answer.
// SAFETY: no other symbol of this name is in a program that links libnsexec.
#[unsafe(no_mangle)]
pub extern "C" fn nsexec_send_leading_nul() {
    LEADING_NUL.store(true, Ordering::Relaxed);
}

/// Escapes in a string what JSON wants escaped. It returns the same string when there
/// is nothing to escape; else a new one, to be freed with free(3), and frees the one
/// that it was given, as runc's function of this name does. Without memory it ends the
/// process with 1. For runc's own unit test of its nsexec.c.
///
/// # Safety
/// `string` is a C string from malloc(3), which nobody changes meanwhile, and which
/// nobody uses afterwards unless it is returned.
// SAFETY: no other symbol of this name is in a program that links libnsexec.
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
    // SAFETY: malloc takes a number, which is not 0.
    let copy: *mut u8 = unsafe { libc::malloc(escaped.len() + 1) }.cast();
    if copy.is_null() {
        // SAFETY: _exit takes any number, and does not return.
        unsafe { libc::_exit(1) };
    }
    // SAFETY: the memory is new, so that it overlaps nothing, and one byte longer
    // than what is copied.
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
// SAFETY: no other symbol of this name is in a program that links libnsexec.
#[cfg(feature = "panic-for-test")]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn nsexec_panic_for_test() {
    panic!("for the test");
}
