//! clone(2)

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::{Hook, Notes, Syscall};

use super::{argument, clone_begins, clone_ends, returned};
use crate::ring;

/// The signal that the child ends with shares the word with the flags.
const CSIGNAL: u64 = 0xff;

#[tracepoint]
pub(crate) fn sys_enter_clone(context: TracePointContext) -> u32 {
    ring::count(Hook::CloneEnter, ring::seen);
    // The first argument on all machines but s390.
    let flags = argument(&context, 0) & u64::from(u32::MAX) & !CSIGNAL;
    clone_begins(Hook::CloneEnter, Syscall::Clone, flags, Notes::NONE);
    0
}

#[tracepoint]
pub(crate) fn sys_exit_clone(context: TracePointContext) -> u32 {
    ring::count(Hook::CloneExit, ring::seen);
    clone_ends(Hook::CloneExit, Syscall::Clone, returned(&context));
    0
}
