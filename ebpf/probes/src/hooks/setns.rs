//! setns(2)

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::{Hook, Notes, Syscall};

use super::{argument, returned};
use crate::{pending, ring};

#[tracepoint]
pub(crate) fn sys_enter_setns(context: TracePointContext) -> u32 {
    ring::count(Hook::SetnsEnter, ring::seen);
    let fd = argument(&context, 0) as i32;
    let kind = argument(&context, 1) as u32;
    pending::start(
        Hook::SetnsEnter,
        Syscall::Setns,
        u64::from(kind),
        Notes::NONE,
        Some(fd),
    );
    0
}

#[tracepoint]
pub(crate) fn sys_exit_setns(context: TracePointContext) -> u32 {
    ring::count(Hook::SetnsExit, ring::seen);
    pending::end(Hook::SetnsExit, Syscall::Setns, returned(&context));
    0
}
