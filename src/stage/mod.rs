//! The stages of an exec, one file a step; read from top to bottom:
//!
//! | step | file | contents |
//! |---|---|---|
//! | 0 | [`own_file`](crate::prepare::own_file) | the helper's own file, out of the target's reach |
//! | 1 | [`clean`](crate::prepare::clean) | descriptors, dumpable flag, privileges, one thread |
//! | 2 | [`policy_choice`](crate::prepare::policy_choice) | the policy, compiled apart where it is a file |
//! | 3 | [`crate::plan`] | everything of the target, opened |
//! | 3a | `verifier` | a process that stays outside, and compares |
//! | 4 | `keyring`, `join` | the caller's keys left behind; all namespaces, or an error |
//! | 5 | `ceiling` | the lock-down before clone |
//! | 6 | `command_line`, `protocol_a` | clone, and what goes on between the two sides |
//! | 7 | `supervise` | the parent, with the least that it takes |
//! | 8 | `exec` | the child, to execve |
//!
//! With `--explain`, `explain` runs beside all of these from 2 on.

pub(crate) mod ceiling;
pub(crate) mod command_line;
pub(crate) mod exec;
pub(crate) mod exec_label;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod join;
pub(crate) mod keyring;
pub(crate) mod own_files;
pub(crate) mod own_namespaces;
pub(crate) mod protocol_a;
pub(crate) mod signals;
pub(crate) mod small_program;
pub(crate) mod supervise;
pub(crate) mod verifier;
pub(crate) mod waits;
