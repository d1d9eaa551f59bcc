//! Basics of every parser of nsexec: a fault with its place in the input, text of
//! others made harmless for a terminal, and positions in JSON.
#![forbid(unsafe_code)]

mod fault;
pub mod json;
pub mod printable;

pub use fault::Fault;
