//! The identity and the properties of a task.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use nsexec_audit_abi::code::Abi;
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::{Task, TaskId, UNSET};

use crate::kernel::{Access, Object, at, copy, copy_pointer, has, load, load_at};
use crate::namespaces::{NamespacePtrs, number};
use crate::offsets::*;

/// The current task, from its processor's run queue.
///
/// The helper's own pointer is trusted by the verifier. For each pointer loaded through a
/// trusted one, the verifier of Linux 6.18 searches all types of the kernel four times, to
/// find out whether that is trusted as well. This code needs no trust: an untrusted loaded
/// pointer is accepted at once. A program does not move to another processor while it runs,
/// so `curr` is the task itself.
#[inline(always)]
pub(crate) fn current() -> Object {
    // SAFETY: the helper takes no argument.
    let task = unsafe { bpf_get_current_task_btf() as Object };
    if has(&TASK_CFS_RQ) && has(&CFS_RQ_RQ) && has(&RQ_CURR) {
        let queue: Object = load(task, &TASK_CFS_RQ);
        load(load(queue, &CFS_RQ_RQ), &RQ_CURR)
    } else {
        task
    }
}

/// The pointers from which a task is described.
#[derive(Clone, Copy)]
pub(crate) struct TaskPtrs {
    pub(crate) task: Object,
    pub(crate) namespaces: NamespacePtrs,
    pub(crate) memory: Object,
}

impl TaskPtrs {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self::new(current(), Access::Typed)
    }

    /// A task that the verifier trusts: the structures that it points to are copied.
    #[inline(always)]
    pub(crate) fn trusted(task: Object) -> Self {
        Self::new(task, Access::ProbeRead)
    }

    #[inline(always)]
    fn new(task: Object, access: Access) -> Self {
        Self {
            task,
            namespaces: NamespacePtrs::of(task, access),
            memory: access.pointer(task, &TASK_MM),
        }
    }
}

/// The start time of a task's process.
#[inline(always)]
fn leader_start(access: Access, task: Object) -> u64 {
    if access.value::<u32>(task, &TASK_PID) == access.value(task, &TASK_TGID) {
        access.value(task, &TASK_START_BOOTTIME)
    } else {
        let leader = copy_pointer(task, &TASK_GROUP_LEADER);
        copy(at(leader, &TASK_START_BOOTTIME))
    }
}

/// The identity of a parent.
#[inline(always)]
pub(crate) fn parent(ptrs: &TaskPtrs) -> Object {
    ptrs.namespaces.access.pointer(ptrs.task, &TASK_REAL_PARENT)
}

/// The table of system calls through which the task entered the kernel.
#[inline(always)]
pub(crate) fn abi(task: Object) -> Abi {
    if load::<u32>(task, &TASK_ENTRY) & COMPAT_MASK.load() == 0 {
        Abi::Native
    } else {
        Abi::Compat
    }
}

#[inline(always)]
fn cgroup_id(ptrs: &TaskPtrs) -> u64 {
    let access = ptrs.namespaces.access;
    let set = access.pointer(ptrs.task, &TASK_CGROUPS);
    let cgroup = if has(&CSS_SET_STATE) {
        access.pointer(access.pointer(set, &CSS_SET_STATE), &CSS_CGROUP)
    } else {
        access.pointer(set, &CSS_SET_DFL_CGRP)
    };
    access.value(access.pointer(cgroup, &CGROUP_KN), &KERNFS_ID)
}

/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(ptrs: &TaskPtrs, out: *mut Task) {
    let task = ptrs.task;
    let (cred, access) = (ptrs.namespaces.cred, ptrs.namespaces.access);
    let file = access.pointer(ptrs.memory, &MM_EXE_FILE);
    let inode = access.pointer(file, &FILE_INODE);
    let device = access.value(access.pointer(inode, &INODE_SB), &SB_DEV);
    // Two halves: before Linux 6.3 it is an array of them.
    let capabilities = at(cred, &CRED_CAP_EFFECTIVE);
    let low: u32 = access.value_at(capabilities);
    let high: u32 = access.value_at(capabilities.wrapping_add(4));
    let cgroup_id = if has(&TASK_CGROUPS) && has(&KERNFS_ID) {
        cgroup_id(ptrs)
    } else {
        0
    };
    let login_uid = if has(&TASK_LOGINUID) {
        load(task, &TASK_LOGINUID)
    } else {
        UNSET
    };
    let session = if has(&TASK_SESSIONID) {
        load(task, &TASK_SESSIONID)
    } else {
        UNSET
    };
    let seccomp = if has(&TASK_SECCOMP_MODE) {
        load::<u32>(task, &TASK_SECCOMP_MODE) as u8
    } else {
        0
    };
    let ns_tid = number(access, ptrs.namespaces.pid);
    let (tgid, tid): (u32, u32) = (load(task, &TASK_TGID), load(task, &TASK_PID));
    let ns_tgid = if tgid == tid {
        ns_tid
    } else {
        let leader = copy_pointer(task, &TASK_GROUP_LEADER);
        let pid = copy_pointer(leader, &TASK_THREAD_PID);
        number(Access::ProbeRead, pid)
    };
    // PFA_NO_NEW_PRIVS of linux/sched.h.
    let no_new_privs = load::<u64>(task, &TASK_ATOMIC_FLAGS) & 1 == 1;
    let comm = at(task, &TASK_COMM);
    let comm: [u64; 2] = [load_at(comm), load_at(comm.wrapping_add(8))];
    // SAFETY: guaranteed by the caller; comm is 16 bytes, at a multiple of 8.
    unsafe {
        (&raw mut (*out).start_ns).write(load(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(Access::Typed, task));
        (&raw mut (*out).cgroup_id).write(cgroup_id);
        (&raw mut (*out).exe_inode).write(access.value(inode, &INODE_INO));
        (&raw mut (*out).capabilities).write(u64::from(high) << 32 | u64::from(low));
        (&raw mut (*out).tgid).write(tgid);
        (&raw mut (*out).tid).write(tid);
        (&raw mut (*out).ns_tgid).write(ns_tgid);
        (&raw mut (*out).ns_tid).write(ns_tid);
        (&raw mut (*out).uid).write(access.value(cred, &CRED_UID));
        (&raw mut (*out).gid).write(access.value(cred, &CRED_GID));
        (&raw mut (*out).euid).write(access.value(cred, &CRED_EUID));
        (&raw mut (*out).egid).write(access.value(cred, &CRED_EGID));
        (&raw mut (*out).login_uid).write(login_uid);
        (&raw mut (*out).session).write(session);
        (&raw mut (*out).exe_device).write(device);
        (&raw mut (*out).seccomp).write(seccomp);
        (&raw mut (*out).no_new_privs).write(Bool::new(no_new_privs));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
        (&raw mut (*out).comm).cast::<[u64; 2]>().write(comm);
    }
}

/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read_id(access: Access, task: Object, out: *mut TaskId) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        (&raw mut (*out).start_ns).write(access.value(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(access, task));
        (&raw mut (*out).tgid).write(access.value(task, &TASK_TGID));
        (&raw mut (*out).tid).write(access.value(task, &TASK_PID));
    }
}
