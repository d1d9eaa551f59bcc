//! Runs a program inside the namespaces of another process, and never loses a
//! layer: see docs/design.md for the picture and [`Request`] for the start.

pub mod cli;
mod entry;
pub mod error;
mod features;
pub mod json;
mod landlock;
pub mod library;
mod plan;
pub mod policy;
mod printable;
pub mod procfs;
pub mod request;
pub mod seccomp;
mod stage;
mod sys;
mod target;
pub mod userdb;
pub mod wire;

pub use entry::main;
pub use error::{Error, ErrorKind, Result};
pub use plan::Plan;
pub use request::Request;
pub use stage::own_file::protect_own_file;
pub use stage::supervise::Ended;
