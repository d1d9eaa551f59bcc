//! Checks, shows, compares and imports the policies of nsexec.
#![forbid(unsafe_code)]

pub mod import;
