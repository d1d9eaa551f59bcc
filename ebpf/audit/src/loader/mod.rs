//! Loads the probes into the kernel and attaches them.

pub mod btf;
pub mod error;
pub mod kernel_info;
pub mod offsets;
mod private_mount_ns;
pub mod probes;
pub mod programs;
pub mod self_check;
mod unsupported;
