//! Reports every existing task, on request of the loader.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_seq_write;
use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{Header, Version};
use nsexec_audit_abi::record::Snapshot;

use crate::kernel::{Access, Object};
use crate::task::TaskPtrs;
use crate::{namespaces, ring, task};

/// The kernel's `struct bpf_iter__task`, and the beginning of the structures that it points
/// to: both are part of the stable interface.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    task: Object,
}

#[repr(C)]
struct Meta {
    file: *mut aya_ebpf::bindings::seq_file,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub(crate) extern "C" fn iter_task(context: *const Context) -> i32 {
    let hook = Hook::IterTask;
    // SAFETY: the verifier knows the context and what it points to.
    let (file, task) = unsafe { ((*(*context).meta).file, (*context).task) };
    // The last call has no task.
    if task.is_null() {
        return 0;
    }
    ring::count(hook, ring::seen);
    let task = TaskPtrs::trusted(task);
    let parent = task::parent(&task);
    let mut record = MaybeUninit::<Snapshot>::uninit();
    let out = record.as_mut_ptr();
    // SAFETY: the entry is a record, and every field is written before it is used.
    let failed = unsafe {
        (&raw mut (*out).header).write(Header {
            version: Version::THIS,
            kind: Kind::Snapshot,
            hook,
            length: size_of::<Snapshot>() as u32,
            cpu: ring::cpu(),
            reserved: Reserved::ZERO,
            sequence: 0,
            lost: 0,
            boot_ns: ring::now(),
        });
        task::read(&task, &raw mut (*out).task);
        task::read_id(Access::ProbeRead, parent, &raw mut (*out).parent);
        namespaces::read(&task.namespaces, &raw mut (*out).namespaces);
        bpf_seq_write(file, out.cast(), size_of::<Snapshot>() as u32)
    } != 0;
    // The kernel calls again for a task that did not fit.
    ring::count(
        hook,
        if failed {
            ring::filtered
        } else {
            ring::written
        },
    );
    0
}
