//! Policies: text -> meaning -> [`resolved::ResolvedPolicy`].
//!
//! [`resolve::compile`] takes a manifest and the files that it names to a
//! resolved policy, [`encode`] takes that over a pipe or into this binary, and
//! [`builtin()`] has those that ship; [`builtin_text`] what they are made of.
#![forbid(unsafe_code)]

mod builtin;
pub mod capability;
pub mod encode;
pub mod landlock_file;
pub mod manifest;
pub mod needs;
pub mod resolve;
pub mod resolved;
pub mod text;
pub mod why;

pub use builtin::{BUILTIN_NAMES, builtin, builtin_context, builtin_text};

#[cfg(test)]
mod shipped;
