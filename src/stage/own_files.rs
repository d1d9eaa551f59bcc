//! The child's own files in the caller's /proc, for a child that learns only after the joins which
//! values to write to them.
//!
//! The verifier opens them because only it has that /proc by then, and sends them to the child on a
//! socket that the helper has made after the joins.
//! `attr` arrives as a detached mount of the child's directory: neither `..` nor a link of another
//! process leads out of it. A detached mount is needed because a task may only write to a file of
//! `attr` that it has opened itself.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

use crate::error::{Error, ErrorKind, Result};
use crate::request::Pid;
use crate::sys::{descriptor, mount};
use crate::target::Procfs;
use crate::target::process::path;

/// The files that the verifier could open.
#[derive(Debug, Default)]
pub(crate) struct OwnFiles {
    /// oom_score_adj, for writing. Missing if the caller may not write it: root owns it because the
    /// child is not dumpable.
    pub(crate) oom_score_adj: Option<OwnedFd>,
    /// The child's directory of /proc, as the root of a detached mount. Missing if the caller may
    /// not clone mounts.
    pub(crate) directory: Option<OwnedFd>,
}

/// Both ends of the socket to the child: the verifier's and the child's.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).map_err(|errno| {
        Error::new(ErrorKind::System, "cannot create a socket pair").with_source(errno)
    })
}

/// Opens the child's files and sends them, with one byte per file that identifies it.
pub(super) fn send_files(
    child_files: &OwnedFd,
    procfs: &Procfs,
    child: Pid,
) -> std::result::Result<(), Errno> {
    let oom_score_adj = procfs.open_for_writing(&path(child, "oom_score_adj"));
    let directory = procfs
        .open_directory(&path(child, ""))
        .and_then(|directory| mount::detached(directory.as_fd()));
    let mut kinds = Vec::new();
    let mut descriptors = Vec::new();
    for (kind, file) in [(b'o', &oom_score_adj), (b'd', &directory)] {
        if let Ok(file) = file {
            kinds.push(kind);
            descriptors.push(file.as_raw_fd());
        }
    }
    // A message has at least one byte.
    kinds.push(b'.');
    descriptor::send(child_files, &kinds, &descriptors)
}

/// For the child: waits until the verifier has checked it, and receives the files.
///
/// # Errors
/// `System`: the helper has ended without sending them.
pub(crate) fn receive(child_files: &OwnedFd) -> Result<OwnFiles> {
    let failed = |errno| {
        Error::new(
            ErrorKind::System,
            "cannot receive the files of /proc/CHILD from the verifier",
        )
        .with_source(errno)
    };
    let mut kinds = [0; 3];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let mut descriptors = Vec::new();
    let length = {
        let mut parts = [IoSliceMut::new(&mut kinds)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(child_files.as_raw_fd(), &mut parts, Some(&mut space), flags)
            .map_err(failed)?;
        for control in message.cmsgs().map_err(failed)? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                descriptors.extend(fds.into_iter().map(descriptor::received));
            }
        }
        message.bytes
    };
    if length == 0 {
        return Err(failed(Errno::EPIPE));
    }
    let mut files = OwnFiles::default();
    let kinds = kinds.get(..length).unwrap_or_default();
    for (kind, file) in kinds.iter().zip(descriptors) {
        match kind {
            b'o' => files.oom_score_adj = Some(file),
            b'd' => files.directory = Some(file),
            _ => return Err(failed(Errno::EPROTO)),
        }
    }
    Ok(files)
}
