//! The eBPF programs of nsexec-audit: one file a hook, below [`hooks`].
//!
//! Each remembers how a call began, or writes one record of
//! [`nsexec_audit_abi`] into a ring. What it reads of the kernel it reads at
//! offsets that the loader found ([`offsets`]), by loads that the verifier
//! checks against the types of the running kernel ([`kernel`]).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod hooks;
mod kernel;
mod namespaces;
mod offsets;
mod pending;
mod ring;
mod target;
mod task;
mod words;

/// The helpers that read the kernel are for programs under the GPL. The kernel
/// asks for no more than one of the licences: this code is under MIT as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Nothing here panics, and the verifier takes no program that could.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
