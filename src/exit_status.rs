//! The exit statuses of the helper, as env(1) and a shell have them.

/// nsexec itself failed; the program did not start.
pub(crate) const HELPER_FAILED: u8 = 125;
/// The program exists, and cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The program does not exist.
pub(crate) const NOT_FOUND: u8 = 127;
/// In protocols A and B: the helper failed, and has reported the reason.
pub(crate) const PROTOCOL_FAILED: u8 = 1;

/// A signal ended the program, and does not end the helper by its default effect.
pub(crate) fn of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(HELPER_FAILED)
}
