//! escape_json_string as runc's own unit test calls it: through C strings.
#![expect(unsafe_code, reason = "it is called as C calls it")]

use std::ffi::{CStr, CString};

use nsexec_capi::escape_json_string;

#[test]
fn strings_are_escaped_in_a_copy_or_returned_as_they_are() {
    for (text, escaped) in [
        ("", ""),
        ("plain, with \u{e4}", "plain, with \u{e4}"),
        ("\"quoted\"", "\\\"quoted\\\""),
        ("a\\b", "a\\\\b"),
        ("\u{8}\n\r\t\u{c}", "\\b\\n\\r\\t\\f"),
        ("\u{1}\u{1f}\u{7f}", "\\u0001\\u001f\\u007f"),
    ] {
        let text_in_c = CString::new(text).expect("no NUL");
        // SAFETY: strdup reads a C string, which this is.
        let given = unsafe { libc::strdup(text_in_c.as_ptr()) };
        assert!(!given.is_null());
        // SAFETY: it is a C string from malloc, which only this thread has, and only
        // until here unless it is returned.
        let made = unsafe { escape_json_string(given) };
        // SAFETY: the returned pointer is a C string.
        let found = unsafe { CStr::from_ptr(made) };
        assert_eq!(found.to_str(), Ok(escaped), "{text:?}");
        assert_eq!(made == given, text == escaped, "{text:?}");
        // SAFETY: malloc allocated it in both cases, and it is not used any
        // more.
        unsafe { libc::free(made.cast()) };
    }
}

/// A caller with only the returned pointer cannot free its original string.
#[test]
fn the_string_that_a_copy_replaces_is_freed() {
    const CALLS: usize = 64;
    const LENGTH: usize = 1 << 18;
    let data = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or(0_usize)
            * 1024
    };
    let text = CString::new(format!("\"{}", "x".repeat(LENGTH))).expect("no NUL");
    let call = || {
        // SAFETY: strdup reads a C string, which this is.
        let given = unsafe { libc::strdup(text.as_ptr()) };
        assert!(!given.is_null());
        // SAFETY: it is a C string from malloc, and no code uses it after this.
        let made = unsafe { escape_json_string(given) };
        // SAFETY: malloc allocated it, and it is not used any more.
        unsafe { libc::free(made.cast()) };
    };
    // The first call includes the allocator's own allocations.
    call();
    let before = data();
    assert!(before > 0);
    for _ in 0..CALLS {
        call();
    }
    let grown = data().saturating_sub(before);
    assert!(grown < CALLS * LENGTH / 2, "{grown} bytes in {CALLS} calls");
}
