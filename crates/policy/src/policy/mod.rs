//! Policies: text -> meaning -> [`resolved::ResolvedPolicy`].
//!
//! [`resolve::compile`] takes a manifest and the files that it names to a
//! resolved policy, [`encode`] takes that over a pipe or into a binary.
#![forbid(unsafe_code)]

pub mod encode;
pub mod landlock_file;
pub mod manifest;
pub mod needs;
pub mod resolve;
pub mod resolved;
pub mod text;
pub mod why;

pub use nsexec_kernel_text::capability;
