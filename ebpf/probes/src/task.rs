//! Who a task is.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use nsexec_audit_abi::code::Abi;
use nsexec_audit_abi::field::{Bool, Reserved};
use nsexec_audit_abi::parts::{Kin, Task, UNSET};

use crate::kernel::{Object, at, copy, copy_pointer, has, load, load_at};
use crate::namespaces::{innermost, innermost_copied};
use crate::offsets::*;

/// The task that runs.
#[inline(always)]
pub(crate) fn current() -> Object {
    // SAFETY: it takes nothing.
    unsafe { bpf_get_current_task_btf() as Object }
}

/// What a task points to that its namespaces are read from. Each of these pointers
/// is loaded once, before anything is decided: for every load of one, on every path
/// to it, the verifier of Linux 6.18 goes over all types of the kernel four times.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) cred: Object,
    pub(crate) nsproxy: Object,
    pub(crate) pid: Object,
}

impl Places {
    #[inline(always)]
    pub(crate) fn of(task: Object) -> Self {
        Self {
            cred: load(task, &TASK_CRED),
            nsproxy: load(task, &TASK_NSPROXY),
            pid: load(task, &TASK_THREAD_PID),
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
    pub(crate) fn of(task: Object) -> Self {
        Self {
            task,
            places: Places::of(task),
            memory: load(task, &TASK_MM),
        }
    }
}

/// When the process of a task was made. What is reached through other pointers is
/// copied: that is slower here, and much quicker to verify.
#[inline(always)]
fn leader_start(task: Object) -> u64 {
    if load::<u32>(task, &TASK_PID) == load(task, &TASK_TGID) {
        load(task, &TASK_START_BOOTTIME)
    } else {
        copy(at(
            copy_pointer(task, &TASK_GROUP_LEADER),
            &TASK_START_BOOTTIME,
        ))
    }
}

/// A parent.
#[inline(always)]
pub(crate) fn parent(task: Object) -> Object {
    load(task, &TASK_REAL_PARENT)
}

/// The key by which the end of a call finds its beginning.
#[inline(always)]
pub(crate) fn tid(task: Object) -> u32 {
    load(task, &TASK_PID)
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

/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read(known: &Known, out: *mut Task) {
    let task = known.task;
    let cred = known.places.cred;
    let file: Object = load(known.memory, &MM_EXE_FILE);
    let inode: Object = load(file, &FILE_INODE);
    // Two halves: before Linux 6.3 it is an array of them.
    let capabilities = at(cred, &CRED_CAP_EFFECTIVE);
    let low: u32 = load_at(capabilities);
    let high: u32 = load_at(capabilities.wrapping_add(4));
    let cgroup_id = if has(&TASK_CGROUPS) && has(&KERNFS_ID) {
        let set = copy_pointer(task, &TASK_CGROUPS);
        let cgroup = if has(&CSS_SET_STATE) {
            copy_pointer(copy_pointer(set, &CSS_SET_STATE), &CSS_CGROUP)
        } else {
            copy_pointer(set, &CSS_SET_DFL_CGRP)
        };
        copy(at(copy_pointer(cgroup, &CGROUP_KN), &KERNFS_ID))
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
    let ns_tid = copy(at(innermost(known.places.pid), &UPID_NR));
    let (tgid, tid): (u32, u32) = (load(task, &TASK_TGID), load(task, &TASK_PID));
    let ns_tgid = if tgid == tid {
        ns_tid
    } else {
        let leader = copy_pointer(task, &TASK_GROUP_LEADER);
        let pid = copy_pointer(leader, &TASK_THREAD_PID);
        copy(at(innermost_copied(pid), &UPID_NR))
    };
    // PFA_NO_NEW_PRIVS of linux/sched.h.
    let no_new_privs = load::<u64>(task, &TASK_ATOMIC_FLAGS) & 1 == 1;
    let comm = at(task, &TASK_COMM);
    let comm: [u64; 2] = [load_at(comm), load_at(comm.wrapping_add(8))];
    // SAFETY: the caller's; comm is 16 bytes, at a multiple of 8.
    unsafe {
        (&raw mut (*out).start_ns).write(load(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(task));
        (&raw mut (*out).cgroup_id).write(cgroup_id);
        (&raw mut (*out).exe_inode).write(load(inode, &INODE_INO));
        (&raw mut (*out).capabilities).write(u64::from(high) << 32 | u64::from(low));
        (&raw mut (*out).tgid).write(tgid);
        (&raw mut (*out).tid).write(tid);
        (&raw mut (*out).ns_tgid).write(ns_tgid);
        (&raw mut (*out).ns_tid).write(ns_tid);
        (&raw mut (*out).uid).write(load(cred, &CRED_UID));
        (&raw mut (*out).gid).write(load(cred, &CRED_GID));
        (&raw mut (*out).euid).write(load(cred, &CRED_EUID));
        (&raw mut (*out).egid).write(load(cred, &CRED_EGID));
        (&raw mut (*out).login_uid).write(login_uid);
        (&raw mut (*out).session).write(session);
        (&raw mut (*out).exe_device).write(load(load(inode, &INODE_SB), &SB_DEV));
        (&raw mut (*out).seccomp).write(seccomp);
        (&raw mut (*out).no_new_privs).write(Bool::new(no_new_privs));
        (&raw mut (*out).reserved).write(Reserved::ZERO);
        (&raw mut (*out).comm).cast::<[u64; 2]>().write(comm);
    }
}

/// # Safety
/// `out` can be written.
#[inline(always)]
pub(crate) unsafe fn read_kin(task: Object, out: *mut Kin) {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*out).start_ns).write(load(task, &TASK_START_BOOTTIME));
        (&raw mut (*out).leader_start_ns).write(leader_start(task));
        (&raw mut (*out).tgid).write(load(task, &TASK_TGID));
        (&raw mut (*out).tid).write(load(task, &TASK_PID));
    }
}
