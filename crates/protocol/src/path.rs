//! Paths that a helper receives.

use std::ffi::CString;

/// Longest path, in bytes: PATH_MAX without its NUL, limits.h. open(2) accepts
/// no longer path.
pub const MAX_PATH: usize = 4095;

/// The path `text`; `None` if it is relative, longer than [`MAX_PATH`], or has a
/// NUL. A helper starts in the container's root directory, so the container
/// would control where a relative path leads.
pub(super) fn absolute(text: &[u8]) -> Option<CString> {
    let fits = text.starts_with(b"/") && text.len() <= MAX_PATH;
    CString::new(text).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_bounded_and_without_nul() {
        let longest = format!("/{}", "p".repeat(MAX_PATH - 1));
        for right in ["/", "/proc/1/ns/net", &longest] {
            let path = absolute(right.as_bytes());
            assert_eq!(
                path.as_deref().map(|path| path.to_bytes()),
                Some(right.as_bytes())
            );
        }
        for wrong in [
            "",
            "proc",
            "./proc",
            " /proc",
            "/a\0b",
            &format!("{longest}p"),
        ] {
            assert_eq!(absolute(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
