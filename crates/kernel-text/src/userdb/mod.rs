//! passwd(5), group(5) and user specifications.
//!
//! The container owns these files, so their content is untrusted. A line with an
//! invalid name or id yields no entry; a lookup of that name or id is an error and
//! never a guess. A line with more or fewer fields than expected is used and
//! causes a warning.
#![forbid(unsafe_code)]

pub mod group;
pub mod identity;
mod lines;
pub mod passwd;
pub mod spec;

pub use identity::{Identity, needs, resolve};
pub use lines::{FieldCountWarning, MAX_FILE};
pub use spec::{Account, UserSpec};
