//! Protocol A: environment, argv and initConfig JSON -> meaning; pid line and
//! error JSON as its answers.
//!
//! Protocol A is what runc's libcontainer spoke with its exec helper in 2015
//! (runc 4c5eb45862): the environment names a pid and a pipe, the helper writes
//! the pid of its child to the pipe, the child reads an initConfig from it.
#![forbid(unsafe_code)]

pub mod argv;
pub mod audit;
pub mod env;
pub mod generic_error;
pub mod init_config;
mod seccomp_config;
