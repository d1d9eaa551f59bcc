//! Exit statuses; a program's own status is passed on.

/// `verify`: a file is not what was written; `selftest`: a check failed.
pub const NOT_VERIFIED: u8 = 1;
/// `verify`: a file could not be read.
pub const UNREADABLE: u8 = 2;
/// `--alert-status`: an alert was raised.
pub const ALERT: u8 = 3;
/// `--on-loss`: events were lost.
pub const LOST: u8 = 4;
/// The auditor itself failed, as env(1) has it.
pub const FAILED: u8 = 125;
/// The program cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub const NOT_FOUND: u8 = 127;
