//! The C entry point, which avoids Rust's start-up: that would ignore SIGPIPE, and the program
//! would inherit this instead of its caller's choice.
//!
//! Part of the binary only (`main.rs` includes it): a library must not export `main`.

/// Called by the C library. The arguments are read through `std::env`, which
/// the C library's initialisers have filled in.
// SAFETY: the C library calls `main` with (int, char **, char **) and takes an
// int; arguments that a function does not declare are ignored by both C ABIs
// that nsexec is built for. No other `main` is in the program.
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    nsexec::main().into()
}
