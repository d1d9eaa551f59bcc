//! The parts of records. Pids are those of the initial pid namespace, user and group ids
//! those of the initial user namespace, unless noted; times are nanoseconds of
//! CLOCK_BOOTTIME. A field that the kernel does not have is zero.

use crate::code::{Abi, EventFlags, Hook, Kind, Slot, Source, Syscall};
use crate::field::{Bool, Fault, Field, Reader, Reason, Reserved, Writer, record};

/// The layout that this crate describes. It changes whenever a record does.
pub const VERSION: u16 = 2;

/// The version of the layout, in every record.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u16);

impl Version {
    /// The only one that can be read.
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
    /// How every record begins.
    pub struct Header {
        /// [`VERSION`]
        pub version: Version,
        /// The kind of the record.
        pub kind: Kind,
        /// The program that wrote it.
        pub hook: Hook,
        /// Of the whole record, in bytes.
        pub length: u32,
        /// The processor that it was written on.
        pub cpu: u32,
        pub reserved: Reserved<4>,
        /// Counts, from 0, what this processor had for this ring, written or not:
        /// a number that is missing is an event that is missing. A task that was
        /// preempted while it wrote may have its record after the next one.
        /// Always 0 in a snapshot.
        pub sequence: u64,
        /// How many events of this processor did not fit into this ring until now.
        pub lost: u64,
        /// When the program ran.
        pub boot_ns: u64,
    }
}

record! {
    /// A task, in full.
    pub struct Task {
        /// When the thread was made.
        pub start_ns: u64,
        /// When its process was made: together with `tgid`, and within one boot,
        /// that names the process for good.
        pub leader_start_ns: u64,
        /// The inode of its cgroup's directory, never given again; 1: the root. Of
        /// version 2, unless the loader chose a controller of version 1: then of that.
        pub cgroup_id: u64,
        /// The inode of the executable; 0 for a kernel thread and after exit.
        pub exe_inode: u64,
        /// CAP_* that are in effect, a bit each.
        pub capabilities: u64,
        pub tgid: u32,
        pub tid: u32,
        /// As the task's own pid namespace has them.
        pub ns_tgid: u32,
        pub ns_tid: u32,
        pub uid: u32,
        pub gid: u32,
        pub euid: u32,
        pub egid: u32,
        /// The user that logged in, [`UNSET`] when none did.
        pub login_uid: u32,
        /// The audit session, [`UNSET`] when there is none.
        pub session: u32,
        /// The device of the executable, as the kernel has it: the minor in 20 bits,
        /// the major above.
        pub exe_device: u32,
        /// 0 off, 1 strict, 2 filters.
        pub seccomp: u8,
        pub no_new_privs: Bool,
        pub reserved: Reserved<2>,
        /// Its own to choose; ends at the first zero.
        pub comm: [u8; 16],
    }
}

impl Task {
    /// Zero in every field.
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
    /// The identity of a task: a parent, a child.
    pub struct TaskId {
        pub start_ns: u64,
        pub leader_start_ns: u64,
        pub tgid: u32,
        pub tid: u32,
    }
}

impl TaskId {
    /// There is none.
    pub const NONE: Self = Self {
        start_ns: 0,
        leader_start_ns: 0,
        tgid: 0,
        tid: 0,
    };
}

/// How many namespaces a task is in, or will put its children in.
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
        /// The id of ioctl NS_GET_ID, unique within one boot. 0 where
        /// the kernel has none (before Linux 6.18).
        pub id: [u64; SLOTS],
        /// The inode of /proc/PID/ns/NAME, which is used again at once. 0 when the
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
        /// The ns_id of the one that it was made in; 0 when there is none.
        pub parent_id: u64,
        pub parent_inum: u32,
        /// The user who made it.
        pub owner: u32,
        /// How many there are above it.
        pub level: u32,
        pub reserved: Reserved<4>,
    }
}

record! {
    /// The descriptor of setns(2) when the call began. Another thread may have put
    /// another file in its place before the kernel took it: when the call has
    /// succeeded, what is so is in the namespaces after it.
    pub struct Target {
        /// The ns_id, where the kernel has one.
        pub id: u64,
        /// The inode of a namespace, or of a pidfd.
        pub inum: u32,
        /// Of a pidfd: the process.
        pub pid: u32,
        /// Of a namespace: its CLONE_NEW* flag.
        pub flag: u32,
        pub source: Source,
        pub reserved: Reserved<3>,
    }
}

impl Target {
    /// There is none.
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
    /// A system call that changes namespaces: what was asked, what came of it.
    pub struct Call {
        /// setns(2): nstype. Else: CLONE_* as given; for a task that was made, as the
        /// kernel took them.
        pub flags: u64,
        /// The result: at least 0, or -errno. For a task that was made: its pid.
        pub ret: i64,
        pub target: Target,
        /// setns(2): the descriptor. Else -1.
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
    /// How many of `bytes` there are.
    pub length: u16,
    /// There were more, or they could not be read.
    pub cut: Bool,
    pub reserved: Reserved<1>,
    /// Those after `length` mean nothing, and are read as zero.
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
