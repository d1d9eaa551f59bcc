//! The ten namespaces of a task.

use aya_ebpf::Global;
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{UserNamespace, Vector};

use crate::kernel::{Object, at, copy, copy_pointer, has, load, load_in};
use crate::offsets::*;
use crate::task::Places;

/// Fills in the namespaces of a task.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(task: &Places, out: *mut Vector) {
    let of = |member| load::<Object>(task.nsproxy, member);
    let user: Object = load(task.cred, &CRED_USER_NS);
    // SAFETY: the caller's, and every index is below SLOTS.
    unsafe {
        put(out, 0, of(&NSPROXY_CGROUP_NS), &CGROUP_NS);
        put(out, 1, of(&NSPROXY_IPC_NS), &IPC_NS);
        put(out, 2, of(&NSPROXY_MNT_NS), &MNT_NS);
        put(out, 3, of(&NSPROXY_NET_NS), &NET_NS);
        put_pid(out, 4, task.pid);
        put(out, 5, of(&NSPROXY_PID_NS_FOR_CHILDREN), &PID_NS);
        put(out, 6, of(&NSPROXY_TIME_NS), &TIME_NS);
        put(out, 7, of(&NSPROXY_TIME_NS_FOR_CHILDREN), &TIME_NS);
        put(out, 8, user, &USER_NS);
        put(out, 9, of(&NSPROXY_UTS_NS), &UTS_NS);
    }
}

/// # Safety
/// `out` can be written, and has a slot `index`.
#[inline(always)]
unsafe fn put(out: *mut Vector, index: usize, namespace: Object, common: &Global<u32>) {
    let id = if has(&NS_ID) {
        load_in(namespace, common, &NS_ID)
    } else {
        0
    };
    let inum = load_in(namespace, common, &NS_INUM);
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).id[index]).write(id);
        (&raw mut (*out).inum[index]).write(inum);
    }
}

/// The pid namespace that a task is in is that of its innermost pid, which is in
/// an array: the verifier knows no type there, but for the first one.
///
/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_pid(out: *mut Vector, index: usize, pid: Object) {
    if load::<u32>(pid, &PID_LEVEL) == 0 {
        // SAFETY: the caller's.
        unsafe { put(out, index, load_in(pid, &PID_NUMBERS, &UPID_NS), &PID_NS) };
        return;
    }
    let namespace = copy_pointer(innermost(pid), &UPID_NS);
    let common = at(namespace, &PID_NS);
    let id = if has(&NS_ID) {
        copy(at(common, &NS_ID))
    } else {
        0
    };
    let inum = copy(at(common, &NS_INUM));
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).id[index]).write(id);
        (&raw mut (*out).inum[index]).write(inum);
    }
}

/// Beyond any pid: there are at most 32 namespaces in each other, of 16 bytes
/// each. The verifier of Linux 6.1 wants a bound for what is added to a pointer.
const NUMBERS_BYTES: u64 = 1024;

/// The `struct upid` of a task's `struct pid` in its own pid namespace.
#[inline(always)]
fn innermost(pid: Object) -> Object {
    innermost_at(pid, load(pid, &PID_LEVEL))
}

/// The number of a task in its own pid namespace.
#[inline(always)]
pub(crate) fn number(pid: Object) -> u32 {
    if load::<u32>(pid, &PID_LEVEL) == 0 {
        load_in(pid, &PID_NUMBERS, &UPID_NR)
    } else {
        copy(at(innermost(pid), &UPID_NR))
    }
}

/// The same, of one whose type the verifier does not know.
#[inline(always)]
pub(crate) fn innermost_copied(pid: Object) -> Object {
    innermost_at(pid, copy(at(pid, &PID_LEVEL)))
}

#[inline(always)]
fn innermost_at(pid: Object, level: u32) -> Object {
    let distance = u64::from(level) * u64::from(UPID_SIZE.load());
    at(pid, &PID_NUMBERS).wrapping_add(distance.min(NUMBERS_BYTES) as usize)
}

/// Fills in what there is to know of the user namespace of a task.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read_user(task: &Places, out: *mut UserNamespace) {
    let user: Object = load(task.cred, &CRED_USER_NS);
    let parent: Object = load(user, &USER_NS_PARENT);
    let parent_id = if has(&NS_ID) {
        load_in(parent, &USER_NS, &NS_ID)
    } else {
        0
    };
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).parent_id).write(parent_id);
        (&raw mut (*out).parent_inum).write(load_in(parent, &USER_NS, &NS_INUM));
        (&raw mut (*out).owner).write(load(user, &USER_NS_OWNER));
        (&raw mut (*out).level).write(load(user, &USER_NS_LEVEL));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
    }
}
