//! System call filters: what a profile means, and the BPF it becomes.
#![forbid(unsafe_code)]

pub mod profile;
pub mod program;
