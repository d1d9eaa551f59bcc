//! A task was created by any call, and has not run yet; with the flags that the kernel
//! used.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use nsexec_audit_abi::code::{Hook, NAMESPACE_FLAGS, Syscall};
use nsexec_audit_abi::record::{Fork, Namespace};

use crate::kernel::{Access, Object, load};
use crate::namespaces::NamespacePtrs;
use crate::offsets::TASK_PID;
use crate::task::TaskPtrs;
use crate::{namespaces, pending, ring, task, words};

#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn task_newtask(context: BtfTracePointContext) -> i32 {
    let child: Object = context.arg(0);
    let flags: u64 = context.arg(1);
    let current = TaskPtrs::current();
    let parent = task::parent(&current);
    let namespaces = NamespacePtrs::of(child, Access::ProbeRead);
    let hook = Hook::TaskNewtask;
    ring::count(hook, ring::seen);
    if flags & NAMESPACE_FLAGS == 0 {
        ring::count(hook, ring::filtered);
    } else if let Some(mut entry) = ring::begin::<Namespace>(hook) {
        // SAFETY: the entry is a record, and all of it is written.
        unsafe {
            write(
                entry.as_mut_ptr(),
                &current,
                parent,
                (child, &namespaces),
                flags,
            )
        };
        ring::submit(hook, entry);
    }
    let hook = Hook::Fork;
    ring::count(hook, ring::seen);
    if let Some(mut entry) = ring::begin::<Fork>(hook) {
        let out = entry.as_mut_ptr();
        // SAFETY: the entry is a record, of which every field is written here.
        unsafe {
            task::read(&current, &raw mut (*out).actor);
            task::read_id(Access::Typed, child, &raw mut (*out).child);
            namespaces::read(&namespaces, &raw mut (*out).namespaces);
        }
        ring::submit(hook, entry);
    }
    0
}

/// # Safety
/// `out` can be written.
#[inline(always)]
unsafe fn write(
    out: *mut Namespace,
    current: &TaskPtrs,
    parent: Object,
    (child, namespaces): (Object, &NamespacePtrs),
    flags: u64,
) {
    let syscall = match pending::find() {
        // SAFETY: a value of the map.
        Some(pending) => unsafe { (*pending.as_ptr()).syscall },
        None => Syscall::Unseen,
    };
    // SAFETY: guaranteed by the caller.
    unsafe {
        task::read(current, &raw mut (*out).actor);
        task::read_id(Access::Typed, parent, &raw mut (*out).parent);
        task::read_id(Access::Typed, child, &raw mut (*out).child);
        let call = &raw mut (*out).call;
        words::zero(call);
        (&raw mut (*call).flags).write(flags);
        (&raw mut (*call).ret).write(i64::from(load::<u32>(child, &TASK_PID)));
        (&raw mut (*call).fd).write(-1);
        (&raw mut (*call).syscall).write(syscall);
        (&raw mut (*call).abi).write(task::abi(current.task));
        namespaces::read(&current.namespaces, &raw mut (*out).before);
        namespaces::read(namespaces, &raw mut (*out).after);
        namespaces::read_user(namespaces, &raw mut (*out).user);
    }
}
