//! Who a task is.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use nsexec_audit_abi::code::Abi;
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::{Kin, Task, UNSET};

use crate::kernel::{By, Object, at, copy, copy_pointer, has, load, load_at};
use crate::namespaces::number;
use crate::offsets::*;

/// The task that runs, as its processor's run queue has it.
///
/// The helper's own pointer is one that the verifier trusts, and whatever is loaded
/// through such a one, Linux 6.18 goes over all types of the kernel four times to
/// find out whether that can be trusted as well. Nothing here asks for trust: a
/// pointer that has been loaded is not trusted, and is taken at once. A program is
/// not moved to another processor while it runs, so `curr` is the task itself.
#[inline(always)]
pub(crate) fn current() -> Object {
    // SAFETY: it takes nothing.
    let task = unsafe { bpf_get_current_task_btf() as Object };
    if has(&TASK_CFS_RQ) && has(&CFS_RQ_RQ) && has(&RQ_CURR) {
        let queue: Object = load(task, &TASK_CFS_RQ);
        load(load(queue, &CFS_RQ_RQ), &RQ_CURR)
    } else {
        task
    }
}

/// What a task points to that its namespaces are read from.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) cred: Object,
    pub(crate) nsproxy: Object,
    pub(crate) pid: Object,
    pub(crate) by: By,
}

impl Places {
    #[inline(always)]
    pub(crate) fn of(task: Object, by: By) -> Self {
        Self {
            cred: by.pointer(task, &TASK_CRED),
            nsproxy: by.pointer(task, &TASK_NSPROXY),
            pid: by.pointer(task, &TASK_THREAD_PID),
            by,
        }
    }
}

/// The same, of what it is told by.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) task: Object,
    pub(crate) places: Places,
    pub(crate) memory: Object,
}

impl Known {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self::new(current(), By::Type)
    }

    /// A task that the verifier trusts: what it points to is copied.
    #[inline(always)]
    pub(crate) fn trusted(task: Object) -> Self {
        Self::new(task, By::Copy)
    }

    #[inline(always)]
    fn new(task: Object, by: By) -> Self {
        Self {
            task,
            places: Places::of(task, by),
            memory: by.pointer(task, &TASK_MM),
        }
    }
}

/// When the process of a task was made.
#[inline(always)]
fn leader_start(by: By, task: Object) -> u64 {
    if by.value::<u32>(task, &TASK_PID) == by.value(task, &TASK_TGID) {
        by.value(task, &TASK_START_BOOTTIME)
    } else {
        let leader = copy_pointer(task, &TASK_GROUP_LEADER);
        copy(at(leader, &TASK_START_BOOTTIME))
    }
}

/// A parent.
#[inline(always)]
pub(crate) fn parent(known: &Known) -> Object {
    known.places.by.pointer(known.task, &TASK_REAL_PARENT)
}

/// By which table of system calls it entered the kernel.
#[inline(always)]
pub(crate) fn abi(task: Object) -> Abi {
    if load::<u32>(task, &TASK_ENTRY) & COMPAT_MASK.load() == 0 {
        Abi::Native
    } else {
        Abi::Compat
    }
}

#[inline(always)]
fn cgroup_id(known: &Known) -> u64 {
    let by = known.places.by;
    let set = by.pointer(known.task, &TASK_CGROUPS);
    let cgroup = if has(&CSS_SET_STATE) {
        by.pointer(by.pointer(set, &CSS_SET_STATE), &CSS_CGROUP)
    } else {
        by.pointer(set, &CSS_SET_DFL_CGRP)
    };
    by.value(by.pointer(cgroup, &CGROUP_KN), &KERNFS_ID)
}

/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(known: &Known, out: *mut Task) {
    let task = known.task;
    let (cred, by) = (known.places.cred, known.places.by);
    let file = by.pointer(known.memory, &MM_EXE_FILE);
    let inode = by.pointer(file, &FILE_INODE);
    let device = by.value(by.pointer(inode, &INODE_SB), &SB_DEV);
    // Two halves: before Linux 6.3 it is an array of them.
    let capabilities = at(cred, &CRED_CAP_EFFECTIVE);
    let low: u32 = by.value_at(capabilities);
    let high: u32 = by.value_at(capabilities.wrapping_add(4));
    let cgroup_id = if has(&TASK_CGROUPS) && has(&KERNFS_ID) {
        cgroup_id(known)
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
    let ns_tid = number(by, known.places.pid);
    let (tgid, tid): (u32, u32) = (load(task, &TASK_TGID), load(task, &TASK_PID));
    let ns_tgid = if tgid == tid {
        ns_tid
    } else {
        let leader = copy_pointer(task, &TASK_GROUP_LEADER);
        let pid = copy_pointer(leader, &TASK_THREAD_PID);
        number(By::Copy, pid)
    };
    // PFA_NO_NEW_PRIVS of linux/sched.h.
    let no_new_privs = load::<u64>(task, &TASK_ATOMIC_FLAGS) & 1 == 1;
    let comm = at(task, &TASK_COMM);
    let comm: [u64; 2] = [load_at(comm), load_at(comm.wrapping_add(8))];
    // SAFETY: the caller's; comm is 16 bytes, at a multiple of 8.
    unsafe {
        (&raw mut (*out).start_ns).write(load(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(By::Type, task));
        (&raw mut (*out).cgroup_id).write(cgroup_id);
        (&raw mut (*out).exe_inode).write(by.value(inode, &INODE_INO));
        (&raw mut (*out).capabilities).write(u64::from(high) << 32 | u64::from(low));
        (&raw mut (*out).tgid).write(tgid);
        (&raw mut (*out).tid).write(tid);
        (&raw mut (*out).ns_tgid).write(ns_tgid);
        (&raw mut (*out).ns_tid).write(ns_tid);
        (&raw mut (*out).uid).write(by.value(cred, &CRED_UID));
        (&raw mut (*out).gid).write(by.value(cred, &CRED_GID));
        (&raw mut (*out).euid).write(by.value(cred, &CRED_EUID));
        (&raw mut (*out).egid).write(by.value(cred, &CRED_EGID));
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
pub(crate) unsafe fn read_kin(by: By, task: Object, out: *mut Kin) {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).start_ns).write(by.value(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(by, task));
        (&raw mut (*out).tgid).write(by.value(task, &TASK_TGID));
        (&raw mut (*out).tid).write(by.value(task, &TASK_PID));
    }
}
