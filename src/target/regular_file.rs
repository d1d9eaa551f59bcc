//! The files of the program's root that the helper reads: regular files only.
//!
//! The target chooses the files there, and the caller opens them with the rights of the host. A
//! device node would be opened outside the target's device cgroup. A FIFO, or a file system that a
//! process serves, would block the caller. A file of procfs would show or consume data that the
//! target may not read. So the file is looked up with O_PATH, which opens nothing, and its type and
//! that of its file system are checked. Only a regular file on a file system that stores files is
//! opened, by that descriptor.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::SFlag;
use nix::sys::statfs::{FsType, fstatfs};

use super::find::{Found, Links, Mounts, find};
use super::procfs_root::OwnDirectory;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::statx;
use crate::userdb;

/// The result of a lookup.
#[derive(Debug)]
pub(super) enum FileLookup {
    /// No file that the caller can find or read.
    Absent,
    /// A regular file: at most [`MOST`] bytes of it and one, or why it cannot be read.
    Regular(std::result::Result<Vec<u8>, Errno>),
    /// An object that was not opened: its kind, and the reason.
    Refused(String),
}

/// The longest file that is read.
pub(super) const MOST: usize = userdb::MAX_FILE;

/// The name of the file in errors and warnings.
pub(super) fn name(path: &[u8]) -> String {
    format!("/{} of the program's root", String::from_utf8_lossy(path))
}

/// Reads `path` below `root`; resolves links inside it.
///
/// # Errors
/// `Target`: a failure that gives no information about the file.
pub(super) fn look(
    root: &OwnedFd,
    path: &[u8],
    own: &OwnDirectory,
    mounts: Mounts<'_>,
) -> Result<FileLookup> {
    let name = name(path);
    let failed = |errno| Error::new(ErrorKind::Target, name.clone()).with_source(errno);
    let handle = match find(root, path, Links::Followed, mounts)? {
        Found::Handle(handle) => handle,
        Found::Nothing => return Ok(FileLookup::Absent),
        other => {
            let why = other.why_not();
            return Ok(FileLookup::Refused(format!("{name} is not read: {why}")));
        }
    };
    let known = statx::identify(handle.as_fd()).map_err(failed)?;
    let kind = known.kind;
    if kind != SFlag::S_IFREG {
        let kind = kind_name(kind);
        return Ok(FileLookup::Refused(format!(
            "{name} is not read: it is {kind} and no regular file"
        )));
    }
    let of = fstatfs(&handle).map_err(failed)?.filesystem_type();
    if !stores_files(known.device, of) {
        return Ok(FileLookup::Refused(format!(
            "{name} is not read: no file system that stores files is known by the type {:#x}",
            of.0
        )));
    }
    // Opens by the descriptor: that is the checked file. NONBLOCK: must not wait for a process
    // that holds a lease on it.
    let link = CString::new(format!("fd/{}", handle.as_raw_fd())).unwrap_or_default();
    match own.open_file(&link, OFlag::O_NONBLOCK | OFlag::O_NOCTTY) {
        Ok(file) => Ok(FileLookup::Regular(read(&file))),
        Err(Errno::EACCES) => Ok(FileLookup::Absent),
        Err(Errno::EAGAIN) => Ok(FileLookup::Refused(format!(
            "{name} is not read: a process holds a lease on it"
        ))),
        Err(errno) => Err(failed(errno)),
    }
}

fn read(file: &OwnedFd) -> std::result::Result<Vec<u8>, Errno> {
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    while content.len() <= MOST {
        match nix::unistd::read(file, &mut chunk) {
            Ok(0) => break,
            Ok(read) => content.extend(chunk.iter().take(read)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    content.truncate(MOST + 1);
    Ok(content)
}

/// The types of file systems that store files and have no block device of their own (linux/magic.h;
/// the last two are those of bcachefs and OpenZFS).
///
/// An overlay opens the files of its layers with the rights of the process that mounted it. The
/// others that a process or a machine serves are only reached as the root's own.
const STORES: [FsType; 15] = [
    FsType(0x0102_1994), // tmpfs
    FsType(0x8584_58f6), // ramfs
    FsType(0x794c_7630), // overlay
    FsType(0x9123_683e), // btrfs
    FsType(0xe0f5_e1e2), // erofs, on a file
    FsType(0x2405_1905), // ubifs
    FsType(0x6573_5546), // fuse, virtiofs
    FsType(0x0102_1997), // 9p
    FsType(0x0000_6969), // nfs
    FsType(0xff53_4d42), // cifs
    FsType(0xfe53_4d42), // smb3
    FsType(0x00c3_6400), // ceph
    FsType(0x5346_414f), // afs
    FsType(0xca45_1a4e), // bcachefs
    FsType(0x2fc1_2fc1), // zfs
];

/// Whether the file system stores written data and generates none on reading, unlike procfs and
/// similar file systems: it is on a block device, or of a known type. A list of generating file
/// systems was ruled out: each kernel adds some.
fn stores_files(device: (u32, u32), of: FsType) -> bool {
    // File systems without a device get numbers with the major number 0.
    device.0 != 0 || STORES.contains(&of)
}

/// The type of a file in words.
fn kind_name(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFCHR => "a character device",
        SFlag::S_IFBLK => "a block device",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFLNK => "a symbolic link",
        _ => "of an unknown type",
    }
}
