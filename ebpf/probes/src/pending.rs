//! Calls that have begun, until they end.

use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use nsexec_audit_abi::code::{Hook, Notes, Syscall};
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{Call, Kin, Target, Vector};
use nsexec_audit_abi::record::Namespace;

use crate::kernel::Object;
use crate::task::{Known, Places};
use crate::{namespaces, ring, task};

/// A task has at most one call under way, so this is how many tasks may be in
/// one of the four calls at a time.
const TASKS: u32 = 8192;

/// How a call began.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) flags: u64,
    pub(crate) target: Target,
    pub(crate) fd: i32,
    pub(crate) notes: Notes,
    pub(crate) before: Vector,
    pub(crate) syscall: Syscall,
    pub(crate) reserved: Reserved<7>,
}

#[map]
static PENDING: HashMap<u32, Pending> = HashMap::with_max_entries(TASKS, 0);

/// Remembers how a call of the current task began.
#[inline(always)]
pub(crate) fn keep(hook: Hook, key: u32, pending: &Pending) {
    match PENDING.insert(&key, pending, 0) {
        Ok(()) => ring::count(hook, ring::written),
        Err(_) => ring::count(hook, ring::pending_full),
    }
}

/// The call that a task has under way.
#[inline(always)]
pub(crate) fn find(key: u32) -> Option<*const Pending> {
    PENDING.get_ptr(&key)
}

/// It is not under way any more.
#[inline(always)]
pub(crate) fn forget(key: u32) {
    // There is none when its beginning was not seen.
    let _ = PENDING.remove(&key);
}

/// Writes the end of a call of the current task, and forgets its beginning.
#[inline(always)]
pub(crate) fn end(hook: Hook, syscall: Syscall, current: &Known, parent: Object, ret: i64) {
    let key = task::tid(current.task);
    let pending = find(key);
    if pending.is_none() {
        ring::count(hook, ring::beginning_unseen);
    }
    if let Some(mut entry) = ring::begin::<Namespace>(hook) {
        // SAFETY: the entry is a record, of which every field is written here, and
        // the beginning is a value of the map.
        unsafe { write(entry.as_mut_ptr(), current, parent, pending, syscall, ret) };
        ring::submit(hook, entry);
    }
    forget(key);
}

/// # Safety
/// `out` can be written, and `pending` read.
#[inline(always)]
unsafe fn write(
    out: *mut Namespace,
    current: &Known,
    parent: Object,
    pending: Option<*const Pending>,
    syscall: Syscall,
    ret: i64,
) {
    // SAFETY: the caller's.
    unsafe {
        task::read(current, &raw mut (*out).actor);
        task::read_kin(parent, &raw mut (*out).parent);
        (&raw mut (*out).child).write(Kin::NONE);
        let (flags, target, fd, notes) = match pending {
            Some(pending) => {
                (&raw mut (*out).before).write((*pending).before);
                let pending = &*pending;
                (pending.flags, pending.target, pending.fd, pending.notes)
            }
            None => {
                (&raw mut (*out).before).write(Vector::NONE);
                (0, Target::NONE, -1, Notes::BEGINNING_UNSEEN)
            }
        };
        (&raw mut (*out).call).write(Call {
            flags,
            ret,
            target,
            fd,
            notes,
            syscall,
            abi: task::abi(current.task),
            reserved: Reserved::ZERO,
        });
        namespaces::read(&current.places, &raw mut (*out).after);
        namespaces::read_user(&current.places, &raw mut (*out).user);
    }
}

/// Remembers the beginning of a call of the current task with these arguments.
#[inline(always)]
pub(crate) fn start(
    hook: Hook,
    syscall: Syscall,
    current: Object,
    places: &Places,
    (flags, notes): (u64, Notes),
    fd: Option<i32>,
) {
    let mut pending = Pending {
        flags,
        target: Target::NONE,
        fd: fd.unwrap_or(-1),
        notes,
        before: Vector::NONE,
        syscall,
        reserved: Reserved::ZERO,
    };
    if let Some(fd) = fd {
        crate::target::read(current, fd, &mut pending.target);
    }
    // SAFETY: it is our own.
    unsafe { namespaces::read(places, &raw mut pending.before) };
    keep(hook, task::tid(current), &pending);
}
