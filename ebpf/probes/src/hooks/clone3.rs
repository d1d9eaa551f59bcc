//! clone3(2)

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use nsexec_audit_abi::code::{Hook, Notes, Syscall};

use super::{argument, clone_begins, clone_ends, returned};
use crate::ring;

#[tracepoint]
pub(crate) fn sys_enter_clone3(context: TracePointContext) -> u32 {
    ring::count(Hook::Clone3Enter, ring::seen);
    // The flags are the first member of struct clone_args.
    let place = argument(&context, 0) as *const u64;
    // SAFETY: the helper fails on an address that cannot be read.
    let (flags, notes) = match unsafe { bpf_probe_read_user(place) } {
        Ok(flags) => (flags, Notes::FLAGS_RACY),
        Err(_) => (0, Notes::FLAGS_RACY.and(Notes::FLAGS_UNREAD)),
    };
    clone_begins(Hook::Clone3Enter, Syscall::Clone3, flags, notes);
    0
}

#[tracepoint]
pub(crate) fn sys_exit_clone3(context: TracePointContext) -> u32 {
    ring::count(Hook::Clone3Exit, ring::seen);
    clone_ends(Hook::Clone3Exit, Syscall::Clone3, returned(&context));
    0
}
