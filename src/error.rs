//! The error of this crate.
//!
//! An [`Error`] is opaque: a small [`ErrorKind`] to act on, one exit status a
//! kind, and two sentences for people: what was wrong, and what would be right.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use nsexec_text::printable::Escaping;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure an [`Error`] is. Each has one exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line asks for something that it cannot mean.
    Usage,
    /// The environment, the pipe or a file handed over breaks its protocol.
    Protocol,
    /// The policy is wrong, or it cannot be applied to this request.
    Policy,
    /// The target is not there, is not the one meant, or cannot be a target.
    Target,
    /// A namespace could not be joined.
    Join,
    /// A layer of the lock-down could not be put in force.
    LockDown,
    /// This kernel lacks what the request or the policy requires.
    Unsupported,
    /// What was found is not what an honest system looks like: usually an attack.
    Safety,
    /// A system call failed for a reason of the system's own.
    System,
    /// The program was found and could not be executed.
    NotExecutable,
    /// The program was not found.
    NotFound,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Usage,
        Self::Protocol,
        Self::Policy,
        Self::Target,
        Self::Join,
        Self::LockDown,
        Self::Unsupported,
        Self::Safety,
        Self::System,
        Self::NotExecutable,
        Self::NotFound,
    ];

    /// The exit status of the command line: 125 when nsexec itself failed, 126
    /// when the program could not be executed, 127 when it was not found, as
    /// env(1) has them.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            _ => 125,
        }
    }

    /// The kind's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Protocol => "protocol",
            Self::Policy => "policy",
            Self::Target => "target",
            Self::Join => "join",
            Self::LockDown => "lock-down",
            Self::Unsupported => "unsupported",
            Self::Safety => "safety",
            Self::System => "system",
            Self::NotExecutable => "not-executable",
            Self::NotFound => "not-found",
        }
    }
}

/// A failure: its kind, what was wrong, and what would be right.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    wrong: String,
    right: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, wrong: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            wrong: wrong.into(),
            right: None,
            source: None,
        }))
    }

    /// Says what would be right.
    pub(crate) fn right(mut self, right: impl Into<String>) -> Self {
        self.0.right = Some(right.into());
        self
    }

    /// Names the failure underneath.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What was wrong, without the failure underneath.
    pub(crate) fn wrong(&self) -> &str {
        &self.0.wrong
    }

    /// What would be right.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.0.right.as_deref()
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The exit status of a command line that ends with this error.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        self.0.kind.exit_status()
    }
}

/// In one line, with control characters escaped: the texts of targets, policies
/// and runtimes are quoted in errors.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaping(f);
        f.write_str(&self.0.wrong)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        if let Some(right) = &self.0.right {
            write!(f, "; {right}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| {
            let source: &(dyn StdError + 'static) = source;
            source
        })
    }
}

impl From<nsexec_policy_engine::policy::resolve::PolicyFault> for Error {
    fn from(fault: nsexec_policy_engine::policy::resolve::PolicyFault) -> Self {
        Self::new(ErrorKind::Policy, "the policy is wrong")
            .because(fault)
            .right("docs/policy-format.md has the format")
    }
}

impl From<nsexec_command_line::UsageFault> for Error {
    fn from(fault: nsexec_command_line::UsageFault) -> Self {
        let error = Self::new(ErrorKind::Usage, fault.to_string());
        match fault.hint() {
            Some(right) => error.right(right),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_reach_a_terminal_as_it_is() {
        let error = Error::new(ErrorKind::Target, "a\x1b[2Jb")
            .because("c\nd")
            .right("e\u{9b}f");
        assert_eq!(error.to_string(), "a\\u{1b}[2Jb: c\\nd; e\\u{9b}f");
    }

    #[test]
    fn each_kind_has_its_documented_exit_status() {
        let statuses: Vec<(&str, u8)> = ErrorKind::ALL
            .iter()
            .map(|kind| (kind.name(), kind.exit_status()))
            .collect();
        assert_eq!(
            statuses,
            [
                ("usage", 125),
                ("protocol", 125),
                ("policy", 125),
                ("target", 125),
                ("join", 125),
                ("lock-down", 125),
                ("unsupported", 125),
                ("safety", 125),
                ("system", 125),
                ("not-executable", 126),
                ("not-found", 127),
            ]
        );
    }
}
