//! The values of options that stand for themselves: ids, paths, words.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::number::{self, NumberErrorKind};
use nsexec_request::{Directory, EnvironmentEntry, Explain, IdChoice, PolicyChoice, Request};
use nsexec_text::Fault;

/// Why a value is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueErrorKind {
    /// No number of this kind.
    Number(Fault<NumberErrorKind>),
    /// Another text.
    Text,
}

impl From<Fault<NumberErrorKind>> for ValueErrorKind {
    fn from(fault: Fault<NumberErrorKind>) -> Self {
        Self::Number(fault)
    }
}

/// A user or group id, or `follow`.
pub(crate) fn id(value: Option<&OsStr>) -> Result<Option<IdChoice>, ValueErrorKind> {
    let id = |value: &OsStr| number::id(value.as_bytes());
    Ok(value.map(id).transpose()?)
}

/// A path; without a value the target's directory.
pub(crate) fn directory(value: Option<&OsStr>) -> Result<Directory, ValueErrorKind> {
    match value {
        None => Ok(Directory::Target),
        value => path(value).map(Directory::Path),
    }
}

/// A path: not empty, without NUL.
pub(crate) fn path(value: Option<&OsStr>) -> Result<PathBuf, ValueErrorKind> {
    let value = value.unwrap_or_default();
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(ValueErrorKind::Text);
    }
    Ok(PathBuf::from(value))
}

/// The name or the path of a policy.
pub(crate) fn policy(value: Option<&OsStr>) -> Result<PolicyChoice, ValueErrorKind> {
    let value = value.unwrap_or_default();
    PolicyChoice::read(value.as_bytes()).ok_or(ValueErrorKind::Text)
}

/// `audit`, or nothing.
pub(crate) fn explain(value: Option<&OsStr>) -> Result<Explain, ValueErrorKind> {
    match value.map(OsStr::as_bytes) {
        None => Ok(Explain::WithoutSwitching),
        Some(b"audit") => Ok(Explain::SwitchAuditingOn),
        Some(_) => Err(ValueErrorKind::Text),
    }
}

/// The target's environment, or one more variable.
pub(crate) fn environment(
    request: &mut Request,
    value: Option<&OsStr>,
) -> Result<(), ValueErrorKind> {
    match value {
        Some(value) => request.environment.push(variable(value)?),
        None => request.target_environment = true,
    }
    Ok(())
}

/// `K` or `K=V`.
fn variable(value: &OsStr) -> Result<EnvironmentEntry, ValueErrorKind> {
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b'=');
    let string = |bytes: &[u8]| CString::new(bytes).map_err(|_| ValueErrorKind::Text);
    let key = string(parts.next().unwrap_or_default())?;
    if key.is_empty() {
        return Err(ValueErrorKind::Text);
    }
    Ok(EnvironmentEntry {
        key,
        value: parts.next().map(string).transpose()?,
    })
}
