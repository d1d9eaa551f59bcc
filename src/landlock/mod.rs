//! Landlock: turns the rules of a policy and the program's root into a ruleset of the kernel, with
//! the status of each right.

mod place;
pub(crate) mod ruleset;
