//! Reads the rings, puts the events in order and accounts for each of them.

pub mod accounting;
pub mod reader;
pub mod reorder;
