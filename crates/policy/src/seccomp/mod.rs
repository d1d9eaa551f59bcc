//! System call filters: what a profile means, and the BPF it becomes.
//!
//! `oci` and `libcontainer` read the two texts and give a [`profile::Profile`];
//! `meaning` says what it answers, `compile` makes the program that answers the
//! same, `interpret` runs it without a kernel, `partial` on part of a call; `raw`
//! reads a program that was compiled elsewhere.
#![forbid(unsafe_code)]

mod assemble;
pub mod boundary;
mod clone3;
pub mod compile;
pub mod errno;
mod foreign;
mod instruction;
pub mod interpret;
pub mod libcontainer;
pub mod limit;
mod machine;
pub mod meaning;
pub mod notify;
pub mod oci;
mod operation;
pub mod partial;
pub mod profile;
pub mod program;
pub mod raw;
pub mod table;
pub mod width;
