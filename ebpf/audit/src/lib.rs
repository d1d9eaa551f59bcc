//! Loads the probes of nsexec-audit and reads what they write.
//!
//! [`btf`] finds out where the running kernel keeps what the probes read,
//! [`probes`] loads and attaches them, [`json`] prints an event.
#![forbid(unsafe_code)]

pub mod account;
pub mod arguments;
mod aside;
pub mod btf;
pub mod cgroups;
pub mod chain;
mod check;
pub mod commands;
pub mod container;
pub mod cost;
pub mod crossing;
pub mod filter;
pub mod hierarchy;
pub mod json;
pub mod judge;
pub mod kernel;
pub mod lineage;
pub mod lines;
mod offsets;
pub mod order;
pub mod output;
pub mod priority;
pub mod probes;
pub mod programs;
mod recent;
pub mod record;
pub mod rendered;
pub mod repeated;
pub mod report;
pub mod rules;
pub mod schema;
pub mod selftest;
mod selftest_text;
pub mod slots;
pub mod story;
pub mod teller;
pub mod text;
pub mod tree;
pub mod watch;
pub mod writer;

pub use offsets::Offsets;
