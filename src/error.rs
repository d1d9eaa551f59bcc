//! The error of this crate.
//!
//! An [`Error`] is opaque: a small [`ErrorKind`] for programs, one exit status per kind, and two
//! sentences for people: the mistake, and the correction.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use crate::exit_status;
use nsexec_text::printable::Escaping;

/// The result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of an [`Error`]. Each has one exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line requests something meaningless.
    Usage,
    /// The environment, the pipe or a passed file violates its protocol.
    Protocol,
    /// The policy is wrong, or cannot be applied to this request.
    Policy,
    /// The target does not exist, is not the named one, or cannot be a target.
    Target,
    /// A namespace could not be joined.
    Join,
    /// A layer of the lock-down could not be enforced.
    LockDown,
    /// This kernel lacks a feature that the request or the policy requires.
    Unsupported,
    /// The state of the system is not that of an honest system: usually an attack.
    Safety,
    /// A system call failed for a reason of the system.
    System,
    /// The program exists but could not be executed.
    NotExecutable,
    /// The program does not exist.
    NotFound,
}

/// Adds the failed step to the error of a system call.
pub(crate) trait Context<T> {
    /// An error of the kind [`ErrorKind::System`]. `wrong` names the object and the failure.
    fn context(self, wrong: &'static str) -> Result<T>
    where
        Self: Sized,
    {
        self.context_of(ErrorKind::System, || wrong.to_owned())
    }

    /// An error of another kind, or with a text that is made for it.
    fn context_of(self, kind: ErrorKind, wrong: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context_of(self, kind: ErrorKind, wrong: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::new(kind, wrong()).with_source(source))
    }
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

    /// The exit status of the command line: 125 if nsexec itself failed, 126 if the program could
    /// not be executed, 127 if it does not exist, like env(1).
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::NotExecutable => exit_status::NOT_EXECUTABLE,
            Self::NotFound => exit_status::NOT_FOUND,
            _ => exit_status::HELPER_FAILED,
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

/// A failure: its kind, the mistake, and the correction.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// Adds the correction.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the underlying failure.
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The mistake, without the underlying failure.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The correction.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The kind of this failure.
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

/// One line, with control characters escaped: errors quote texts of targets, policies and runtimes.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaping(f);
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
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
            .with_source(fault)
            .with_hint("docs/policy-format.md describes the format")
    }
}

impl From<nsexec_command_line::UsageFault> for Error {
    fn from(fault: nsexec_command_line::UsageFault) -> Self {
        let error = Self::new(ErrorKind::Usage, fault.to_string());
        match fault.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_messages_are_escaped() {
        let error = Error::new(ErrorKind::Target, "a\x1b[2Jb")
            .with_source("c\nd")
            .with_hint("e\u{9b}f");
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
