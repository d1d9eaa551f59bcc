//! A task was made, and has not run yet.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use nsexec_audit_abi::code::Hook;
use nsexec_audit_abi::record::Fork;

use crate::kernel::Object;
use crate::{namespaces, ring, task};

#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn sched_process_fork(context: BtfTracePointContext) -> i32 {
    let hook = Hook::SchedProcessFork;
    ring::count(hook, ring::seen);
    let parent: Object = context.arg(0);
    let child: Object = context.arg(1);
    if let Some(mut entry) = ring::begin::<Fork>(hook) {
        let out = entry.as_mut_ptr();
        // SAFETY: the entry is a record, of which every field is written here.
        unsafe {
            task::read(parent, &raw mut (*out).actor);
            task::read_kin(child, &raw mut (*out).child);
            namespaces::read(child, &raw mut (*out).vector);
        }
        ring::submit(hook, entry);
    }
    0
}
