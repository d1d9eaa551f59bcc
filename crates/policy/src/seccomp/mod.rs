//! System call filters: profiles and the BPF programs compiled from them.
//!
//! `oci` and `libcontainer` parse the two text formats to a
//! [`profile::Profile`]; `evaluate` computes its answers, and `compile` builds a
//! program that gives the same answers. `interpret` runs a program without a
//! kernel, and `partial` runs it on a partly known call; `raw` parses a program
//! that was compiled elsewhere.
#![forbid(unsafe_code)]

mod assemble;
pub mod boundary;
mod clone3;
pub mod compile;
pub mod errno;
pub mod evaluate;
mod foreign;
mod instruction;
pub mod interpret;
pub mod libcontainer;
pub mod limit;
mod machine;
pub mod notify;
pub mod oci;
mod operation;
pub mod partial;
pub mod profile;
pub mod program;
pub mod raw;
pub mod table;
pub mod width;
