//! Calls in progress.

use core::ptr::{self, NonNull};

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type};
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_storage_get};
use nsexec_audit_abi::code::{EventFlags, Hook, Syscall};
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{NamespaceSet, Target};
use nsexec_audit_abi::record::Namespace;

use crate::kernel::{Access, Object};
use crate::namespaces::NamespacePtrs;
use crate::task::TaskPtrs;
use crate::{namespaces, ring, target, task, words};

/// The beginning of a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) flags: u64,
    pub(crate) target: Target,
    pub(crate) fd: i32,
    pub(crate) notes: EventFlags,
    pub(crate) before: NamespaceSet,
    pub(crate) syscall: Syscall,
    under_way: bool,
    reserved: Reserved<6>,
}

/// A map with one value per task, which is freed with the task: it has at most as many
/// values as there are tasks, and a value never passes to another task. aya-ebpf has such
/// maps for sockets and inodes, but not this one. As there, the fields contain no data: the
/// loader reads their types.
#[repr(C)]
struct OfTasks {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const Pending,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the program uses none of the pointers, only the address of the structure, which
// identifies the map.
unsafe impl Sync for OfTasks {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".maps")]
static PENDING: OfTasks = OfTasks {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// The map's value for the current task; with [`BPF_LOCAL_STORAGE_GET_F_CREATE`], zeros if
/// there was none.
#[inline(always)]
fn own(flags: u32) -> Option<NonNull<Pending>> {
    let map = (&raw const PENDING).cast_mut().cast();
    // SAFETY: the map has values per task, and the verifier trusts the task pointer.
    let value = unsafe {
        let task = bpf_get_current_task_btf();
        bpf_task_storage_get(map, task, ptr::null_mut(), flags.into())
    };
    NonNull::new(value.cast())
}

/// The current task's call in progress.
#[inline(always)]
pub(crate) fn find() -> Option<NonNull<Pending>> {
    // SAFETY: a value of the map.
    own(0).filter(|pending| unsafe { (*pending.as_ptr()).under_way })
}

/// The call is no longer in progress.
#[inline(always)]
pub(crate) fn forget(pending: NonNull<Pending>) {
    // SAFETY: a value of the map.
    unsafe { (&raw mut (*pending.as_ptr()).under_way).write(false) };
}

/// Writes the end of a call of the current task.
#[inline(always)]
pub(crate) fn write(
    hook: Hook,
    syscall: Syscall,
    current: &TaskPtrs,
    parent: Object,
    pending: Option<NonNull<Pending>>,
    ret: i64,
) {
    if pending.is_none() {
        ring::count(hook, ring::beginning_unseen);
    }
    if let Some(mut entry) = ring::begin::<Namespace>(hook) {
        // SAFETY: the entry is a record, and every field is written here; the beginning is
        // a value of the map.
        unsafe { fill(entry.as_mut_ptr(), current, parent, pending, syscall, ret) };
        ring::submit(hook, entry);
    }
}

/// # Safety
/// `out` can be written, and `pending` read.
#[inline(always)]
unsafe fn fill(
    out: *mut Namespace,
    current: &TaskPtrs,
    parent: Object,
    pending: Option<NonNull<Pending>>,
    syscall: Syscall,
    ret: i64,
) {
    // SAFETY: guaranteed by the caller; zeros are a valid call, no task, and unknown
    // namespaces.
    unsafe {
        task::read(current, &raw mut (*out).actor);
        task::read_id(Access::Typed, parent, &raw mut (*out).parent);
        words::zero(&raw mut (*out).child);
        let call = &raw mut (*out).call;
        words::zero(call);
        match pending {
            Some(pending) => {
                let pending = pending.as_ptr();
                words::copy(&raw const (*pending).before, &raw mut (*out).before);
                words::copy(&raw const (*pending).target, &raw mut (*call).target);
                (&raw mut (*call).flags).write((*pending).flags);
                (&raw mut (*call).fd).write((*pending).fd);
                (&raw mut (*call).notes).write((*pending).notes);
            }
            None => {
                words::zero(&raw mut (*out).before);
                (&raw mut (*call).fd).write(-1);
                (&raw mut (*call).notes).write(EventFlags::BEGINNING_UNSEEN);
            }
        }
        (&raw mut (*call).ret).write(ret);
        (&raw mut (*call).syscall).write(syscall);
        (&raw mut (*call).abi).write(task::abi(current.task));
        namespaces::read(&current.namespaces, &raw mut (*out).after);
        namespaces::read_user(&current.namespaces, &raw mut (*out).user);
    }
}

/// Stores the beginning of a call of the current task with these arguments.
#[inline(always)]
pub(crate) fn start(
    hook: Hook,
    syscall: Syscall,
    current: Object,
    namespaces: &NamespacePtrs,
    (flags, notes): (u64, EventFlags),
    fd: Option<i32>,
) {
    let Some(pending) = own(BPF_LOCAL_STORAGE_GET_F_CREATE) else {
        ring::count(hook, ring::pending_full);
        return;
    };
    let out = pending.as_ptr();
    // SAFETY: a value of the map; zeros are a valid absent descriptor, and the other fields
    // are written.
    unsafe {
        words::zero(out);
        (&raw mut (*out).flags).write(flags);
        (&raw mut (*out).fd).write(fd.unwrap_or(-1));
        (&raw mut (*out).notes).write(notes);
        (&raw mut (*out).syscall).write(syscall);
        if let Some(fd) = fd {
            target::read(current, fd, &mut (*out).target);
        }
        namespaces::read(namespaces, &raw mut (*out).before);
        (&raw mut (*out).under_way).write(true);
    }
    ring::count(hook, ring::written);
}
