//! The records, each of one length.

use crate::field::{Field as _, Reserved, record};
use crate::parts::{Call, Header, NamespaceSet, Task, TaskId, Text, UserNamespace};

record! {
    /// A call that changes namespaces has ended, or has created a task.
    pub struct Namespace {
        pub header: Header,
        /// The caller.
        pub actor: Task,
        pub parent: TaskId,
        /// The created task, or [`TaskId::NONE`].
        pub child: TaskId,
        pub call: Call,
        /// The caller's namespaces at the beginning of the call; for a created task, those
        /// of its parent.
        pub before: NamespaceSet,
        /// The caller's namespaces at the end of the call, or those of the created task.
        pub after: NamespaceSet,
        /// The properties of the user namespace in `after`.
        pub user: UserNamespace,
    }
}

/// The part of the path that fits into a record.
pub const PATH_BYTES: usize = 256;
/// The part of the arguments that fits into a record.
pub const ARGUMENT_BYTES: usize = 512;

record! {
    /// A task was created, and has not run yet.
    pub struct Fork {
        pub header: Header,
        /// The task that created it.
        pub actor: Task,
        pub child: TaskId,
        /// The namespaces of the created task.
        pub namespaces: NamespaceSet,
    }
}

record! {
    /// A process starts to execute another program.
    pub struct Exec {
        pub header: Header,
        /// Its state after execve(2).
        pub actor: Task,
        pub parent: TaskId,
        pub namespaces: NamespaceSet,
        /// The thread that called execve(2); it now has its leader's pid.
        pub old_tid: u32,
        /// The path as passed by the caller: it may be relative, contain symbolic links,
        /// and refer to the caller's root.
        pub path: Text<PATH_BYTES>,
        /// Each argument ends with a zero. The process can change them later.
        pub arguments: Text<ARGUMENT_BYTES>,
        pub reserved: Reserved<4>,
    }
}

record! {
    /// A thread ends.
    pub struct Exit {
        pub header: Header,
        pub actor: Task,
        /// The namespaces of the thread at its end.
        pub namespaces: NamespaceSet,
        /// The status as wait(2) reports it: a status in the second byte, or a signal in
        /// the first.
        pub status: i32,
        /// The number of remaining threads of the process; 0: the process ends.
        pub live: u32,
    }
}

record! {
    /// A task that existed before the probes were attached.
    pub struct Snapshot {
        pub header: Header,
        pub task: Task,
        pub parent: TaskId,
        pub namespaces: NamespaceSet,
    }
}

/// The longest record, in bytes.
pub const LONGEST: usize = Exec::SIZE;
