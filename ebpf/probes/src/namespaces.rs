//! The ten namespaces of a task.

use aya_ebpf::Global;
use nsexec_audit_abi::code::Slot;
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{NamespaceSet, UserNamespace};

use crate::kernel::{Access, Object, at, copy, copy_pointer, has, load_in};
use crate::offsets::*;

/// The pointers through which a task's namespaces are read.
#[derive(Clone, Copy)]
pub(crate) struct NamespacePtrs {
    pub(crate) cred: Object,
    pub(crate) nsproxy: Object,
    pub(crate) pid: Object,
    pub(crate) access: Access,
}

impl NamespacePtrs {
    #[inline(always)]
    pub(crate) fn of(task: Object, access: Access) -> Self {
        Self {
            cred: access.pointer(task, &TASK_CRED),
            nsproxy: access.pointer(task, &TASK_NSPROXY),
            pid: access.pointer(task, &TASK_THREAD_PID),
            access,
        }
    }
}

/// Fills in the namespaces of a task.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(task: &NamespacePtrs, out: *mut NamespaceSet) {
    let access = task.access;
    let of = |member| access.pointer(task.nsproxy, member);
    let user = access.pointer(task.cred, &CRED_USER_NS);
    // SAFETY: guaranteed by the caller.
    unsafe {
        put(
            access,
            out,
            Slot::Cgroup,
            of(&NSPROXY_CGROUP_NS),
            &CGROUP_NS,
        );
        put(access, out, Slot::Ipc, of(&NSPROXY_IPC_NS), &IPC_NS);
        put(access, out, Slot::Mnt, of(&NSPROXY_MNT_NS), &MNT_NS);
        put(access, out, Slot::Net, of(&NSPROXY_NET_NS), &NET_NS);
        put_pid(access, out, Slot::Pid, task.pid);
        put(
            access,
            out,
            Slot::PidForChildren,
            of(&NSPROXY_PID_NS_FOR_CHILDREN),
            &PID_NS,
        );
        put(access, out, Slot::Time, of(&NSPROXY_TIME_NS), &TIME_NS);
        put(
            access,
            out,
            Slot::TimeForChildren,
            of(&NSPROXY_TIME_NS_FOR_CHILDREN),
            &TIME_NS,
        );
        put(access, out, Slot::User, user, &USER_NS);
        put(access, out, Slot::Uts, of(&NSPROXY_UTS_NS), &UTS_NS);
    }
}

/// # Safety
/// `out` can be written.
#[inline(always)]
unsafe fn put(
    access: Access,
    out: *mut NamespaceSet,
    slot: Slot,
    namespace: Object,
    common: &Global<u32>,
) {
    let common = at(namespace, common);
    let id = if has(&NS_ID) {
        access.value(common, &NS_ID)
    } else {
        0
    };
    let inum = access.value(common, &NS_INUM);
    // SAFETY: guaranteed by the caller.
    unsafe {
        (&raw mut (*out).id[slot.index()]).write(id);
        (&raw mut (*out).inum[slot.index()]).write(inum);
    }
}

/// The pid namespace of a task is that of its innermost pid, which is in an array: the
/// verifier knows no type there, except for the first element.
///
/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_pid(access: Access, out: *mut NamespaceSet, slot: Slot, pid: Object) {
    let level: u32 = access.value(pid, &PID_LEVEL);
    // SAFETY: guaranteed by the caller.
    unsafe {
        if let (Access::Typed, 0) = (access, level) {
            let namespace = load_in(pid, &PID_NUMBERS, &UPID_NS);
            put(access, out, slot, namespace, &PID_NS);
        } else {
            let namespace = copy_pointer(innermost(pid, level), &UPID_NS);
            put(Access::ProbeRead, out, slot, namespace, &PID_NS);
        }
    }
}

/// Beyond any pid: at most 32 namespaces are nested, with 16 bytes each. The verifier of
/// Linux 6.1 requires a bound for an offset that is added to a pointer.
const NUMBERS_BYTES: u64 = 1024;

/// The `struct upid` of a task's `struct pid` in its own pid namespace.
#[inline(always)]
fn innermost(pid: Object, level: u32) -> Object {
    let distance = u64::from(level) * u64::from(UPID_SIZE.load());
    at(pid, &PID_NUMBERS).wrapping_add(distance.min(NUMBERS_BYTES) as usize)
}

/// The number of a task in its own pid namespace.
#[inline(always)]
pub(crate) fn number(access: Access, pid: Object) -> u32 {
    let level: u32 = access.value(pid, &PID_LEVEL);
    if let (Access::Typed, 0) = (access, level) {
        load_in(pid, &PID_NUMBERS, &UPID_NR)
    } else {
        copy(at(innermost(pid, level), &UPID_NR))
    }
}

/// Fills in the properties of the task's user namespace.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read_user(task: &NamespacePtrs, out: *mut UserNamespace) {
    let access = task.access;
    let user = access.pointer(task.cred, &CRED_USER_NS);
    let parent = access.pointer(user, &USER_NS_PARENT);
    let common = at(parent, &USER_NS);
    let parent_id = if has(&NS_ID) {
        access.value(common, &NS_ID)
    } else {
        0
    };
    // SAFETY: guaranteed by the caller.
    unsafe {
        (&raw mut (*out).parent_id).write(parent_id);
        (&raw mut (*out).parent_inum).write(access.value(common, &NS_INUM));
        (&raw mut (*out).owner).write(access.value(user, &USER_NS_OWNER));
        (&raw mut (*out).level).write(access.value(user, &USER_NS_LEVEL));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
    }
}
