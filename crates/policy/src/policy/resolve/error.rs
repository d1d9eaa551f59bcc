//! The errors of a policy and its files.

use std::fmt;

use crate::policy::encode::Invariant;
use crate::policy::landlock_file;
use crate::policy::manifest::{self, FileName, LayerSet};
use crate::policy::resolved::{LogFlag, Right};
use crate::seccomp::compile::CompileFault;
use crate::seccomp::oci;
use nsexec_text::Fault;

/// Why a file of the policy could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It does not exist.
    Missing,
    /// The system's reason.
    Unreadable(String),
}

/// An error in a policy, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The file: [`MANIFEST`](super::MANIFEST), or its name relative to the manifest.
    pub file: String,
    /// The position in the file; `None` if the error concerns the whole file.
    pub place: Option<Place>,
    /// Why.
    pub reason: PolicyErrorKind,
}

/// A position in a text: both count from 1, the column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte in it.
    pub column: usize,
}

/// Why a policy is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyErrorKind {
    /// The manifest.
    Manifest(manifest::ManifestErrorKind),
    /// A file that it names cannot be read.
    File {
        /// The file.
        name: FileName,
        /// Why.
        fault: FileFault,
    },
    /// A seccomp profile.
    Seccomp(oci::ProfileErrorKind),
    /// A seccomp profile that cannot be compiled.
    Compile(CompileFault),
    /// A filter that prevents any execution.
    Denies {
        /// The ceiling or the workload.
        layer_set: LayerSet,
        /// The call that is needed and denied.
        call: &'static str,
    },
    /// A Landlock rule file.
    Landlock(landlock_file::LandlockFileErrorKind),
    /// The suffix of a Landlock rule file does not name a form.
    Form(FileName),
    /// An entry of best_effort concerns a layer that is left out.
    NoLayer(LayerSet),
    /// An entry of best_effort names a right that is not handled.
    NotHandled(Right),
    /// An entry of best_effort names a log flag that is not requested.
    NotRequested(LogFlag),
    /// The policy as a whole.
    Invariant(Invariant),
}

impl PolicyFault {
    pub(super) fn in_text<R>(
        file: &str,
        text: &[u8],
        fault: Fault<R>,
        reason: impl FnOnce(R) -> PolicyErrorKind,
    ) -> Self {
        Self {
            file: file.to_owned(),
            place: Some(Place::new(text, fault.span.start)),
            reason: reason(fault.reason),
        }
    }
}

impl Place {
    /// Of the byte `at`.
    #[must_use]
    pub fn new(text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        Self {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for PolicyFault {}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no such file beside the manifest"),
            Self::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
        }
    }
}

impl fmt::Display for PolicyErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(reason) => write!(f, "{reason}"),
            Self::File { name, fault } => write!(f, "{:?}: {fault}", name.as_str()),
            Self::Seccomp(reason) => write!(f, "{reason}"),
            Self::Compile(fault) => write!(f, "{fault}"),
            Self::Denies { layer_set, call } => write!(
                f,
                "the {layer_set}'s filter may deny {call}, which is needed to execute a program; allow it"
            ),
            Self::Landlock(reason) => write!(f, "{reason}"),
            Self::Form(name) => write!(
                f,
                "{:?} has no known suffix; name Landlock rules in TOML *.toml, \
                 in JSON *.json",
                name.as_str()
            ),
            Self::NoLayer(layer_set) => write!(
                f,
                "the {layer_set} has no Landlock layer; \
                 leave the entry out"
            ),
            Self::NotHandled(right) => write!(
                f,
                "the layer does not handle {:?}; only a handled right can be optional",
                right.name()
            ),
            Self::NotRequested(flag) => write!(
                f,
                "the layer does not request {:?}; only a requested flag can be optional",
                flag.name()
            ),
            Self::Invariant(invariant) => write!(f, "{invariant}"),
        }
    }
}
