//! The nsexec program. `--help` says how it is used.
#![no_main]

#[path = "sys/entry.rs"]
#[expect(unsafe_code, reason = "the C entry point, kept with the rest of `sys`")]
mod entry;
