//! The command line.

pub mod commands;
pub mod help;
pub mod options;
pub mod request;
mod values;
