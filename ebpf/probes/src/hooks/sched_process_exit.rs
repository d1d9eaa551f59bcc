//! A thread ends. It still has its namespaces; on older kernels its memory is already
//! gone.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use nsexec_audit_abi::code::Hook;
use nsexec_audit_abi::record::Exit;

use crate::kernel::load;
use crate::offsets::{SIGNAL_LIVE, TASK_EXIT_CODE, TASK_SIGNAL};
use crate::task::TaskPtrs;
use crate::{namespaces, ring, task};

#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(_: BtfTracePointContext) -> i32 {
    let hook = Hook::SchedProcessExit;
    let task = TaskPtrs::current();
    ring::count(hook, ring::seen);
    if let Some(mut entry) = ring::begin::<Exit>(hook) {
        let out = entry.as_mut_ptr();
        // SAFETY: the entry is a record, of which every field is written here.
        unsafe {
            task::read(&task, &raw mut (*out).actor);
            namespaces::read(&task.namespaces, &raw mut (*out).namespaces);
            (&raw mut (*out).status).write(load(task.task, &TASK_EXIT_CODE));
            (&raw mut (*out).live).write(load(load(task.task, &TASK_SIGNAL), &SIGNAL_LIVE));
        }
        ring::submit(hook, entry);
    }
    0
}
