//! passwd(5), group(5) and user specifications.
//!
//! The files are the container's, and so are written by whoever owns it. A line
//! that is not wholly right yields no entry; where it is the one that was asked
//! for, that is an error and never a guess.
#![forbid(unsafe_code)]

pub mod group;
pub mod identity;
mod lines;
pub mod passwd;
pub mod spec;

pub use identity::{Identity, additional_groups, resolve};
pub use lines::MAX_FILE;
pub use spec::{Account, UserSpec};
