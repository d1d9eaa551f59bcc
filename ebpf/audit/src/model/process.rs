//! Tasks and the programs that they execute.

use std::fmt;
use std::str::FromStr;

use nsexec_audit_abi::parts::{Task, TaskId, UNSET};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::Cgroup;
use super::names::as_text;

/// A thread, identified for good: its id and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId {
    pub tid: u32,
    pub start_ns: u64,
}

impl ThreadId {
    /// The task.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        Self {
            tid: task.tid,
            start_ns: task.start_ns,
        }
    }

    /// A parent or child of a record.
    #[must_use]
    pub fn from_id(id: &TaskId) -> Self {
        Self {
            tid: id.tid,
            start_ns: id.start_ns,
        }
    }
}

/// A process, identified for good within its boot: `exec_id` in JSON, `TGID.START`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    pub tgid: u32,
    /// When it started, in nanoseconds of CLOCK_BOOTTIME.
    pub start_ns: u64,
}

impl ProcessId {
    /// The process of the task.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        Self {
            tgid: task.tgid,
            start_ns: task.leader_start_ns,
        }
    }

    /// The process of a parent or child of a record.
    #[must_use]
    pub fn from_id(id: &TaskId) -> Self {
        Self {
            tgid: id.tgid,
            start_ns: id.leader_start_ns,
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.tgid, self.start_ns)
    }
}

impl FromStr for ProcessId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (tgid, start) = text.split_once('.').ok_or(())?;
        Ok(Self {
            tgid: number(tgid, 10)?,
            start_ns: number(start, 10)?,
        })
    }
}

/// A file: its device as the kernel has it, and its inode number; `MAJOR:MINOR:INODE` in
/// JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The minor number in 20 bits, the major above.
    pub device: u32,
    pub inode: u64,
}

impl FileId {
    /// The executable of the task; a kernel thread has none.
    #[must_use]
    pub fn of(task: &Task) -> Option<Self> {
        (task.exe_inode != 0).then_some(Self {
            device: task.exe_device,
            inode: task.exe_inode,
        })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, inode } = self;
        write!(f, "{}:{}:{inode}", device >> 20, device & 0xf_ffff)
    }
}

impl FromStr for FileId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or(());
        let (major, minor, inode) = (next()?, next()?, next()?);
        let (major, minor): (u32, u32) = (number(major, 10)?, number(minor, 10)?);
        if major > 0xfff || minor > 0xf_ffff {
            return Err(());
        }
        Ok(Self {
            device: major << 20 | minor,
            inode: number(inode, 10)?,
        })
    }
}

/// Capabilities, a bit each; hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for Capabilities {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        number(text, 16).map(Self)
    }
}

/// Digits and nothing else, as they are written.
fn number<T: TryFrom<u64>>(text: &str, radix: u32) -> Result<T, ()> {
    let plain = text.bytes().all(|byte| char::from(byte).is_digit(radix));
    let number = u64::from_str_radix(text, radix).map_err(drop)?;
    T::try_from(number).ok().filter(|_| plain).ok_or(())
}

as_text! {
    ProcessId "a process, TGID.START, which is unique within its boot"
    FileId "a file, MAJOR:MINOR:INODE"
    Capabilities "capabilities in hexadecimal digits"
}

/// A program that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub file: Option<FileId>,
    /// As the caller of execve(2) named it.
    pub path: Vec<u8>,
    /// Each argument ends with a zero.
    pub arguments: Vec<u8>,
    /// It is nsexec, by the identity of its file, or was executed by one that was.
    pub is_nsexec: bool,
}

/// The policy and arguments of an nsexec; the process can have changed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NsexecClaim {
    pub policy: String,
    /// Hostile text.
    pub argv: Vec<String>,
}

impl NsexecClaim {
    fn of(program: &Program) -> Self {
        let argv = arguments(&program.arguments);
        let mut words = argv.iter().take_while(|word| *word != "--");
        let mut policy = "default".to_owned();
        while let Some(word) = words.next() {
            if let Some(value) = word.strip_prefix("--policy=") {
                value.clone_into(&mut policy);
            } else if word == "--policy"
                && let Some(value) = words.next()
            {
                value.clone_into(&mut policy);
            }
        }
        Self { policy, argv }
    }
}

/// A parent or a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessRef {
    pub exec_id: ProcessId,
    pub tgid: u32,
}

impl ProcessRef {
    /// A parent or child of a record.
    #[must_use]
    pub fn from_id(id: &TaskId) -> Self {
        Self {
            exec_id: ProcessId::from_id(id),
            tgid: id.tgid,
        }
    }
}

/// The task that an event is of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    pub exec_id: ProcessId,
    /// In the initial pid namespace.
    pub tgid: u32,
    /// In the initial pid namespace.
    pub tid: u32,
    /// In its own pid namespace.
    pub ns_tgid: u32,
    /// Hostile text.
    pub comm: String,
    /// The path of its program as the caller of execve(2) named it; hostile text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The file of its program.
    pub exe_file: FileId,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loginuid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessionid: Option<u32>,
    pub caps_eff: Capabilities,
    pub no_new_privs: bool,
    /// 0 off, 1 strict, 2 filters.
    #[schemars(range(max = 2))]
    pub seccomp_mode: u8,
    /// The inode of its cgroup's directory, in the hierarchy that identifies containers:
    /// that of pids, devices or memory where one of them is of version 1, else version 2;
    /// 1 is the root.
    pub cgroup_id: u64,
    #[serde(flatten)]
    pub cgroup: Cgroup,
    /// It is nsexec, by the identity of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsexec: Option<NsexecClaim>,
}

impl Actor {
    /// The task of a record, with the program that it executes.
    #[must_use]
    pub fn of(task: &Task, program: Option<&Program>, cgroup: Cgroup) -> Self {
        let set = |number: u32| (number != UNSET).then_some(number);
        let path = program.map(|program| lossy(&program.path));
        Self {
            exec_id: ProcessId::of(task),
            tgid: task.tgid,
            tid: task.tid,
            ns_tgid: task.ns_tgid,
            comm: comm(task),
            exe: path.filter(|path| !path.is_empty()),
            exe_file: FileId {
                device: task.exe_device,
                inode: task.exe_inode,
            },
            uid: task.uid,
            gid: task.gid,
            euid: task.euid,
            loginuid: set(task.login_uid),
            sessionid: set(task.session),
            caps_eff: Capabilities(task.capabilities),
            no_new_privs: task.no_new_privs.get(),
            seccomp_mode: task.seccomp,
            cgroup_id: task.cgroup_id,
            cgroup,
            nsexec: program
                .filter(|program| program.is_nsexec)
                .map(NsexecClaim::of),
        }
    }
}

/// The name of a task, which ends at the first zero.
#[must_use]
pub fn comm(task: &Task) -> String {
    let comm = task.comm.split(|byte| *byte == 0).next();
    lossy(comm.unwrap_or_default())
}

/// Arguments that each end with a zero.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    whole.split(|byte| *byte == 0).map(lossy).collect()
}

/// Text of others, which need not be UTF-8.
#[must_use]
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
