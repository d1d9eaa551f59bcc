//! The steps of an exec, one file per step; read from top to bottom:
//!
//! | step | file | contents |
//! |---|---|---|
//! | 0 | [`own_file`](crate::prepare::own_file) | protects the helper's own file from the target |
//! | 1 | [`clean`](crate::prepare::clean) | descriptors, dumpable flag, privileges, one thread |
//! | 2 | [`policy_choice`](crate::prepare::policy_choice) | the policy; a child compiles a file |
//! | 3 | [`crate::plan`] | opens all objects of the target |
//! | 3a | `verifier` | starts a process that stays outside and compares |
//! | 3a to 5 | `joined`, `joining` | the order of these steps, for every frontend |
//! | 4 | `keyring`, `join` | leaves the caller's keys behind; joins all namespaces, or fails |
//! | 5 | `ceiling` | locks the helper down before clone |
//! | 6 | `command_line`, `protocol_a` | clones; the two sides exchange messages |
//! | 7 | `supervise` | the parent, with the minimum of rights |
//! | 8 | `exec` | the child, up to execve |
//!
//! With `--explain`, `explain` runs beside all of these from step 2 on.

pub(crate) mod ceiling;
pub(crate) mod command_line;
pub(crate) mod compat_program;
pub(crate) mod exec;
pub(crate) mod exec_label;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod join;
pub(crate) mod joined;
pub(crate) mod joining;
pub(crate) mod keyring;
pub(crate) mod own_files;
pub(crate) mod own_namespaces;
pub(crate) mod protocol_a;
pub(crate) mod signals;
pub(crate) mod supervise;
pub(crate) mod verifier;
pub(crate) mod waits;
