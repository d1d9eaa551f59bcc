//! The system calls that nix lacks, as safe functions.
//!
//! # Safety
//! This is the only module of the helper with `unsafe`. Every function passes to the kernel owned
//! or borrowed descriptors, and pointers to memory that outlives the call; the kernel keeps none of
//! them. A function that changes the whole process (descriptor table, credentials, working
//! directory) has a name that says so, and the process is single-threaded: `stage` asserts it
//! before the first call.
#![allow(unsafe_code)]

pub(crate) mod clone;
pub(crate) mod credentials;
pub(crate) mod descriptor;
pub(crate) mod exec;
pub(crate) mod keyring;
pub(crate) mod landlock;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod notify;
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod statx;
pub(crate) mod terminal;
pub(crate) mod wait;

use nix::errno::Errno;

/// Turns the return value of `syscall(2)` into a result.
fn check(returned: libc::c_long) -> Result<libc::c_long, Errno> {
    Errno::result(returned)
}
