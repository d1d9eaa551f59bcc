use std::error::Error;
use std::fmt;
use std::ops::Range;

/// A parser's error: the place in its input, and the reason.
///
/// The reason is an enum of the parser's own, so that tests and callers match
/// on it; its `Display` is the English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault<R> {
    /// The span of the invalid bytes in the input.
    pub span: Range<usize>,
    /// Why they are.
    pub reason: R,
}

impl<R> Fault<R> {
    /// A fault at these bytes.
    #[must_use]
    pub fn new(span: Range<usize>, reason: R) -> Self {
        Self { span, reason }
    }
}

impl<R: fmt::Display> fmt::Display for Fault<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.reason, self.span.start)
    }
}

impl<R: fmt::Display + fmt::Debug> Error for Fault<R> {}
