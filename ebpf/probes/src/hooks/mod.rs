//! The programs.

mod clone;
mod clone3;
mod iter_task;
mod sched_process_exec;
mod sched_process_exit;
mod sched_process_fork;
mod setns;
mod task_newtask;
mod unshare;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::{Hook, NAMESPACE_FLAGS, Notes, Syscall};

use crate::{pending, ring, task};

/// The argument of a system call, at its beginning, which is where the kernel's
/// `struct syscall_tp_t` has it.
#[inline(always)]
fn argument(context: &TracePointContext, index: usize) -> u64 {
    // SAFETY: the verifier knows how long the context is.
    unsafe { context.as_ptr().cast::<u64>().add(2 + index).read() }
}

/// What a system call returned, at its end.
#[inline(always)]
fn returned(context: &TracePointContext) -> i64 {
    argument(context, 0).cast_signed()
}

/// clone(2) or clone3(2) begins: it is of interest when it asks for a namespace.
#[inline(always)]
fn clone_begins(hook: Hook, syscall: Syscall, flags: u64, notes: Notes) {
    if flags & NAMESPACE_FLAGS == 0 && !notes.has(Notes::FLAGS_UNREAD) {
        ring::count(hook, ring::filtered);
    } else {
        pending::start(hook, syscall, flags, notes, None);
    }
}

/// clone(2) or clone3(2) ends, in the caller. When it made a task, that was
/// written when it did.
#[inline(always)]
fn clone_ends(hook: Hook, syscall: Syscall, ret: i64) {
    let key = task::tid(task::current());
    if ret < 0 && pending::find(key).is_some() {
        pending::end(hook, syscall, ret);
    } else {
        ring::count(hook, ring::filtered);
        pending::forget(key);
    }
}
