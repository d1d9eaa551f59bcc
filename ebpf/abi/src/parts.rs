//! The parts of records. Unless noted, pids are in the initial pid namespace, and user and
//! group ids in the initial user namespace. Times are in nanoseconds of CLOCK_BOOTTIME. A
//! field that the kernel lacks is zero.

use crate::code::{Abi, EventFlags, Hook, Kind, Slot, Source, Syscall};
use crate::field::{Bool, Fault, Field, Reader, Reason, Reserved, Writer, record};

/// The version of the layout that this crate describes. Every change of a record increases
/// it.
pub const VERSION: u16 = 2;

/// The version of the layout, in every record.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u16);

impl Version {
    /// The only version that can be read.
    pub const THIS: Self = Self(VERSION);
}

impl Field for Version {
    const SIZE: usize = 2;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match u16::read(reader)? {
            VERSION => Ok(Self::THIS),
            _ => Err(reader.fault(2, Reason::Version)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}

record! {
    /// The beginning of every record.
    pub struct Header {
        /// [`VERSION`]
        pub version: Version,
        /// The kind of the record.
        pub kind: Kind,
        /// The BPF program that wrote it.
        pub hook: Hook,
        /// The length of the whole record, in bytes.
        pub length: u32,
        /// The processor on which it was written.
        pub cpu: u32,
        pub reserved: Reserved<4>,
        /// Counts this processor's events for this ring from 0, whether written or not: a
        /// missing number is a missing event. If a task is preempted while it writes, its
        /// record may come after the next one. Always 0 in a snapshot.
        pub sequence: u64,
        /// The number of this processor's events that did not fit into this ring so far.
        pub lost: u64,
        /// The time at which the program ran.
        pub boot_ns: u64,
    }
}

record! {
    /// A task, completely.
    pub struct Task {
        /// The start time of the thread.
        pub start_ns: u64,
        /// The start time of the process: together with `tgid` it identifies the process
        /// within one boot.
        pub leader_start_ns: u64,
        /// The inode of its cgroup's directory, which is never reused; 1: the root. The
        /// cgroup is of version 2, unless the loader selected a controller of version 1.
        pub cgroup_id: u64,
        /// The inode of the executable; 0 for a kernel thread and after exit.
        pub exe_inode: u64,
        /// The effective capabilities, as bits.
        pub capabilities: u64,
        pub tgid: u32,
        pub tid: u32,
        /// The pid in the task's own pid namespace.
        pub ns_tgid: u32,
        pub ns_tid: u32,
        pub uid: u32,
        pub gid: u32,
        pub euid: u32,
        pub egid: u32,
        /// The login uid, [`UNSET`] if there is none.
        pub login_uid: u32,
        /// The audit session, [`UNSET`] if there is none.
        pub session: u32,
        /// The device of the executable, in the kernel's format: 20 bits for the minor
        /// number, and the major above.
        pub exe_device: u32,
        /// 0 off, 1 strict, 2 filters.
        pub seccomp: u8,
        pub no_new_privs: Bool,
        pub reserved: Reserved<2>,
        /// The process chooses it; ends at the first zero.
        pub comm: [u8; 16],
    }
}

impl Task {
    /// All fields are zero.
    pub const ZERO: Self = Self {
        start_ns: 0,
        leader_start_ns: 0,
        cgroup_id: 0,
        exe_inode: 0,
        capabilities: 0,
        tgid: 0,
        tid: 0,
        ns_tgid: 0,
        ns_tid: 0,
        uid: 0,
        gid: 0,
        euid: 0,
        egid: 0,
        login_uid: 0,
        session: 0,
        exe_device: 0,
        seccomp: 0,
        no_new_privs: Bool::NO,
        reserved: Reserved::ZERO,
        comm: [0; 16],
    };
}

/// No user logged in, or there is no session: the kernel's AUDIT_UID_UNSET.
pub const UNSET: u32 = u32::MAX;

record! {
    /// The identity of a task: a parent or a child.
    pub struct TaskId {
        pub start_ns: u64,
        pub leader_start_ns: u64,
        pub tgid: u32,
        pub tid: u32,
    }
}

impl TaskId {
    /// No task.
    pub const NONE: Self = Self {
        start_ns: 0,
        leader_start_ns: 0,
        tgid: 0,
        tid: 0,
    };
}

/// The number of namespaces of a task, including those for its children.
pub const SLOTS: usize = 10;

/// The names of all [`Slot`]s, in their order.
pub const SLOT_NAMES: [&str; SLOTS] = {
    let mut names = [""; SLOTS];
    let mut at = 0;
    while at < SLOTS {
        assert!(Slot::ALL[at].index() == at);
        names[at] = Slot::ALL[at].name();
        at += 1;
    }
    names
};

record! {
    /// The namespaces of a task, in the order of [`Slot`].
    pub struct NamespaceSet {
        /// The id of ioctl NS_GET_ID, unique within one boot. 0: the kernel has none
        /// (before Linux 6.18).
        pub id: [u64; SLOTS],
        /// The inode number of /proc/PID/ns/NAME, which the kernel reuses at once. 0: the
        /// task has no such namespace any more.
        pub inum: [u32; SLOTS],
    }
}

impl NamespaceSet {
    /// Unknown.
    pub const NONE: Self = Self {
        id: [0; SLOTS],
        inum: [0; SLOTS],
    };

    /// The inode number and the id of a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> (u32, u64) {
        let at = slot.index();
        let (inum, id) = (self.inum.get(at), self.id.get(at));
        (
            inum.copied().unwrap_or_default(),
            id.copied().unwrap_or_default(),
        )
    }

    /// The same set with another namespace in this slot.
    #[must_use]
    pub fn with(mut self, slot: Slot, (inum, id): (u32, u64)) -> Self {
        let at = slot.index();
        if let (Some(inum_at), Some(id_at)) = (self.inum.get_mut(at), self.id.get_mut(at)) {
            (*inum_at, *id_at) = (inum, id);
        }
        self
    }
}

record! {
    /// Other properties of a user namespace.
    pub struct UserNamespace {
        /// The ns_id of the namespace in which it was created; 0: there is none.
        pub parent_id: u64,
        pub parent_inum: u32,
        /// The user that created it.
        pub owner: u32,
        /// The number of its ancestors.
        pub level: u32,
        pub reserved: Reserved<4>,
    }
}

record! {
    /// The descriptor of setns(2) at the beginning of the call. Another thread may have
    /// replaced it before the kernel used it: after a successful call, the namespaces after
    /// the call are authoritative.
    pub struct Target {
        /// The ns_id, if the kernel has one.
        pub id: u64,
        /// The inode of a namespace, or of a pidfd.
        pub inum: u32,
        /// For a pidfd: the process.
        pub pid: u32,
        /// For a namespace: its CLONE_NEW* flag.
        pub flag: u32,
        pub source: Source,
        pub reserved: Reserved<3>,
    }
}

impl Target {
    /// No descriptor.
    pub const NONE: Self = Self {
        id: 0,
        inum: 0,
        pid: 0,
        flag: 0,
        source: Source::None,
        reserved: Reserved::ZERO,
    };
}

record! {
    /// A system call that changes namespaces: its arguments and its result.
    pub struct Call {
        /// setns(2): nstype. Other calls: the CLONE_* flags as given; for a created task,
        /// the flags that the kernel used.
        pub flags: u64,
        /// The result: at least 0, or -errno. For a created task: its pid.
        pub ret: i64,
        pub target: Target,
        /// setns(2): the descriptor. Other calls: -1.
        pub fd: i32,
        pub notes: EventFlags,
        pub syscall: Syscall,
        pub abi: Abi,
        pub reserved: Reserved<6>,
    }
}

/// Text of a process, cut to the size of the field.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const N: usize> {
    /// The number of valid bytes in `bytes`.
    pub length: u16,
    /// There were more, or they could not be read.
    pub cut: Bool,
    pub reserved: Reserved<1>,
    /// Bytes after `length` are undefined, and are read as zero.
    pub bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    const FITS: () = assert!(size_of::<Self>() == 4 + N && N < 1 << 16);

    /// The text.
    #[must_use]
    pub fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl<const N: usize> Field for Text<N> {
    const SIZE: usize = {
        let () = Self::FITS;
        4 + N
    };

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let length = u16::read(reader)?;
        if usize::from(length) > N {
            return Err(reader.fault(2, Reason::Text));
        }
        let cut = Bool::read(reader)?;
        let reserved = Reserved::read(reader)?;
        let mut bytes = <[u8; N]>::read(reader)?;
        bytes
            .get_mut(usize::from(length)..)
            .unwrap_or_default()
            .fill(0);
        Ok(Self {
            length,
            cut,
            reserved,
            bytes,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        self.length.write(writer);
        self.cut.write(writer);
        self.reserved.write(writer);
        self.bytes.write(writer);
    }
}
