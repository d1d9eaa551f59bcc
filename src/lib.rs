//! Runs a program inside the namespaces of another process, and never loses a layer. docs/design.md
//! describes the design; [`Request`] is the entry to the API.

mod ended;
mod entry;
pub mod error;
mod exit_status;
mod features;
mod landlock;
pub mod library;
mod plan;
mod prepare;
mod runtime_text;
mod stage;
mod standard_error;
mod sys;
mod target;

pub use nsexec_request as request;

use nsexec_command_line as cli;
use nsexec_kernel_text::{procfs, userdb};
use nsexec_policy_engine::{policy, seccomp};
use nsexec_protocol as wire;

pub use ended::Ended;
pub use entry::main;
pub use error::{Error, ErrorKind, Result};
pub use plan::Plan;
pub use prepare::own_file::protect_own_file;
pub use request::Request;
