//! Policies: text -> meaning -> [`resolved::ResolvedPolicy`].
#![forbid(unsafe_code)]

pub mod capability;
pub mod resolved;
