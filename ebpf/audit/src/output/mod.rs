//! Renders events and writes them.

pub mod escape;
pub mod event_json;
pub mod files;
pub mod hash_chain;
pub mod health;
pub mod snapshot;
pub mod text;
pub mod writer;
