//! Policies: manifests, seccomp profiles and Landlock rules as text, as meaning, and
//! as the BPF programs and rulesets that the helper applies.
#![forbid(unsafe_code)]

pub mod policy;
pub mod seccomp;
