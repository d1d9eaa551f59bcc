//! The caller's /proc, after a check that it is procfs.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::namespace::Identity;
use crate::error::{Error, ErrorKind, Result};

/// A procfs that shows the caller's own pid namespace.
#[derive(Debug)]
pub(crate) struct Procfs {
    directory: OwnedFd,
}

impl Procfs {
    /// Opens /proc.
    ///
    /// # Errors
    /// `System`: it cannot be opened, or its type cannot be read. `Safety`: it is no procfs, or
    /// belongs to another pid namespace, in which the caller's pids name other processes.
    pub(crate) fn open() -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let directory = open(c"/proc", flags, Mode::empty()).map_err(|errno| {
            Error::new(ErrorKind::System, "cannot open /proc")
                .with_source(errno)
                .with_hint("mount a procfs there")
        })?;
        let filesystem = fstatfs(&directory).map_err(|errno| {
            Error::new(
                ErrorKind::System,
                "cannot read the file system type of /proc",
            )
            .with_source(errno)
        })?;
        if filesystem.filesystem_type() != PROC_SUPER_MAGIC {
            return Err(Error::new(ErrorKind::Safety, "/proc is not a procfs"));
        }
        let procfs = Self { directory };
        let own = readlinkat(&procfs.directory, c"self").ok();
        if own.and_then(|own| own.to_str()?.parse().ok()) != Some(std::process::id()) {
            return Err(
                Error::new(ErrorKind::Safety, "/proc shows another pid namespace")
                    .with_hint("mount the procfs of the caller's pid namespace there"),
            );
        }
        Ok(procfs)
    }

    /// This process's own directory.
    pub(crate) fn own_directory(&self) -> Result<OwnDirectory> {
        let directory = self.open_directory(c"self").map_err(|errno| {
            Error::new(ErrorKind::System, "cannot open /proc/self").with_source(errno)
        })?;
        Ok(OwnDirectory(directory))
    }

    /// Opens a file below it, read-only.
    pub(crate) fn open_file(&self, path: &CStr) -> std::result::Result<OwnedFd, Errno> {
        self.open_with(path, OFlag::O_RDONLY)
    }

    /// Opens a file below it, with these flags and O_CLOEXEC.
    pub(crate) fn open_with(
        &self,
        path: &CStr,
        flags: OFlag,
    ) -> std::result::Result<OwnedFd, Errno> {
        openat(
            &self.directory,
            path,
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
    }

    /// Writes a file below it, all in one write.
    pub(crate) fn write(&self, path: &CStr, text: &[u8]) -> std::result::Result<(), Errno> {
        let file = self.open_for_writing(path)?;
        match nix::unistd::write(&file, text)? {
            written if written == text.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// Opens a file below it, for writing.
    pub(crate) fn open_for_writing(&self, path: &CStr) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        openat(&self.directory, path, flags, Mode::empty())
    }

    /// Opens the directory of a process with O_PATH.
    pub(crate) fn open_directory(&self, path: &CStr) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.directory, path, flags, Mode::empty())
    }

    /// Opens a link below it with O_PATH, not the link's target.
    pub(crate) fn open_link(&self, path: &str) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, path, flags, Mode::empty())
    }

    /// The identity of one of the caller's namespaces.
    pub(crate) fn own_namespace(&self, name: &str) -> std::result::Result<Identity, Errno> {
        self.namespace(&format!("self/ns/{name}"))
    }

    /// The identity of the namespace that a link below it leads to.
    pub(crate) fn namespace(&self, path: &str) -> std::result::Result<Identity, Errno> {
        let stat = nix::sys::stat::fstatat(&self.directory, path, nix::fcntl::AtFlags::empty())?;
        Ok(Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// This process's own directory of /proc.
#[derive(Debug)]
pub(crate) struct OwnDirectory(OwnedFd);

impl OwnDirectory {
    /// Opens a file below it, read-only and with these flags.
    pub(crate) fn open_file(
        &self,
        path: &CStr,
        flags: OFlag,
    ) -> std::result::Result<OwnedFd, Errno> {
        openat(&self.0, path, flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// The mounts of this process's own mount namespace: the text of its mountinfo.
    ///
    /// # Errors
    /// `System`: the file cannot be opened or read. `Safety`: it is longer than [`MAX_FILE`].
    pub(crate) fn mounts(&self) -> Result<Vec<u8>> {
        let what = "/proc/self/mountinfo";
        let file = self
            .open_file(c"mountinfo", OFlag::O_RDONLY)
            .map_err(|errno| {
                Error::new(ErrorKind::System, format!("cannot open {what}")).with_source(errno)
            })?;
        read_all(file, MAX_FILE, &what)
    }
}

impl AsFd for OwnDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The longest file of /proc that is read: cgroup, status and mountinfo grow with the machine, and
/// no honest one comes near.
pub(crate) const MAX_FILE: usize = 8 << 20;

/// Reads a file of at most `limit` bytes from its current offset.
///
/// # Errors
/// `System`: it cannot be read. `Safety`: it is longer.
pub(crate) fn read_all(file: impl AsFd, limit: usize, what: &dyn fmt::Display) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match nix::unistd::read(&file, &mut chunk) {
            Ok(0) => return Ok(content),
            Ok(read) => content.extend(chunk.iter().take(read)),
            Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(
                    Error::new(ErrorKind::System, format!("cannot read {what}")).with_source(errno)
                );
            }
        }
        if content.len() > limit {
            let wrong = format!("{what} is longer than {limit} bytes");
            return Err(Error::new(ErrorKind::Safety, wrong));
        }
    }
}
