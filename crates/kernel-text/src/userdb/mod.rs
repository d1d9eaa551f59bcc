//! passwd(5), group(5) and user specifications.
//!
//! The files are the container's, and so are written by whoever owns it. A line
//! whose name or ids cannot be read yields no entry; where it is the one that was
//! asked for, that is an error and never a guess. One with more or fewer fields
//! than it should have is used, and named as a doubt.
#![forbid(unsafe_code)]

pub mod group;
pub mod identity;
mod lines;
pub mod passwd;
pub mod spec;

pub use identity::{Identity, needs, resolve};
pub use lines::{Doubt, MAX_FILE};
pub use spec::{Account, UserSpec};
