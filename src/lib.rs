//! Runs a program inside the namespaces of another process, and never loses a layer.
//!
//! An engine builds a [`Request`], prepares a [`Plan`] from it, and executes it, in a process with
//! one thread:
//!
//! ```no_run
//! use nsexec::request::{Pid, Request, TargetId};
//! use nsexec::{Ended, Plan};
//!
//! fn id_in(pid: Pid) -> nsexec::Result<Ended> {
//!     // The first call: it executes this program again if a container could write to its file.
//!     nsexec::protect_own_file()?;
//!     let target = TargetId { pid, inode: None };
//!     let request = Request::new(target, vec![c"id".to_owned()]);
//!     Plan::prepare(request)?.execute()
//! }
//! ```
//!
//! A runtime in C or Go calls [`library::enter`] through include/nsexec.h. docs/design.md describes
//! the design.

mod ended;
mod entry;
mod error;
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
