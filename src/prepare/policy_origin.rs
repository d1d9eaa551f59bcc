//! A policy with the text that it was compiled from, which explains its refusals.

use std::path::{Path, PathBuf};

use super::filters;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::explain::RefusalExplainer;
use crate::policy::resolved::ResolvedPolicy;
use crate::policy::text::PolicyText;
use crate::seccomp::oci::Context;

/// A policy and its source.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) policy: ResolvedPolicy,
    pub(crate) origin: Origin,
}

/// The place of a policy's text.
#[derive(Debug)]
pub(crate) enum Origin {
    /// In this binary, under this name.
    Ships(String),
    /// In files, which the helper has read.
    Files {
        text: PolicyText,
        /// The facts that decided conditions.
        context: Context,
        /// The manifest's directory.
        directory: PathBuf,
    },
}

impl Origin {
    /// The explanation of the refusals of `policy`, which came from here. Parses the text: only for
    /// a process without rights.
    ///
    /// # Errors
    /// `System`: the text does not produce this policy.
    pub(crate) fn explainer(&self, policy: &ResolvedPolicy) -> Result<RefusalExplainer> {
        let other = || {
            Error::new(
                ErrorKind::System,
                "the text of the policy and the compiled policy differ",
            )
        };
        let (made, directory) = match self {
            Self::Ships(name) => {
                let text = nsexec_shipped_policies::builtin_text(name).ok_or_else(other)?;
                let context = nsexec_shipped_policies::builtin_context(filters::native()?);
                (text.compile(context), Path::new(""))
            }
            Self::Files {
                text,
                context,
                directory,
            } => (text.compile(*context), directory.as_path()),
        };
        match made {
            Ok((made, parts)) if made == *policy => {
                Ok(RefusalExplainer::new(parts, &directory.to_string_lossy()))
            }
            Ok(_) => Err(other()),
            Err(fault) => Err(other().with_source(fault)),
        }
    }
}
