//! A second static Rust library for a program that also links libnsexec. It catches a
//! panic, which requires the unwinding tables of its own standard library.
#![crate_type = "staticlib"]

/// Returns 7 after it has caught a panic.
// SAFETY: no other symbol of this name is in the program.
#[unsafe(no_mangle)]
pub extern "C" fn beside() -> std::ffi::c_int {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| panic!("to be caught")).map_or(7, |()| 0)
}
