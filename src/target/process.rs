//! The target process: its pidfd and its directory in /proc.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::procfs_root::{MAX_FILE, Procfs, read_all};
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::decimal::decimal;
use crate::procfs::{stat, status};
use crate::request::{Pid, TargetId};
use crate::sys::pidfd;

/// A pinned process: it stays the same process even if its pid is recycled.
#[derive(Debug)]
pub(crate) struct Target {
    pid: Pid,
    inode: Option<u64>,
    pidfd: OwnedFd,
    /// /proc/PID: of this process, not of a later one with its pid.
    directory: OwnedFd,
}

impl Target {
    /// Pins the process that has the pid `id` now.
    ///
    /// Opens the pidfd first, then the directory. The kernel cannot reuse the pid until the pidfd's
    /// process is reaped. So a check of the pidfd after both opens proves that they are the same
    /// process.
    ///
    /// # Errors
    /// `Target`: there is no such process, it has ended, it is a kernel thread, or its inode number
    /// differs: the pid was recycled.
    pub(crate) fn pin(procfs: &Procfs, id: TargetId) -> Result<Self> {
        let pid = id.pid;
        let pidfd = pidfd::open(pid).map_err(|errno| match errno {
            Errno::ESRCH => no_process(pid),
            // ENOENT: from Linux 6.15 on.
            Errno::EINVAL | Errno::ENOENT => is_a_thread(procfs, pid),
            errno => Error::new(
                ErrorKind::System,
                format!("cannot open a pidfd of process {pid}"),
            )
            .with_source(errno),
        })?;
        let inode = inode_of(&pidfd)?;
        if let Some(wanted) = id.inode {
            check_inode(pid, wanted.get(), inode)?;
        }
        let directory = procfs
            .open_directory(&path(pid, ""))
            .map_err(|errno| match errno {
                Errno::ENOENT => no_process(pid),
                errno => Error::new(ErrorKind::System, format!("cannot open /proc/{pid}"))
                    .with_source(errno),
            })?;
        let target = Self {
            pid,
            inode,
            pidfd,
            directory,
        };
        target.refuse_kernel_thread()?;
        target.still_there()?;
        Ok(target)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Its inode number in pidfs; `None` before Linux 6.9.
    pub(crate) fn inode(&self) -> Option<u64> {
        self.inode
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its directory in /proc.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Its pidfd alone, for the join. Closes its directory in /proc, which leads to every other
    /// process of the host.
    pub(crate) fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Fails once the process has ended.
    pub(crate) fn still_there(&self) -> Result<()> {
        match pidfd::has_ended(&self.pidfd) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::new(
                ErrorKind::Target,
                format!("process {} has ended", self.pid),
            )),
            Err(errno) => Err(Error::new(
                ErrorKind::System,
                format!("process {} cannot be watched", self.pid),
            )
            .with_source(errno)),
        }
    }

    /// Whether its main thread is a zombie while the process still exists, which it does while
    /// another of its threads runs.
    pub(crate) fn main_thread_has_ended(&self) -> bool {
        self.read("stat")
            .is_ok_and(|text| stat::parse(&text).is_ok_and(|stat| stat.is_zombie()))
    }

    /// Opens a file below its directory; follows links, including magic ones.
    pub(crate) fn open(&self, name: &CStr, flags: OFlag) -> std::result::Result<OwnedFd, Errno> {
        openat(
            &self.directory,
            name,
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
    }

    /// Opens a file below its directory for reading.
    pub(crate) fn open_file(&self, name: &str) -> Result<OwnedFd> {
        let c_name = CString::new(name).unwrap_or_default();
        self.open(&c_name, OFlag::O_RDONLY)
            .map_err(|errno| self.failed(name, errno))
    }

    /// Reads a file below its directory.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let what = format!("/proc/{}/{name}", self.pid);
        read_all(self.open_file(name)?, MAX_FILE, &what)
    }

    /// Its real user and group id, in the caller's user namespace.
    pub(crate) fn ids(&self) -> Result<(u32, u32)> {
        let status = status::parse(&self.read("status")?)
            .map_err(|fault| self.unreadable("status", &fault))?;
        Ok((status.uids.real, status.gids.real))
    }

    pub(crate) fn failed(&self, name: &str, errno: Errno) -> Error {
        let what = format!("/proc/{}/{name}", self.pid);
        let error = match errno {
            Errno::ESRCH => {
                Error::new(ErrorKind::Target, format!("process {} has ended", self.pid))
            }
            errno => Error::new(ErrorKind::Target, what).with_source(errno),
        };
        match errno {
            Errno::EACCES | Errno::EPERM => error.with_hint(
                "this requires CAP_SYS_PTRACE over the target, or run nsexec as the target's user",
            ),
            _ => error,
        }
    }

    pub(crate) fn unreadable(&self, name: &str, fault: &dyn std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::Safety,
            format!("/proc/{}/{name}: {fault}", self.pid),
        )
    }

    fn refuse_kernel_thread(&self) -> Result<()> {
        let stat =
            stat::parse(&self.read("stat")?).map_err(|fault| self.unreadable("stat", &fault))?;
        if stat.is_kernel_thread() {
            return Err(Error::new(
                ErrorKind::Target,
                format!("{} is a kernel thread", self.pid),
            )
            .with_hint("give the pid of a process"));
        }
        Ok(())
    }
}

/// A thread that is not the first of its process has no pidfd of its own here.
fn is_a_thread(procfs: &Procfs, tid: Pid) -> Error {
    let status = procfs.open_file(&path(tid, "status"));
    let Ok(status) = status else {
        return no_process(tid);
    };
    let text = read_all(status, MAX_FILE, &"the status of a thread").unwrap_or_default();
    let process = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Tgid:\t"))
        .and_then(decimal::<i32>);
    match process {
        Some(process) => Error::new(
            ErrorKind::Target,
            format!("{tid} is a thread of process {process}"),
        )
        .with_hint(format!("give {process}")),
        None => Error::new(ErrorKind::Target, format!("{tid} is a thread"))
            .with_hint("give the pid of a process: /proc/TID/status names it as Tgid"),
    }
}

fn no_process(pid: Pid) -> Error {
    Error::new(ErrorKind::Target, format!("there is no process {pid}"))
        .with_hint("give the pid of a running process, in the caller's pid namespace")
}

/// Whether processes have inode numbers of their own here.
pub(crate) fn has_inode(pidfd: &OwnedFd) -> std::result::Result<bool, Errno> {
    /// PID_FS_MAGIC, linux/magic.h.
    const PID_FS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x5049_4446);
    Ok(nix::sys::statfs::fstatfs(pidfd)?.filesystem_type() == PID_FS_MAGIC)
}

/// The inode number of the process in pidfs; `None` before Linux 6.9, where all
/// pidfds share one inode.
fn inode_of(pidfd: &OwnedFd) -> Result<Option<u64>> {
    let failed = |errno| {
        Error::new(ErrorKind::System, "cannot read the inode number of a pidfd").with_source(errno)
    };
    if !has_inode(pidfd).map_err(failed)? {
        return Ok(None);
    }
    Ok(Some(fstat(pidfd).map_err(failed)?.st_ino))
}

fn check_inode(pid: Pid, wanted: u64, found: Option<u64>) -> Result<()> {
    match found {
        None => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{pid}:{wanted}: processes have no inode numbers on this kernel"),
        )
        .with_hint("give the pid alone, or use Linux 6.9 or later")),
        Some(found) if found != wanted => Err(Error::new(
            ErrorKind::Target,
            format!(
                "process {pid} is not the one that was meant: its inode is {found}, not {wanted}"
            ),
        )
        .with_hint("the pid was given to another process: look the target up again")),
        Some(_) => Ok(()),
    }
}

/// `PID/name`, below /proc.
pub(crate) fn path(pid: Pid, name: &str) -> CString {
    // Neither a number nor one of our names contains a NUL.
    CString::new(format!("{pid}/{name}")).unwrap_or_default()
}
