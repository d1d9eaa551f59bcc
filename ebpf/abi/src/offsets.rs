//! The offsets of the kernel fields that the probes read. The loader finds each in the
//! kernel's BTF and sets a global of the probes. The BPF verifier then knows it as a
//! constant and checks it against the kernel's types: it refuses an offset that is not that
//! of a whole member, and a pointer to another type. It can neither distinguish members of
//! the same size and kind, nor check fields reached through an array or a void pointer.

/// One field in the kernel's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The global of the probes for the offset.
    pub global: &'static str,
    /// The structure that contains it.
    pub structure: &'static str,
    /// The member, or a path of members. Empty: the size of the structure.
    pub path: &'static str,
    /// The field is optional: without it the global is [`ABSENT`].
    pub optional: bool,
}

/// This kernel has no such member.
pub const ABSENT: u32 = u32::MAX;

/// The word that contains the table of system calls by which a task entered the kernel.
#[cfg(not(target_arch = "aarch64"))]
const ENTRY: &str = "thread_info.status";
#[cfg(target_arch = "aarch64")]
const ENTRY: &str = "thread_info.flags";

/// The global with the bit of that word that means [`Compat`](crate::code::Abi::Compat).
pub const COMPAT_MASK: &str = "COMPAT_MASK";
/// TS_COMPAT of arch/x86, TIF_32BIT of arch/arm64.
pub const COMPAT_MASK_VALUE: u32 = if cfg!(target_arch = "aarch64") {
    1 << 22
} else {
    1 << 1
};

/// The global with the position of the version-1 cgroup that identifies containers in a
/// `css_set`, as an offset to the pointer in `subsys`; [`ABSENT`]: the cgroup of version 2
/// is used.
pub const CSS_SET_STATE: &str = "CSS_SET_STATE";

/// Calls the given macro with the names of all globals, in order.
#[macro_export]
macro_rules! for_each_offset {
    ($then:ident) => {
        $then! {
            TASK_ENTRY: "task_struct" ENTRY, required;
            TASK_TGID: "task_struct" "tgid", required;
            TASK_PID: "task_struct" "pid", required;
            TASK_NSPROXY: "task_struct" "nsproxy", required;
            TASK_CRED: "task_struct" "cred", required;
            TASK_MM: "task_struct" "mm", required;
            TASK_CFS_RQ: "task_struct" "se.cfs_rq", optional;
            CFS_RQ_RQ: "cfs_rq" "rq", optional;
            RQ_CURR: "rq" "curr", optional;
            TASK_FILES: "task_struct" "files", required;
            TASK_REAL_PARENT: "task_struct" "real_parent", required;
            TASK_GROUP_LEADER: "task_struct" "group_leader", required;
            TASK_THREAD_PID: "task_struct" "thread_pid", required;
            TASK_START_BOOTTIME: "task_struct" "start_boottime", required;
            TASK_COMM: "task_struct" "comm", required;
            TASK_ATOMIC_FLAGS: "task_struct" "atomic_flags", required;
            TASK_SECCOMP_MODE: "task_struct" "seccomp.mode", optional;
            TASK_LOGINUID: "task_struct" "loginuid.val", optional;
            TASK_SESSIONID: "task_struct" "sessionid", optional;
            TASK_CGROUPS: "task_struct" "cgroups", optional;
            TASK_SIGNAL: "task_struct" "signal", required;
            TASK_EXIT_CODE: "task_struct" "exit_code", required;
            SIGNAL_LIVE: "signal_struct" "live.counter", required;
            NSPROXY_UTS_NS: "nsproxy" "uts_ns", required;
            NSPROXY_IPC_NS: "nsproxy" "ipc_ns", required;
            NSPROXY_MNT_NS: "nsproxy" "mnt_ns", required;
            NSPROXY_PID_NS_FOR_CHILDREN: "nsproxy" "pid_ns_for_children", required;
            NSPROXY_NET_NS: "nsproxy" "net_ns", required;
            NSPROXY_TIME_NS: "nsproxy" "time_ns", required;
            NSPROXY_TIME_NS_FOR_CHILDREN: "nsproxy" "time_ns_for_children", required;
            NSPROXY_CGROUP_NS: "nsproxy" "cgroup_ns", required;
            UTS_NS: "uts_namespace" "ns", required;
            IPC_NS: "ipc_namespace" "ns", required;
            MNT_NS: "mnt_namespace" "ns", required;
            PID_NS: "pid_namespace" "ns", required;
            NET_NS: "net" "ns", required;
            TIME_NS: "time_namespace" "ns", required;
            CGROUP_NS: "cgroup_namespace" "ns", required;
            USER_NS: "user_namespace" "ns", required;
            USER_NS_PARENT: "user_namespace" "parent", required;
            USER_NS_OWNER: "user_namespace" "owner.val", required;
            USER_NS_LEVEL: "user_namespace" "level", required;
            NS_INUM: "ns_common" "inum", required;
            NS_ID: "ns_common" "ns_id", optional;
            NS_TYPE: "ns_common" "ns_type", optional;
            NS_OPS: "ns_common" "ops", required;
            NS_OPS_TYPE: "proc_ns_operations" "type", optional;
            CRED_UID: "cred" "uid.val", required;
            CRED_GID: "cred" "gid.val", required;
            CRED_EUID: "cred" "euid.val", required;
            CRED_EGID: "cred" "egid.val", required;
            CRED_CAP_EFFECTIVE: "cred" "cap_effective", required;
            CRED_USER_NS: "cred" "user_ns", required;
            PID_LEVEL: "pid" "level", required;
            PID_NUMBERS: "pid" "numbers", required;
            UPID_NR: "upid" "nr", required;
            UPID_NS: "upid" "ns", required;
            UPID_SIZE: "upid" "", required;
            MM_EXE_FILE: "mm_struct" "exe_file", required;
            MM_ARG_START: "mm_struct" "arg_start", required;
            MM_ARG_END: "mm_struct" "arg_end", required;
            FILE_INODE: "file" "f_inode", required;
            INODE_INO: "inode" "i_ino", required;
            INODE_SB: "inode" "i_sb", required;
            INODE_PRIVATE: "inode" "i_private", required;
            SB_DEV: "super_block" "s_dev", required;
            SB_MAGIC: "super_block" "s_magic", required;
            FILES_FDT: "files_struct" "fdt", required;
            FDTABLE_FD: "fdtable" "fd", required;
            FDTABLE_MAX_FDS: "fdtable" "max_fds", required;
            CSS_SET_DFL_CGRP: "css_set" "dfl_cgrp", optional;
            CSS_CGROUP: "cgroup_subsys_state" "cgroup", optional;
            CGROUP_KN: "cgroup" "kn", optional;
            KERNFS_ID: "kernfs_node" "id", optional;
            BPRM_FILENAME: "linux_binprm" "filename", required;
            REGS_BX: "pt_regs" "bx", optional;
            REGS_CX: "pt_regs" "cx", optional;
            REGS_DI: "pt_regs" "di", optional;
            REGS_SI: "pt_regs" "si", optional;
        }
    };
}

macro_rules! list {
    ($($global:ident: $structure:literal $path:expr, $need:ident;)+) => {
        /// Every offset that the probes use.
        pub const ALL: &[Offset] = &[$(Offset {
            global: stringify!($global),
            structure: $structure,
            path: $path,
            optional: list!($need),
        }),+];
    };
    (required) => { false };
    (optional) => { true };
}

for_each_offset!(list);
