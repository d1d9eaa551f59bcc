//! Step 1: leaves in the process only the objects that the caller meant to pass.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::unistd::{getresgid, getresuid};

use crate::error::{Error, ErrorKind, Result};
use crate::sys::descriptor::{self, Range};
use crate::sys::process;
use crate::target::Procfs;
use crate::target::namespace::is_namespace;

/// Opens /dev/null on each closed descriptor of 0, 1 and 2: otherwise the next opened file would
/// become standard input or output (CVE-2002-0820).
pub(crate) fn make_standard_descriptors_valid() -> Result<()> {
    for fd in 0..=2 {
        if descriptor::is_open(fd) {
            continue;
        }
        let null = open(c"/dev/null", OFlag::O_RDWR, Mode::empty()).map_err(|errno| {
            Error::new(
                ErrorKind::System,
                format!("descriptor {fd} is closed, and /dev/null"),
            )
            .with_source(errno)
        })?;
        // The lowest free number: it is 0, 1 or 2, and stays open.
        std::mem::forget(null);
    }
    Ok(())
}

/// The first descriptor above standard input, output and error.
pub(crate) const FIRST: RawFd = 3;

/// The number of open descriptors from 3 on, without a gap: the caller can have handed over at most
/// these. Counts before the helper opens any of its own.
pub(crate) fn count_handed_over() -> u32 {
    let open = (3..).take_while(|fd| descriptor::is_open(*fd)).count();
    u32::try_from(open).unwrap_or(u32::MAX)
}

/// Closes the caller's descriptors above 2 except the declared ones. The helper and its child would
/// hold them in the target until execve, and a directory of the host among them leads out of the
/// target.
///
/// Only for the program nsexec, before it opens any of its own.
pub(crate) fn close_undeclared(declared: impl Iterator<Item = RawFd>) -> Result<()> {
    let declared: BTreeSet<RawFd> = declared.filter(|fd| *fd >= FIRST).collect();
    let failed = |errno| {
        Error::new(
            ErrorKind::System,
            "cannot close the undeclared descriptors: close_range",
        )
        .with_source(errno)
    };
    let mut first = FIRST.unsigned_abs();
    for kept in declared.into_iter().map(RawFd::unsigned_abs) {
        if kept > first {
            descriptor::close_range(first, kept - 1, Range::Close).map_err(failed)?;
        }
        first = kept + 1;
    }
    descriptor::close_range(first, u32::MAX, Range::Close).map_err(failed)
}

/// Prepares the process for contact with a target.
pub(crate) fn prepare_process(procfs: &Procfs) -> Result<()> {
    refuse_unsafe_standard_descriptors()?;
    close_on_exec_above_standard()?;
    refuse_gained_privilege()?;
    assert_single_thread(procfs)?;
    refuse_foreign_children(procfs)
}

/// Checks that 0, 1 and 2 can be read or written. A directory of the host there would lead the
/// program out of its root, by openat(2) and fchdir(2); a namespace or a process by setns(2); a
/// handle by the files beside it. No caller needs that.
///
/// # Errors
/// `Usage`: one of them is such an object.
fn refuse_unsafe_standard_descriptors() -> Result<()> {
    for (fd, name) in [(0, "input"), (1, "output"), (2, "error")] {
        let kind = leads_out(descriptor::standard(fd)).map_err(|errno| {
            Error::new(
                ErrorKind::System,
                format!("cannot read the type of standard {name}: fstat"),
            )
            .with_source(errno)
        })?;
        if let Some(kind) = kind {
            let wrong = format!("standard {name} is {kind}, which leads out of the target");
            return Err(Error::new(ErrorKind::Usage, wrong).with_hint(
                "redirect it to a file or a pipe, or pass the descriptor with --preserve-fds",
            ));
        }
    }
    Ok(())
}

/// Checks that 0, 1 and 2 give a program with CAP_NET_ADMIN no network namespace but its own: a
/// socket can open the one in which it was made (ioctl SIOCGSKNS) and change its interfaces, and
/// /dev/net/tun adds one.
///
/// # Errors
/// `kind`: one of them is a socket or /dev/net/tun.
pub(crate) fn refuse_callers_network(kind: ErrorKind) -> Result<()> {
    /// linux/miscdevice.h: MISC_MAJOR, TUN_MINOR.
    const TUN: (u64, u64) = (10, 200);
    for (fd, name) in [(0, "input"), (1, "output"), (2, "error")] {
        let stat = fstat(descriptor::standard(fd)).map_err(|errno| {
            let wrong = format!("cannot read the type of standard {name}: fstat");
            Error::new(ErrorKind::System, wrong).with_source(errno)
        })?;
        let device = (major(stat.st_rdev), minor(stat.st_rdev));
        let file = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFSOCK => "a socket",
            SFlag::S_IFCHR if device == TUN => "/dev/net/tun",
            _ => continue,
        };
        let wrong = format!(
            "standard {name} is {file}: with CAP_NET_ADMIN the program could change the caller's \
             network through it"
        );
        return Err(Error::new(kind, wrong).with_hint(
            "redirect it through a pipe, such as `| cat`, or use a policy without CAP_NET_ADMIN",
        ));
    }
    Ok(())
}

/// The kind of a descriptor that cannot be read or written; `None`: it can.
fn leads_out(fd: BorrowedFd<'_>) -> std::result::Result<Option<&'static str>, Errno> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    Ok(if kind == SFlag::S_IFDIR {
        Some("a directory")
    } else if flags.contains(OFlag::O_PATH) {
        // So is a detached mount of a file.
        Some("an O_PATH descriptor")
    } else if is_namespace(fd)? {
        Some("a namespace")
    } else if kind.is_empty() {
        // The kernel gives these no type: pidfds, unfinished mounts (fsopen(2)), and groups of
        // fanotify(7), which deliver open files.
        Some("a pidfd or another anonymous inode")
    } else {
        None
    })
}

/// Marks every descriptor above 2 to be closed at the next execve. The mark is removed from the
/// program's descriptors one by one, right before it.
fn close_on_exec_above_standard() -> Result<()> {
    descriptor::close_range(3, u32::MAX, Range::CloseOnExec)
        .or_else(|errno| match errno {
            // Before Linux 5.11 close_range has no such flag.
            Errno::EINVAL | Errno::ENOSYS => one_by_one(),
            errno => Err(errno),
        })
        .map_err(|errno| {
            Error::new(
                ErrorKind::System,
                "the descriptors of the caller cannot be marked close-on-exec",
            )
            .with_source(errno)
        })
}

/// Marks the descriptors that /proc/self/fd lists. RLIMIT_NOFILE does not bound them: it can be
/// lowered below an open one, and raised to millions.
fn one_by_one() -> std::result::Result<(), Errno> {
    let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    for entry in std::fs::read_dir("/proc/self/fd").map_err(errno)? {
        let name = entry.map_err(errno)?.file_name();
        let fd = name.to_str().and_then(|name| name.parse().ok());
        match fd.ok_or(Errno::EPROTO)? {
            0..=2 => {}
            fd => descriptor::set_close_on_exec(fd, true)?,
        }
    }
    Ok(())
}

/// nsexec is a tool for users who hold the privilege, not a way to get it.
///
/// # Errors
/// `Safety`: real and effective ids differ, or the file gave privileges.
fn refuse_gained_privilege() -> Result<()> {
    let system = |errno| {
        Error::new(
            ErrorKind::System,
            "cannot read the user and group ids of the caller",
        )
        .with_source(errno)
    };
    let uids = getresuid().map_err(system)?;
    let gids = getresgid().map_err(system)?;
    let differ = uids.real != uids.effective || gids.real != gids.effective;
    if differ || process::gained_privilege() {
        return Err(Error::new(
            ErrorKind::Safety,
            "started with privileges that its caller does not have",
        )
        .with_hint("install it without set-user-ID, set-group-ID and file capabilities"));
    }
    Ok(())
}

/// Namespaces, filters and credentials belong to one thread.
///
/// # Errors
/// `Safety`: there is a second one.
pub(crate) fn assert_single_thread(procfs: &Procfs) -> Result<()> {
    let tasks = procfs
        .open_directory(c"self/task")
        .and_then(|directory| nix::sys::stat::fstat(&directory))
        .map_err(|errno| {
            Error::new(
                ErrorKind::System,
                "cannot count the threads of the helper in /proc/self/task",
            )
            .with_source(errno)
        })?;
    // A directory for each thread, and `.` and `..`.
    if tasks.st_nlink != 3 {
        return Err(
            Error::new(ErrorKind::Safety, "the process has more than one thread; nsexec can join namespaces only from a single-threaded process")
                .with_hint("call it from a process with one thread"),
        );
    }
    Ok(())
}

/// Checks that the children of this process are born into its own pid namespace. After
/// `unshare --pid` without `--fork` the first child would be process 1 of a new one, and after its
/// end no process could be created; after setns(2) the children would not see this process.
///
/// # Errors
/// `Usage`: they are born into another pid namespace.
pub(crate) fn refuse_foreign_children(procfs: &Procfs) -> Result<()> {
    let own = match procfs.own_namespace("pid") {
        Ok(own) => own,
        // The kernel has no pid namespaces.
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => {
            return Err(Error::new(ErrorKind::System, "/proc/self/ns/pid").with_source(errno));
        }
    };
    let name = "/proc/self/ns/pid_for_children";
    match procfs.own_namespace("pid_for_children") {
        Ok(of_children) if of_children == own => return Ok(()),
        // ENOENT: the next child creates it.
        Ok(_) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(Error::new(ErrorKind::System, name).with_source(errno)),
    }
    let wrong = format!(
        "{name}: the children of this process are born into another pid namespace than its own"
    );
    Err(Error::new(ErrorKind::Usage, wrong).with_hint(
        "start nsexec from a child of the process that called unshare(2) or setns(2): \
         unshare --pid --fork, nsenter without --no-fork",
    ))
}

/// No ptrace and no /proc/PID/{exe,fd,root,cwd,mem} for the target.
pub(crate) fn set_undumpable() -> Result<()> {
    process::set_undumpable().map_err(|errno| {
        Error::new(ErrorKind::LockDown, "the helper cannot be made undumpable").with_source(errno)
    })
}
