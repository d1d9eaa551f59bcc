//! The end of an exec.

/// The end of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The program exited with this status.
    Exited(i32),
    /// This signal ended the program.
    Signaled(i32),
    /// This signal was sent to the helper, and ends it: the program did not start, or it could not
    /// take the signal and was killed.
    Interrupted(i32),
}
