//! Protocols A and B: parsers for a runtime's requests, and printers for the
//! answers.
//!
//! Protocol A is the protocol between runc's libcontainer and its exec helper in
//! 2015 (runc 4c5eb45862): the environment names a pid and a pipe, the helper
//! writes the pid of its child to the pipe, and the child reads an initConfig
//! from it.
//!
//! Protocol B is the protocol of current runc (1.2.0 and later) for the code
//! that runs before Go's runtime starts. A message in netlink's framing names
//! the namespaces to join and to create ([`netlink`]), log lines go to a
//! separate pipe ([`log_line`]), and the answer contains the pids of the two
//! processes that remain ([`pid_report`]).
#![forbid(unsafe_code)]

pub mod argv;
pub mod clone_flags;
pub mod env;
pub mod env_b;
pub mod generic_error;
pub mod id_map_lines;
pub mod init_config;
pub mod log_escape;
pub mod log_line;
pub mod netlink;
pub mod ns_paths;
pub mod oom_score_adj;
pub mod path;
pub mod pid_report;
pub mod time_offsets;
