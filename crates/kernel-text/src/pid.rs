use std::fmt;

/// A process id in the caller's pid namespace: 1 to 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// `None` when `pid` is not positive.
    #[must_use]
    pub fn new(pid: i32) -> Option<Self> {
        (pid > 0).then_some(Self(pid))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
