//! unshare(2)

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::{Hook, Notes, Syscall};

use super::{argument, returned};
use crate::{pending, ring};

#[tracepoint]
pub(crate) fn sys_enter_unshare(context: TracePointContext) -> u32 {
    ring::count(Hook::UnshareEnter, ring::seen);
    let flags = argument(&context, 0);
    pending::start(
        Hook::UnshareEnter,
        Syscall::Unshare,
        flags,
        Notes::NONE,
        None,
    );
    0
}

#[tracepoint]
pub(crate) fn sys_exit_unshare(context: TracePointContext) -> u32 {
    ring::count(Hook::UnshareExit, ring::seen);
    pending::end(Hook::UnshareExit, Syscall::Unshare, returned(&context));
    0
}
