//! The tracepoints of setns(2), unshare(2), clone(2) and clone3(2): one program for all
//! entries, and one for all exits.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::Syscall;

use super::call;
use crate::kernel::copy;

/// The number of each call in the native table: asm/unistd.h.
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
    // SAFETY: the verifier knows the length of the context.
    unsafe { context.as_ptr().cast::<u64>().add(index).read() }
}

/// The number is in the lower half of the second word.
#[inline(always)]
fn syscall(context: &TracePointContext) -> Syscall {
    match word(context, 1) as u32 {
        number::UNSHARE => Syscall::Unshare,
        number::CLONE => Syscall::Clone,
        number::CLONE3 => Syscall::Clone3,
        // The program is attached to no other call.
        _ => Syscall::Setns,
    }
}

/// The arguments are in order on all architectures except s390. The second one is always
/// copied: the kernel attaches no program to unshare that loads more arguments than unshare
/// has, even in an unused branch.
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
