//! The output file, and the full ones before it.
//!
//! The auditor only writes to files that it created: an existing one is renamed, and never
//! continued, because its end may be of another process.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// The default number of full files to keep.
pub const KEPT: u16 = 5;
/// The greatest number of them: each is renamed at each rotation.
pub const MOST_KEPT: u16 = 999;
/// The smallest size of a file, in bytes: some lines have to fit.
pub const LEAST_SIZE: u64 = 4096;

/// The size of a write, if so much is waiting.
const BUFFER: usize = 64 << 10;

/// When a file is full, and how many full files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// In bytes; none: it is never full. A file is larger only where one line alone is.
    pub size: Option<u64>,
    /// From 1 on: FILE.1 is the youngest.
    pub keep: u16,
}

/// The destination of lines.
pub enum Output {
    /// One that cannot be rotated.
    Stream(Box<dyn Write + Send>),
    Files(Files),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(_) => f.write_str("Stream"),
            Self::Files(files) => files.fmt(f),
        }
    }
}

impl Output {
    /// Whether a line of this length needs a new file.
    #[must_use]
    pub fn is_full(&self, length: usize) -> bool {
        match self {
            Self::Stream(_) => false,
            Self::Files(files) => files.is_full(length),
        }
    }

    /// Renames the file and creates a new one; false: there is no file.
    ///
    /// # Errors
    /// As [`Files::rotate`].
    pub fn rotate(&mut self) -> io::Result<bool> {
        match self {
            Self::Stream(_) => Ok(false),
            Self::Files(files) => files.rotate().map(|()| true),
        }
    }

    /// Takes one line with its end.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(out) => out.write_all(line),
            Self::Files(files) => files.line(line),
        }
    }

    /// Writes the buffered lines.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(out) => out.flush(),
            Self::Files(files) => files.flush(),
        }
    }

    /// Writes the buffered lines to the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(out) => out.flush(),
            Self::Files(files) => files.finish(),
        }
    }
}

/// A file of lines, which is renamed when it is full.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    /// Opened once: if it is renamed, the files stay together.
    directory: OwnedFd,
    name: OsString,
    rotation: Rotation,
    file: File,
    buffer: Vec<u8>,
    /// Of this file, with the buffer.
    size: u64,
    lines: u64,
}

impl Files {
    /// Creates the file, which only its owner can read; an existing one of that name is
    /// renamed.
    ///
    /// # Errors
    /// The directory cannot be written; the existing file is not a regular one, or is
    /// being written by another nsexec-audit.
    pub fn create(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let about = |error: io::Error| at(path, &error);
        let name = path
            .file_name()
            .ok_or_else(|| about(io::Error::other("give the name of a file")))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(parent, flags, Mode::empty()).map_err(|error| about(error.into()))?;
        make_way(&directory, name, rotation.keep, None).map_err(about)?;
        let file = new_file(&directory, name).map_err(about)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            name: name.to_owned(),
            rotation,
            file,
            buffer: Vec::new(),
            size: 0,
            lines: 0,
        })
    }

    fn is_full(&self, length: usize) -> bool {
        let size = self.rotation.size.unwrap_or(u64::MAX);
        let more = u64::try_from(length).unwrap_or(u64::MAX);
        // The first line alone is not useful.
        self.lines > 1 && self.size.saturating_add(more) > size
    }

    /// Writes the buffered lines, renames the file and creates a new one. If another
    /// program has moved the file, as logrotate(8) does, there is nothing to rename.
    ///
    /// # Errors
    /// It cannot be written or renamed; its name is that of something else.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.finish()?;
        let about = |error: io::Error| at(&self.path, &error);
        make_way(
            &self.directory,
            &self.name,
            self.rotation.keep,
            Some(&self.file),
        )
        .map_err(about)?;
        self.file = new_file(&self.directory, &self.name).map_err(about)?;
        self.size = 0;
        self.lines = 0;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(line);
        self.size += u64::try_from(line.len()).map_err(io::Error::other)?;
        self.lines += 1;
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = self.buffer.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(self.failed(done, &io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(done, &error)),
            }
        }
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        // Some file systems only now report that there is no room.
        let synced = self.file.sync_data();
        synced.map_err(|error| at(&self.path, &error))
    }

    /// Removes the beginning of a line, so that the file can be verified to its end;
    /// `done` bytes of the buffer were written.
    fn failed(&mut self, done: usize, error: &io::Error) -> io::Error {
        let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n');
        let written = self.buffer.get(..done).unwrap_or_default();
        let whole = end(written).map_or(0, |last| last + 1);
        let rest = self.buffer.get(whole..).unwrap_or_default();
        let missing = rest.iter().filter(|byte| **byte == b'\n').count();
        let torn = u64::try_from(done - whole).unwrap_or_default();
        let cut = self
            .file
            .metadata()
            .and_then(|now| self.file.set_len(now.len().saturating_sub(torn)));
        let torn = match cut {
            Ok(()) => String::new(),
            Err(error) => format!("; its last line is not whole: {error}"),
        };
        self.buffer.clear();
        let why = format!("{error}; {missing} lines could not be written{torn}");
        at(&self.path, &io::Error::new(error.kind(), why))
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Creates a file that no other nsexec-audit uses.
fn new_file(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_EXCL
        | OFlag::O_NOFOLLOW
        | OFlag::O_CLOEXEC;
    let file = File::from(openat(
        directory,
        name,
        flags,
        Mode::from_bits_truncate(0o600),
    )?);
    file.try_lock()?;
    Ok(file)
}

/// Renames the existing file of this name, and those before it. `own`: the current
/// file.
fn make_way(directory: &OwnedFd, name: &OsStr, keep: u16, own: Option<&File>) -> io::Result<()> {
    let found = match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        found => found?,
    };
    if !is_regular(&found) {
        return Err(io::Error::other(
            "it exists and is not a regular file; give another name",
        ));
    }
    let is_own = match own {
        Some(own) => same(&fstat(own)?, &found),
        None => false,
    };
    if !is_own {
        refuse_if_written(directory, name)?;
    }
    if found.st_size == 0 {
        // An empty file is deleted; logrotate(8) leaves one.
        return Ok(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?);
    }
    for number in (1..keep).rev() {
        let renamed = renameat(
            directory,
            numbered(name, number).as_os_str(),
            directory,
            numbered(name, number + 1).as_os_str(),
        );
        match renamed {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(renameat(
        directory,
        name,
        directory,
        numbered(name, 1).as_os_str(),
    )?)
}

/// Another nsexec-audit holds a lock on its file.
fn refuse_if_written(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    // It can have become a pipe meanwhile, with no process at the other end.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(openat(directory.as_fd(), name, flags, Mode::empty())?);
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::other(
            "another nsexec-audit writes it; give another name",
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn is_regular(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn same(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn numbered(name: &OsStr, number: u16) -> OsString {
    let mut name = name.to_owned();
    name.push(format!(".{number}"));
    name
}

#[cfg(test)]
mod tests;
