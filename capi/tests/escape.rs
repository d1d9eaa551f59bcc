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
        let given = CString::new(text).expect("no NUL").into_raw();
        // SAFETY: it is a C string, and this is the only thread that has it.
        let made = unsafe { escape_json_string(given) };
        // SAFETY: what is returned is a C string.
        let found = unsafe { CStr::from_ptr(made) };
        assert_eq!(found.to_str(), Ok(escaped), "{text:?}");
        assert_eq!(made == given, text == escaped, "{text:?}");
        if made != given {
            // SAFETY: a copy comes from malloc, and is not used any more.
            unsafe { libc::free(made.cast()) };
        }
        // SAFETY: it came from into_raw, and was not changed.
        drop(unsafe { CString::from_raw(given) });
    }
}
