//! Step 0: protects the helper's own file from the target (CVE-2019-5736).
//!
//! A root process in a container without a user namespace can hold /proc/CHILD/exe open and, once
//! the helper has exited, write to the file on the host. Through a read-only mount that open for
//! writing fails with EROFS.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::error::{Error, ErrorKind, Result};
use crate::procfs::mountinfo;
use crate::sys::exec::{self, StringArray};
use crate::sys::{mount, process, statx};
use crate::target::Procfs;
use crate::target::procfs_root::read_all;

/// Longest list of arguments, in bytes: the limit of execve(2) with the largest stack.
const MAX_ARGUMENTS: usize = 6 << 20;

/// The reason why no process can write to the helper's file through /proc/PID/exe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnFile {
    /// It is on a read-only mount with this id in mountinfo: the installed one, or the detached
    /// clone from which the helper has executed itself.
    ReadOnlyMount(u64),
    /// The helper runs from a sealed copy in memory.
    SealedMemory,
}

impl OwnFile {
    /// The way in which the file is protected: an operator sees whether the helper is installed on
    /// a read-only mount, or must protect its file in every exec.
    ///
    /// The answer comes from the kernel, not from a variable or an argument that a caller could set: a detached
    /// mount is in no process's list of mounts. A mount of another mount namespace is not in this
    /// process's list either, and counts as detached.
    pub(crate) fn name(self, procfs: &Procfs) -> &'static str {
        let mount = match self {
            Self::SealedMemory => return "sealed memory",
            Self::ReadOnlyMount(mount) => mount,
        };
        let list = procfs.own_directory().and_then(|own| own.mounts());
        match list.ok().and_then(|list| mountinfo::parse(&list).ok()) {
            Some(list) if list.iter().any(|known| u64::from(known.id) == mount) => {
                "installed on a read-only mount"
            }
            Some(_) => "detached read-only clone",
            None => "read-only mount, unknown whether installed or detached",
        }
    }
}

/// Protects the running program's own file. Returns at once if no process can write to it through
/// /proc/PID/exe. Otherwise executes the program again, with the same arguments and environment,
/// from a place where no process can.
///
/// A program that calls [`crate::Plan::prepare`] calls this before it has opened or changed
/// anything.
///
/// # Errors
/// `LockDown`: neither a read-only clone of the file's mount nor a sealed copy in memory is
/// possible.
pub fn protect_own_file() -> Result<()> {
    let arguments = || std::env::args_os().map(OsString::into_vec).collect();
    protect(&Procfs::open()?, || Ok(arguments()))?;
    // After the program has executed itself, ps(1) would show a number.
    process::set_name(c"nsexec")
        .map_err(|errno| failed("cannot set the process name: prctl PR_SET_NAME", errno))
}

/// The same as [`protect_own_file`] for the program of a runtime, in its constructor. The standard
/// library may not have the arguments yet at that point, so they are read from /proc.
pub(crate) fn protect_runtime(procfs: &Procfs) -> Result<()> {
    protect(procfs, || {
        let file = procfs
            .open_file(c"self/cmdline")
            .map_err(|errno| failed("cannot read /proc/self/cmdline", errno))?;
        let text = read_all(file, MAX_ARGUMENTS, &"/proc/self/cmdline")?;
        let arguments = text.split_inclusive(|byte| *byte == 0);
        Ok(arguments
            .map(|argument| argument.strip_suffix(&[0]).unwrap_or(argument).to_vec())
            .collect())
    })
}

/// Returns if the file is protected. Otherwise executes the program again with `arguments`.
fn protect(procfs: &Procfs, arguments: impl FnOnce() -> Result<Vec<Vec<u8>>>) -> Result<()> {
    let file = own_file(procfs)?;
    if protection(&file)?.is_some() {
        return Ok(());
    }
    let arguments = arguments()?.into_iter().map(CString::new);
    let argv = arguments
        .collect::<std::result::Result<_, _>>()
        .map(StringArray::new)
        .map_err(|_| {
            failed(
                "an argument in /proc/self/cmdline is invalid",
                Errno::EINVAL,
            )
        })?;
    // A failure here leads to a retry from memory: no CAP_SYS_ADMIN, an old kernel, a file of
    // another mount namespace.
    if let Ok(tree) = mount::detached_read_only(file.as_fd())
        && is_read_only(&tree)?
    {
        exec::execute_again(tree.as_fd(), &argv);
    }
    let copy = sealed_copy(&file, procfs)?;
    // Without the seals, the program would copy itself again and again.
    if !is_sealed(&copy) {
        return Err(failed("the copy in memory lacks a seal", Errno::EPERM));
    }
    Err(failed(
        "cannot execute the copy in memory",
        exec::execute_again(copy.as_fd(), &argv),
    ))
}

/// The protection of the running program's file.
///
/// # Errors
/// `Safety`: it is not protected.
pub(crate) fn status(procfs: &Procfs) -> Result<OwnFile> {
    protection(&own_file(procfs)?)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Safety,
            "the program's own file can be written through /proc/PID/exe",
        )
        .with_hint("call protect_own_file() before any other function")
    })
}

fn own_file(procfs: &Procfs) -> Result<OwnedFd> {
    procfs
        .open_file(c"self/exe")
        .map_err(|errno| failed("cannot open /proc/self/exe", errno))
}

fn protection(file: &OwnedFd) -> Result<Option<OwnFile>> {
    Ok(if is_read_only(file)? {
        let known = statx::identify(file.as_fd())
            .map_err(|errno| failed("cannot identify /proc/self/exe: statx", errno))?;
        Some(OwnFile::ReadOnlyMount(known.mount))
    } else if is_sealed(file) {
        Some(OwnFile::SealedMemory)
    } else {
        None
    })
}

fn is_read_only(file: &OwnedFd) -> Result<bool> {
    let statistics = fstatvfs(file).map_err(|errno| {
        failed(
            "cannot read the mount flags of /proc/self/exe: fstatvfs",
            errno,
        )
    })?;
    Ok(statistics.flags().contains(FsFlags::ST_RDONLY))
}

/// The seals without which a file in memory could be changed.
fn seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE
}

fn is_sealed(file: &OwnedFd) -> bool {
    // EINVAL: it is no file in memory.
    fcntl(file, FcntlArg::F_GET_SEALS)
        .is_ok_and(|found| SealFlag::from_bits_truncate(found).contains(seals()))
}

fn sealed_copy(file: &OwnedFd, procfs: &Procfs) -> Result<OwnedFd> {
    /// MFD_EXEC: linux/memfd.h, Linux 6.3; EINVAL before, when it was the default.
    const MFD_EXEC: u32 = 0x10;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = flags | MFdFlags::from_bits_retain(MFD_EXEC);
    let copy = memfd_create(c"nsexec", executable)
        .or_else(|_| memfd_create(c"nsexec", flags))
        .map_err(|errno| failed("cannot create a file in memory: memfd_create", errno))?;
    let io = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        failed("cannot copy /proc/self/exe into memory", errno)
    };
    let mut from = std::fs::File::from(file.try_clone().map_err(io)?);
    let mut to = std::fs::File::from(copy.try_clone().map_err(io)?);
    std::io::copy(&mut from, &mut to).map_err(io)?;
    // An open for writing makes execve fail with ETXTBSY: return a read-only descriptor of the same
    // file.
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals()))
        .map_err(|errno| failed("cannot seal the copy in memory", errno))?;
    drop(to);
    let name = format!("self/fd/{}", copy.as_raw_fd());
    let name = CString::new(name).unwrap_or_default();
    procfs
        .open_file(&name)
        .map_err(|errno| failed("cannot open the copy in memory", errno))
}

fn failed(what: &str, errno: Errno) -> Error {
    Error::new(
        ErrorKind::LockDown,
        format!("cannot protect the program's own file: {what}"),
    )
    .with_source(errno)
    .with_hint("install it on a read-only mount")
}
