//! The finder's side: a process without rights that lookups do not need.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, fstatfs};

use super::ended;
use super::messages::{self, Message, encode, receive, send};
use crate::error::{Context, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::seccomp::program::Program;
use crate::sys::credentials;
use crate::sys::process::exit_now;
use crate::sys::{descriptor, process, seccomp};
use crate::target::find::{self, Found, Links, Mounts};
use crate::target::procfs_root::OwnDirectory;
use crate::target::regular_file::{self, FileLookup};

/// Keeps the rights that lookups need: to pass directories, to open cgroups for writing, and to
/// read another process's list of mounts.
pub(super) fn lock_down(
    filter: &Program,
    kept: &[BorrowedFd<'_>],
    own: &OwnDirectory,
    socket: &OwnedFd,
) -> std::result::Result<(), Errno> {
    let now = credentials::capabilities()?;
    let rights = CapabilitySet::EMPTY
        .with(Capability::DAC_OVERRIDE)
        .with(Capability::DAC_READ_SEARCH)
        .with(Capability::SYS_PTRACE)
        .intersection(now.effective);
    credentials::keep_only(rights)?;
    process::set_undumpable()?;
    process::set_no_new_privs()?;
    // A process that is left behind must not keep a pipe of the caller's open.
    let mut numbers: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
    numbers.extend([own.as_fd().as_raw_fd(), socket.as_raw_fd()]);
    descriptor::close_all_but(&numbers)?;
    seccomp::load(filter)
}

pub(super) fn serve(socket: &OwnedFd, own: &OwnDirectory, mounts: Mounts<'_>) -> ! {
    loop {
        let question = match receive(socket) {
            Ok(Some(question)) => question,
            Ok(None) => exit_now(0),
            Err(_) => exit_now(1),
        };
        let answered = match answer(&question, own, mounts) {
            Ok(answer) => {
                let descriptor = answer.descriptor.as_ref().map(AsRawFd::as_raw_fd);
                send(socket, answer.kind, answer.number, &answer.text, descriptor)
            }
            Err(error) => send(socket, messages::ERROR, 0, &encode(&error), None),
        };
        if answered.is_err() {
            exit_now(1);
        }
    }
}

fn answer(question: &Message, own: &OwnDirectory, mounts: Mounts<'_>) -> Result<Message> {
    let path = question.text.as_slice();
    let of = || question.descriptor.as_ref().ok_or_else(ended);
    let look_up = |links| find::find(of()?, path, links, mounts);
    let found = match question.kind {
        messages::FOLLOW => look_up(Links::Followed)?,
        messages::NO_LINKS => look_up(Links::Refused)?,
        messages::READ => {
            let looked = regular_file::look(of()?, path, own, mounts)?;
            return Ok(match looked {
                FileLookup::Absent => Message::of(messages::NOTHING),
                FileLookup::Regular(Ok(text)) => Message::with_text(messages::REGULAR, text),
                FileLookup::Regular(Err(errno)) => Message::with_errno(messages::UNREADABLE, errno),
                FileLookup::Refused(why) => Message::with_text(messages::REFUSED, why.into_bytes()),
            });
        }
        messages::IS_DEVPTS => {
            return Ok(Message::with_number(
                messages::NUMBER,
                is_devpts(of()?)?.into(),
            ));
        }
        messages::OPEN_READ => return Ok(open_cgroup(path, OFlag::O_RDONLY)),
        messages::OPEN_WRITE => return Ok(open_cgroup(path, OFlag::O_WRONLY)),
        _ => return Err(ended()),
    };
    Ok(match found {
        Found::Handle(handle) => Message::with_descriptor(handle),
        Found::Nothing => Message::of(messages::NOTHING),
        Found::Served(kind) => Message::with_text(messages::SERVED, kind.into_vec()),
        Found::TooDeep => Message::of(messages::TOO_DEEP),
        Found::Link => Message::of(messages::LINK),
    })
}

pub(super) fn is_devpts(handle: &OwnedFd) -> Result<bool> {
    let found = fstatfs(handle).context_of(ErrorKind::Target, || {
        "the type of a file system cannot be read".to_owned()
    })?;
    Ok(found.filesystem_type() == DEVPTS_SUPER_MAGIC)
}

/// The finder opens no other file of the caller's on request.
fn open_cgroup(path: &[u8], mode: OFlag) -> Message {
    let flags = mode | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = open(path, flags, Mode::empty()).and_then(|file| {
        let kind = fstatfs(&file)?.filesystem_type();
        let is_cgroup = [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&kind);
        is_cgroup.then_some(file).ok_or(Errno::EXDEV)
    });
    match opened {
        Ok(file) => Message::with_descriptor(file),
        Err(errno) => Message::with_errno(messages::ERRNO, errno),
    }
}
