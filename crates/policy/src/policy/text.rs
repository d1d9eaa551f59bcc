//! A policy in text form: a manifest, and the files that it names.

use crate::policy::manifest::FileName;
use crate::policy::resolve::{FileFault, Files, Parts, PolicyFault, compile_with_parts};
use crate::policy::resolved::ResolvedPolicy;
use crate::seccomp::oci::Context;

/// The texts of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The policy's name in the status report.
    pub name: String,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The files next to it, by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl PolicyText {
    /// Compiles the policy, and returns the sources of its layers.
    ///
    /// # Errors
    /// The first error.
    pub fn compile(&self, context: Context) -> Result<(ResolvedPolicy, Parts), PolicyFault> {
        compile_with_parts(
            &self.name,
            &self.manifest,
            &mut TextFiles(&self.files),
            context,
        )
    }
}

struct TextFiles<'a>(&'a [(String, Vec<u8>)]);

impl Files for TextFiles<'_> {
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault> {
        let found = self.0.iter().find(|(known, _)| known == name.as_str());
        found
            .map(|(_, text)| text.clone())
            .ok_or(FileFault::Missing)
    }
}
