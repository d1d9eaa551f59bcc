//! The eBPF programs of nsexec-audit: one file per hook, below [`hooks`].
//!
//! Each program stores the beginning of a call, or writes one record of
//! [`nsexec_audit_abi`] to a ring. It reads kernel fields at offsets that the loader has
//! found ([`offsets`]), with loads that the verifier checks against the types of the
//! running kernel ([`kernel`]).
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

/// The helpers that read kernel memory require a GPL-compatible licence, and the kernel
/// accepts a dual licence: this code is under MIT as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// No code here panics, and the verifier accepts no program that could.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
