//! The nsexec program. `--help` describes its use.
#![no_main]

#[path = "sys/entry.rs"]
#[expect(unsafe_code, reason = "the C entry point, kept with the rest of `sys`")]
mod entry;
