//! Policies: text -> model -> [`resolved::ResolvedPolicy`].
//!
//! [`resolve::compile`] compiles a manifest and its files to a resolved policy;
//! [`encode`] transfers that through a pipe or into a binary.
#![forbid(unsafe_code)]

pub mod encode;
pub mod explain;
pub mod landlock_file;
pub mod layered;
pub mod manifest;
pub mod needs;
pub mod resolve;
pub mod resolved;
pub mod right;
pub mod text;

pub use nsexec_kernel_text::capability;
