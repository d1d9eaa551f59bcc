//! The records, each of one length.

use crate::field::{Field as _, Reserved, record};
use crate::parts::{Call, Header, NamespaceSet, Task, TaskId, Text, UserNamespace};

record! {
    /// A call that changes namespaces has ended, or has made a task.
    pub struct Namespace {
        pub header: Header,
        /// The caller.
        pub actor: Task,
        pub parent: TaskId,
        /// The task that was made, else [`TaskId::NONE`].
        pub child: TaskId,
        pub call: Call,
        /// The caller's namespaces when the call began; those of a task that makes
        /// another.
        pub before: NamespaceSet,
        /// The caller's namespaces when the call ended; those of the task that was
        /// made.
        pub after: NamespaceSet,
        /// Of the user namespace in `after`.
        pub user: UserNamespace,
    }
}

/// As much of the path as a record has.
pub const PATH_BYTES: usize = 256;
/// As much of the arguments as a record has.
pub const ARGUMENT_BYTES: usize = 512;

record! {
    /// A task was made, and has not run yet.
    pub struct Fork {
        pub header: Header,
        /// The task that made it.
        pub actor: Task,
        pub child: TaskId,
        /// The namespaces of the task that was made.
        pub namespaces: NamespaceSet,
    }
}

record! {
    /// A process executes another program from now on.
    pub struct Exec {
        pub header: Header,
        /// As it is after execve(2).
        pub actor: Task,
        pub parent: TaskId,
        pub namespaces: NamespaceSet,
        /// The thread that called execve(2); from now on it has its leader's pid.
        pub old_tid: u32,
        /// As the caller named it: relative, through links, of its own root.
        pub path: Text<PATH_BYTES>,
        /// Each ends with a zero. The process can change them from now on.
        pub arguments: Text<ARGUMENT_BYTES>,
        pub reserved: Reserved<4>,
    }
}

record! {
    /// A thread ends.
    pub struct Exit {
        pub header: Header,
        pub actor: Task,
        /// The namespaces that it ends with.
        pub namespaces: NamespaceSet,
        /// As wait(2) has it: a status in the second byte, or a signal in the first.
        pub status: i32,
        /// Threads of the process that have not ended: 0 when the process ends.
        pub live: u32,
    }
}

record! {
    /// A task that was there before the probes were.
    pub struct Snapshot {
        pub header: Header,
        pub task: Task,
        pub parent: TaskId,
        pub namespaces: NamespaceSet,
    }
}

/// The longest record, in bytes.
pub const LONGEST: usize = Exec::SIZE;
