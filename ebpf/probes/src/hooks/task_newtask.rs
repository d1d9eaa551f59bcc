//! A task was made, by whatever call: with the flags as the kernel took them.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use nsexec_audit_abi::code::{Hook, NAMESPACE_FLAGS, Notes, Syscall};
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{Call, Target};
use nsexec_audit_abi::record::Namespace;

use crate::kernel::{Object, load};
use crate::offsets::TASK_PID;
use crate::{namespaces, pending, ring, task};

#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn task_newtask(context: BtfTracePointContext) -> i32 {
    let hook = Hook::TaskNewtask;
    ring::count(hook, ring::seen);
    let flags: u64 = context.arg(1);
    if flags & NAMESPACE_FLAGS == 0 {
        ring::count(hook, ring::filtered);
        return 0;
    }
    let child: Object = context.arg(0);
    let current = task::current();
    let syscall = match pending::find(task::tid(current)) {
        // SAFETY: a value of the map.
        Some(pending) => unsafe { (*pending).syscall },
        None => Syscall::Unseen,
    };
    if let Some(mut entry) = ring::begin::<Namespace>(hook) {
        let out = entry.as_mut_ptr();
        // SAFETY: the entry is a record, of which every field is written here.
        unsafe {
            task::read(current, &raw mut (*out).actor);
            task::read_parent(current, &raw mut (*out).parent);
            task::read_kin(child, &raw mut (*out).child);
            (&raw mut (*out).call).write(Call {
                flags,
                ret: i64::from(load::<u32>(child, &TASK_PID)),
                target: Target::NONE,
                fd: -1,
                notes: Notes::NONE,
                syscall,
                abi: task::abi(current),
                reserved: Reserved::ZERO,
            });
            namespaces::read(current, &raw mut (*out).before);
            namespaces::read(child, &raw mut (*out).after);
            namespaces::read_user(child, &raw mut (*out).user);
        }
        ring::submit(hook, entry);
    }
    0
}
