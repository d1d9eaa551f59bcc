//! The tracepoints of setns(2), unshare(2), clone(2) and clone3(2): one program for
//! all beginnings, and one for all ends.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::Syscall;

use super::call;
use crate::kernel::copy;

/// The number of each call in the machine's own table: asm/unistd.h.
#[cfg(not(bpf_target_arch = "aarch64"))]
mod number {
    pub(super) const UNSHARE: u32 = 272;
    pub(super) const CLONE: u32 = 56;
    pub(super) const CLONE3: u32 = 435;
}
#[cfg(bpf_target_arch = "aarch64")]
mod number {
    pub(super) const UNSHARE: u32 = 97;
    pub(super) const CLONE: u32 = 220;
    pub(super) const CLONE3: u32 = 435;
}

/// A word of the kernel's `struct syscall_tp_t`.
#[inline(always)]
fn word(context: &TracePointContext, index: usize) -> u64 {
    // SAFETY: the verifier knows how long the context is.
    unsafe { context.as_ptr().cast::<u64>().add(index).read() }
}

/// The number stands in the second word, in its lower half.
#[inline(always)]
fn syscall(context: &TracePointContext) -> Syscall {
    match word(context, 1) as u32 {
        number::UNSHARE => Syscall::Unshare,
        number::CLONE => Syscall::Clone,
        number::CLONE3 => Syscall::Clone3,
        // It is attached to no other.
        _ => Syscall::Setns,
    }
}

/// The arguments are in their order on all machines but s390. The second one is
/// copied: the kernel attaches no program to unshare that loads more arguments than
/// that has, whether or not it does so there.
#[tracepoint]
pub(crate) fn sys_enter(context: TracePointContext) -> u32 {
    let namespaces = call::namespaces();
    let syscall = syscall(&context);
    let second = || copy(context.as_ptr().cast::<u64>().wrapping_add(3).cast());
    call::begins(&namespaces, syscall, word(&context, 2), second);
    0
}

#[tracepoint]
pub(crate) fn sys_exit(context: TracePointContext) -> u32 {
    let caller = call::caller();
    call::ends(&caller, syscall(&context), word(&context, 2).cast_signed());
    0
}
