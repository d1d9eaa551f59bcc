//! Codes of one byte. Zero means that something is absent, so that unwritten memory is not
//! taken for an event.

use crate::field::{Fault, Field, Reader, Reason, Writer};

/// Defines an enumeration of one byte. Other values are errors.
macro_rules! codes {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$what:meta])* $variant:ident = $code:literal => $text:literal,)+
    }) => {
        $(#[$about])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* $variant = $code,)+
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number.
            #[inline(always)]
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The name that is printed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl Field for $name {
            const SIZE: usize = 1;

            fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
                match u8::read(reader)? {
                    $($code => Ok(Self::$variant),)+
                    _ => Err(reader.fault(1, Reason::Code)),
                }
            }

            fn write(&self, writer: &mut Writer<'_>) {
                self.code().write(writer);
            }
        }
    };
}

codes! {
    /// The kind of a record, which determines its length.
    pub enum Kind {
        /// [`Namespace`](crate::record::Namespace)
        Namespace = 1 => "namespace",
        /// [`Fork`](crate::record::Fork)
        Fork = 2 => "fork",
        /// [`Exec`](crate::record::Exec)
        Exec = 3 => "exec",
        /// [`Exit`](crate::record::Exit)
        Exit = 4 => "exit",
        /// [`Snapshot`](crate::record::Snapshot)
        Snapshot = 5 => "snapshot",
    }
}

codes! {
    /// A BPF program of the probes. Its number minus one is its index in the map of
    /// [`Counters`](crate::counters::Counters).
    pub enum Hook {
        /// tracepoint syscalls:sys_enter_setns
        SetnsEnter = 1 => "sys_enter_setns",
        /// tracepoint syscalls:sys_exit_setns
        SetnsExit = 2 => "sys_exit_setns",
        /// tracepoint syscalls:sys_enter_unshare
        UnshareEnter = 3 => "sys_enter_unshare",
        /// tracepoint syscalls:sys_exit_unshare
        UnshareExit = 4 => "sys_exit_unshare",
        /// tracepoint syscalls:sys_enter_clone
        CloneEnter = 5 => "sys_enter_clone",
        /// tracepoint syscalls:sys_exit_clone
        CloneExit = 6 => "sys_exit_clone",
        /// tracepoint syscalls:sys_enter_clone3
        Clone3Enter = 7 => "sys_enter_clone3",
        /// tracepoint syscalls:sys_exit_clone3
        Clone3Exit = 8 => "sys_exit_clone3",
        /// tp_btf/task_newtask, for a task with namespaces of its own
        TaskNewtask = 9 => "task_newtask",
        /// tp_btf/task_newtask, for any task
        Fork = 10 => "task_newtask_any",
        /// tp_btf/sched_process_exec
        SchedProcessExec = 11 => "sched_process_exec",
        /// tp_btf/sched_process_exit
        SchedProcessExit = 12 => "sched_process_exit",
        /// iter/task
        IterTask = 13 => "iter_task",
    }
}

impl Hook {
    /// How many there are.
    pub const COUNT: u32 = 13;

    /// The kind of record that the hook writes; `None` for hooks that only store the
    /// beginning of a call.
    #[must_use]
    pub const fn writes(self) -> Option<Kind> {
        match self {
            Self::SetnsEnter | Self::UnshareEnter | Self::CloneEnter | Self::Clone3Enter => None,
            Self::SetnsExit
            | Self::UnshareExit
            | Self::CloneExit
            | Self::Clone3Exit
            | Self::TaskNewtask => Some(Kind::Namespace),
            Self::Fork => Some(Kind::Fork),
            Self::SchedProcessExec => Some(Kind::Exec),
            Self::SchedProcessExit => Some(Kind::Exit),
            Self::IterTask => Some(Kind::Snapshot),
        }
    }
}

codes! {
    /// The system call of an event.
    pub enum Syscall {
        /// A task was created by a call of which no probe saw the beginning: fork(2),
        /// vfork(2), a call of the other ABI, or a call in progress when the probes were
        /// attached.
        Unseen = 0 => "unseen",
        /// setns(2)
        Setns = 1 => "setns",
        /// unshare(2)
        Unshare = 2 => "unshare",
        /// clone(2)
        Clone = 3 => "clone",
        /// clone3(2)
        Clone3 = 4 => "clone3",
    }
}

codes! {
    /// The table of system calls through which the kernel was entered.
    pub enum Abi {
        /// The machine's own.
        Native = 1 => "native",
        /// The 32-bit one: i386 on x86_64, arm on aarch64.
        Compat = 2 => "compat",
    }
}

codes! {
    /// The kind of setns(2)'s descriptor at the beginning of the call.
    pub enum Source {
        /// The call takes no descriptor, or it was not inspected.
        None = 0 => "none",
        /// Not an open descriptor.
        Closed = 1 => "closed",
        /// A namespace: /proc/PID/ns/NAME, or a mount of one.
        Nsfs = 2 => "nsfs",
        /// A pidfd. Recognised from Linux 6.9 on; before, it is `Other`.
        Pidfd = 3 => "pidfd",
        /// Another file.
        Other = 4 => "other",
    }
}

codes! {
    /// An index in a [`NamespaceSet`](crate::parts::NamespaceSet): a namespace of a task,
    /// or of its future children. The names are those of /proc/PID/ns.
    pub enum Slot {
        /// cgroup_namespaces(7)
        Cgroup = 0 => "cgroup",
        /// ipc_namespaces(7)
        Ipc = 1 => "ipc",
        /// mount_namespaces(7)
        Mnt = 2 => "mnt",
        /// network_namespaces(7)
        Net = 3 => "net",
        /// pid_namespaces(7)
        Pid = 4 => "pid",
        /// The pid namespace of the task's children.
        PidForChildren = 5 => "pid_for_children",
        /// time_namespaces(7)
        Time = 6 => "time",
        /// The time namespace of the task's children.
        TimeForChildren = 7 => "time_for_children",
        /// user_namespaces(7)
        User = 8 => "user",
        /// uts_namespaces(7)
        Uts = 9 => "uts",
    }
}

impl Slot {
    /// Its index in the arrays of a [`NamespaceSet`](crate::parts::NamespaceSet).
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Cgroup => 0,
            Self::Ipc => 1,
            Self::Mnt => 2,
            Self::Net => 3,
            Self::Pid => 4,
            Self::PidForChildren => 5,
            Self::Time => 6,
            Self::TimeForChildren => 7,
            Self::User => 8,
            Self::Uts => 9,
        }
    }
}

/// Remarks that qualify an event: a set of bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFlags(u32);

impl EventFlags {
    /// No remark.
    pub const NONE: Self = Self(0);
    /// The beginning of the call was not seen: its arguments and the namespaces before it
    /// are unknown, and zero.
    pub const BEGINNING_UNSEEN: Self = Self(1);
    /// The flags were read from memory that the caller can still change.
    pub const FLAGS_RACY: Self = Self(2);
    /// The flags could not be read, and are zero.
    pub const FLAGS_UNREAD: Self = Self(4);
    /// With their names.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::BEGINNING_UNSEEN, "beginning-unseen"),
        (Self::FLAGS_RACY, "flags-racy"),
        (Self::FLAGS_UNREAD, "flags-unread"),
    ];

    /// The bits of both.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Field for EventFlags {
    const SIZE: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match u32::read(reader)? {
            bits @ 0..=7 => Ok(Self(bits)),
            _ => Err(reader.fault(4, Reason::Bit)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}

/// The flags of clone(2), unshare(2) and setns(2) that name a namespace:
/// CLONE_NEW{TIME,NS,CGROUP,UTS,IPC,USER,PID,NET} of linux/sched.h.
pub const NAMESPACE_FLAGS: u64 = 0x7e02_0080;
