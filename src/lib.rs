//! Runs a program inside the namespaces of another process, and never loses a
//! layer: see docs/design.md for the picture and [`Request`] for the start.

pub mod cli;
pub mod error;
pub mod policy;
pub mod procfs;
pub mod request;
pub mod seccomp;
pub mod userdb;
pub mod wire;

pub use error::{Error, ErrorKind, Result};
pub use request::Request;
