//! The calls of the helper's own processes, by name: build.rs makes filters of
//! them, under which all others fail with EPERM. A name that an architecture
//! lacks has a newer form that stands here too.

/// What waiting for the program takes: at most 20 calls.
pub(crate) const SUPERVISOR: &[&str] = &[
    "read",
    "pread64",
    "write",
    "close",
    "waitid",
    "ppoll",
    "pidfd_send_signal",
    // Of who sent a signal.
    "getpgid",
    // To stop, and to end by the program's signal.
    "getpid",
    "kill",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "prlimit64",
    "restart_syscall",
    "exit_group",
    // The allocator, for the status lines and for errors.
    "brk",
    "mmap",
    "munmap",
    "mremap",
];

/// What compiling a policy takes.
pub(crate) const POLICY_CHILD: &[&str] = &[
    "read",
    "write",
    "close",
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "rt_sigreturn",
    "restart_syscall",
    "exit_group",
];

/// What reading the state of the child in /proc takes.
pub(crate) const VERIFIER: &[&str] = &[
    "read",
    "write",
    "close",
    "openat",
    "newfstatat",
    "statx",
    "recvmsg",
    "sendmsg",
    "open_tree",
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "rt_sigreturn",
    "restart_syscall",
    "exit_group",
];

/// What explaining refusals takes.
pub(crate) const EXPLAINER: &[&str] = &[
    "read",
    "write",
    "close",
    "ppoll",
    "poll",
    // The listener.
    "ioctl",
    "pidfd_open",
    "pidfd_getfd",
    "getppid",
    // Audit records.
    "recvfrom",
    "sendto",
    "capget",
    "capset",
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "rt_sigreturn",
    "restart_syscall",
    "exit_group",
];
