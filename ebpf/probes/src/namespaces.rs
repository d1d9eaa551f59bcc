//! The ten namespaces of a task.

use aya_ebpf::Global;
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{UserNamespace, Vector};

use crate::kernel::{By, Object, at, copy, copy_pointer, has, load_in};
use crate::offsets::*;
use crate::task::Places;

/// Fills in the namespaces of a task.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(task: &Places, out: *mut Vector) {
    let by = task.by;
    let of = |member| by.pointer(task.nsproxy, member);
    let user = by.pointer(task.cred, &CRED_USER_NS);
    // SAFETY: the caller's, and every index is below SLOTS.
    unsafe {
        put(by, out, 0, of(&NSPROXY_CGROUP_NS), &CGROUP_NS);
        put(by, out, 1, of(&NSPROXY_IPC_NS), &IPC_NS);
        put(by, out, 2, of(&NSPROXY_MNT_NS), &MNT_NS);
        put(by, out, 3, of(&NSPROXY_NET_NS), &NET_NS);
        put_pid(by, out, 4, task.pid);
        put(by, out, 5, of(&NSPROXY_PID_NS_FOR_CHILDREN), &PID_NS);
        put(by, out, 6, of(&NSPROXY_TIME_NS), &TIME_NS);
        put(by, out, 7, of(&NSPROXY_TIME_NS_FOR_CHILDREN), &TIME_NS);
        put(by, out, 8, user, &USER_NS);
        put(by, out, 9, of(&NSPROXY_UTS_NS), &UTS_NS);
    }
}

/// # Safety
/// `out` can be written, and has a slot `index`.
#[inline(always)]
unsafe fn put(by: By, out: *mut Vector, index: usize, namespace: Object, common: &Global<u32>) {
    let common = at(namespace, common);
    let id = if has(&NS_ID) {
        by.value(common, &NS_ID)
    } else {
        0
    };
    let inum = by.value(common, &NS_INUM);
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
unsafe fn put_pid(by: By, out: *mut Vector, index: usize, pid: Object) {
    let level: u32 = by.value(pid, &PID_LEVEL);
    // SAFETY: the caller's.
    unsafe {
        if let (By::Type, 0) = (by, level) {
            let namespace = load_in(pid, &PID_NUMBERS, &UPID_NS);
            put(by, out, index, namespace, &PID_NS);
        } else {
            let namespace = copy_pointer(innermost(pid, level), &UPID_NS);
            put(By::Copy, out, index, namespace, &PID_NS);
        }
    }
}

/// Beyond any pid: there are at most 32 namespaces in each other, of 16 bytes
/// each. The verifier of Linux 6.1 wants a bound for what is added to a pointer.
const NUMBERS_BYTES: u64 = 1024;

/// The `struct upid` of a task's `struct pid` in its own pid namespace.
#[inline(always)]
fn innermost(pid: Object, level: u32) -> Object {
    let distance = u64::from(level) * u64::from(UPID_SIZE.load());
    at(pid, &PID_NUMBERS).wrapping_add(distance.min(NUMBERS_BYTES) as usize)
}

/// The number of a task in its own pid namespace.
#[inline(always)]
pub(crate) fn number(by: By, pid: Object) -> u32 {
    let level: u32 = by.value(pid, &PID_LEVEL);
    if let (By::Type, 0) = (by, level) {
        load_in(pid, &PID_NUMBERS, &UPID_NR)
    } else {
        copy(at(innermost(pid, level), &UPID_NR))
    }
}

/// Fills in what there is to know of the user namespace of a task.
///
/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read_user(task: &Places, out: *mut UserNamespace) {
    let by = task.by;
    let user = by.pointer(task.cred, &CRED_USER_NS);
    let parent = by.pointer(user, &USER_NS_PARENT);
    let common = at(parent, &USER_NS);
    let parent_id = if has(&NS_ID) {
        by.value(common, &NS_ID)
    } else {
        0
    };
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).parent_id).write(parent_id);
        (&raw mut (*out).parent_inum).write(by.value(common, &NS_INUM));
        (&raw mut (*out).owner).write(by.value(user, &USER_NS_OWNER));
        (&raw mut (*out).level).write(by.value(user, &USER_NS_LEVEL));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
    }
}
