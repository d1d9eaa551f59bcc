//! Bounded parsers of text that the kernel prints and that containers own: files of
//! /proc, audit records, passwd(5) and group(5), and names of capabilities.
#![forbid(unsafe_code)]

pub mod audit;
pub mod capability;
mod pid;
pub mod procfs;
pub mod userdb;

pub use pid::Pid;
