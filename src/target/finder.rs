//! A process that looks up paths for the helper.
//!
//! A target can block a lookup uninterruptibly on any file system: one thread lists a directory
//! into memory that never arrives, a second one waits to write to the directory, and a process that
//! then looks up a name there waits for both. So the helper looks nothing up. It waits for a reply,
//! a wait that every signal ends, and leaves this process behind.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    recvmsg, sendmsg, shutdown, socketpair,
};
use nix::sys::stat::Mode;
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, fstatfs};

use super::find::{self, Found, Links, Mounts};
use super::procfs_root::{OwnDirectory, Procfs};
use super::regular_file::{self, FileLookup};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::request::Pid;
use crate::seccomp::program::Program;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::descriptor::{self, received};
use crate::sys::process::exit_now;
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{process, seccomp, signal};

/// The process that looks up paths.
#[derive(Clone, Copy)]
pub(crate) enum PathResolver<'a> {
    /// The finder.
    Finder(&'a Finder),
    /// This process: that of a runtime, which looks up paths in its own root.
    OwnProcess(Mounts<'a>),
}

impl PathResolver<'_> {
    pub(crate) fn find(self, root: &OwnedFd, path: &[u8], links: Links) -> Result<Found> {
        match self {
            Self::Finder(finder) => finder.find(root, path, links),
            Self::OwnProcess(mounts) => find::find(root, path, links, mounts),
        }
    }

    /// Whether a handle is on a devpts file system. The request goes to the file system's server.
    pub(crate) fn is_devpts(self, handle: &OwnedFd) -> Result<bool> {
        match self {
            Self::Finder(finder) => finder.is_devpts(handle),
            Self::OwnProcess(_) => is_devpts(handle),
        }
    }
}

fn is_devpts(handle: &OwnedFd) -> Result<bool> {
    let found = fstatfs(handle).map_err(|errno| {
        Error::new(ErrorKind::Target, "the type of a file system").with_source(errno)
    })?;
    Ok(found.filesystem_type() == DEVPTS_SUPER_MAGIC)
}

/// The helper's side.
#[derive(Debug)]
pub(crate) struct Finder {
    pid: Pid,
    socket: OwnedFd,
}

/// A request: a byte, the length of a path, the path, and a descriptor.
const FOLLOW: u8 = b'f';
const NO_LINKS: u8 = b'n';
const READ: u8 = b'r';
const IS_DEVPTS: u8 = b'p';
const OPEN_READ: u8 = b'i';
const OPEN_WRITE: u8 = b'o';

/// A reply: a byte, a number, the length of a text, the text.
const DESCRIPTOR: u8 = b'd';
const NOTHING: u8 = b'n';
const SERVED: u8 = b's';
const TOO_DEEP: u8 = b't';
const LINK: u8 = b'l';
const REGULAR: u8 = b'r';
const UNREADABLE: u8 = b'u';
const REFUSED: u8 = b'x';
const ERRNO: u8 = b'e';
const ERROR: u8 = b'E';
const NUMBER: u8 = b'#';

/// The bytes before a text.
const HEAD: usize = 1 + 4 + 4;

#[derive(Debug)]
struct Answer {
    kind: u8,
    number: i32,
    text: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

impl Finder {
    /// Clones the finder, which keeps `kept` and no other descriptor.
    ///
    /// # Errors
    /// `System`: the process cannot be cloned.
    pub(crate) fn start(
        filter: &Program,
        kept: &[BorrowedFd<'_>],
        procfs: &Procfs,
        mounts: Mounts<'_>,
        cannot_clone: impl FnOnce(Errno) -> Error,
    ) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (socket, theirs) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, flags).map_err(failed)?;
        // The helper's signals neither end nor stop it.
        let mask = signal::block_all().map_err(failed)?;
        let helper = std::process::id();
        match clone(Parentage::Own) {
            Ok(Side::Child) => {
                drop(socket);
                // First of all: a process that is stopped before this outlives the helper.
                if process::bind_to(helper).is_err() {
                    exit_now(1);
                }
                match procfs.own_directory() {
                    Ok(own) if lock_down(filter, kept, &own, &theirs).is_ok() => {
                        serve(&theirs, &own, mounts)
                    }
                    _ => exit_now(1),
                }
            }
            Ok(Side::Parent { child, .. }) => {
                mask.restore().map_err(failed)?;
                Ok(Self { pid: child, socket })
            }
            Err(errno) => {
                mask.restore().map_err(failed)?;
                Err(cannot_clone(errno))
            }
        }
    }

    /// Looks up `path` below `root`.
    pub(crate) fn find(&self, root: &OwnedFd, path: &[u8], links: Links) -> Result<Found> {
        let question = match links {
            Links::Followed => FOLLOW,
            Links::Refused => NO_LINKS,
        };
        let answer = self.request(question, Some(root), path)?;
        match (answer.kind, answer.descriptor) {
            (DESCRIPTOR, Some(handle)) => Ok(Found::Handle(handle)),
            (NOTHING, None) => Ok(Found::Nothing),
            (SERVED, None) => Ok(Found::Served(OsStringExt::from_vec(answer.text))),
            (TOO_DEEP, None) => Ok(Found::TooDeep),
            (LINK, None) => Ok(Found::Link),
            _ => Err(ended()),
        }
    }

    /// Looks up `path` below `root`, and reads it if it is a regular file.
    pub(super) fn read(&self, root: &OwnedFd, path: &[u8]) -> Result<FileLookup> {
        let answer = self.request(READ, Some(root), path)?;
        match answer.kind {
            NOTHING => Ok(FileLookup::Absent),
            REGULAR => Ok(FileLookup::Regular(Ok(answer.text))),
            UNREADABLE => Ok(FileLookup::Regular(Err(Errno::from_raw(answer.number)))),
            REFUSED => Ok(FileLookup::Refused(
                String::from_utf8_lossy(&answer.text).into_owned(),
            )),
            _ => Err(ended()),
        }
    }

    fn is_devpts(&self, handle: &OwnedFd) -> Result<bool> {
        let answer = self.request(IS_DEVPTS, Some(handle), &[])?;
        match answer.kind {
            NUMBER => Ok(answer.number != 0),
            _ => Err(ended()),
        }
    }

    /// Opens a file of a cgroup with `mode`: O_RDONLY or O_WRONLY. EXDEV: it is on another file
    /// system.
    pub(crate) fn open_cgroup(
        &self,
        path: &Path,
        mode: OFlag,
    ) -> Result<std::result::Result<OwnedFd, Errno>> {
        let question = match mode.contains(OFlag::O_WRONLY) {
            true => OPEN_WRITE,
            false => OPEN_READ,
        };
        let answer = self.request(question, None, path.as_os_str().as_bytes())?;
        match (answer.kind, answer.descriptor) {
            (DESCRIPTOR, Some(file)) => Ok(Ok(file)),
            (ERRNO, None) => Ok(Err(Errno::from_raw(answer.number))),
            _ => Err(ended()),
        }
    }

    fn request(&self, question: u8, of: Option<&OwnedFd>, path: &[u8]) -> Result<Answer> {
        let of = of.map(AsRawFd::as_raw_fd);
        send(&self.socket, question, 0, path, of).map_err(failed)?;
        let answer = receive(&self.socket).map_err(failed)?.ok_or_else(ended)?;
        match answer.kind {
            ERROR => Err(decode(&answer.text).unwrap_or_else(ended)),
            _ => Ok(answer),
        }
    }
}

impl Drop for Finder {
    /// Ends it: it waits for the next request by then.
    fn drop(&mut self) {
        // Other processes may have copies of this end.
        if shutdown(self.socket.as_raw_fd(), Shutdown::Both).is_err() {
            return;
        }
        loop {
            match change(self.pid, WaitMode::Block) {
                Ok(Some(Change::Exited(_) | Change::Signaled(_))) => return,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Keeps the rights that lookups need: to pass directories, to open cgroups for writing, and to
/// read another process's list of mounts.
fn lock_down(
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
    credentials::clear_ambient_set()?;
    credentials::set_capabilities(CapabilityState {
        effective: rights,
        permitted: rights,
        inheritable: CapabilitySet::EMPTY,
    })?;
    process::set_undumpable()?;
    process::set_no_new_privs()?;
    // A process that is left behind must not keep a pipe of the caller's open.
    let mut numbers: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
    numbers.extend([own.as_fd().as_raw_fd(), socket.as_raw_fd()]);
    descriptor::close_all_but(&numbers)?;
    seccomp::load(filter)
}

fn serve(socket: &OwnedFd, own: &OwnDirectory, mounts: Mounts<'_>) -> ! {
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
            Err(error) => send(socket, ERROR, 0, &encode(&error), None),
        };
        if answered.is_err() {
            exit_now(1);
        }
    }
}

fn answer(question: &Answer, own: &OwnDirectory, mounts: Mounts<'_>) -> Result<Answer> {
    let path = question.text.as_slice();
    let of = || question.descriptor.as_ref().ok_or_else(ended);
    let look_up = |links| find::find(of()?, path, links, mounts);
    let found = match question.kind {
        FOLLOW => look_up(Links::Followed)?,
        NO_LINKS => look_up(Links::Refused)?,
        READ => {
            let looked = regular_file::look(of()?, path, own, mounts)?;
            return Ok(match looked {
                FileLookup::Absent => Answer::of(NOTHING),
                FileLookup::Regular(Ok(text)) => Answer::with_text(REGULAR, text),
                FileLookup::Regular(Err(errno)) => Answer::with_errno(UNREADABLE, errno),
                FileLookup::Refused(why) => Answer::with_text(REFUSED, why.into_bytes()),
            });
        }
        IS_DEVPTS => return Ok(Answer::with_number(NUMBER, is_devpts(of()?)?.into())),
        OPEN_READ | OPEN_WRITE => {
            let mode = match question.kind {
                OPEN_READ => OFlag::O_RDONLY,
                _ => OFlag::O_WRONLY,
            };
            let flags = mode | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
            let opened = open(path, flags, Mode::empty()).and_then(|file| {
                // The finder opens no other file of the caller's on request.
                let kind = fstatfs(&file)?.filesystem_type();
                let is_cgroup = [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&kind);
                is_cgroup.then_some(file).ok_or(Errno::EXDEV)
            });
            return Ok(match opened {
                Ok(file) => Answer::with_descriptor(file),
                Err(errno) => Answer::with_errno(ERRNO, errno),
            });
        }
        _ => return Err(ended()),
    };
    Ok(match found {
        Found::Handle(handle) => Answer::with_descriptor(handle),
        Found::Nothing => Answer::of(NOTHING),
        Found::Served(kind) => Answer::with_text(SERVED, kind.into_vec()),
        Found::TooDeep => Answer::of(TOO_DEEP),
        Found::Link => Answer::of(LINK),
    })
}

impl Answer {
    fn of(kind: u8) -> Self {
        Self {
            kind,
            number: 0,
            text: Vec::new(),
            descriptor: None,
        }
    }

    fn with_text(kind: u8, text: Vec<u8>) -> Self {
        Self {
            text,
            ..Self::of(kind)
        }
    }

    fn with_number(kind: u8, number: i32) -> Self {
        Self {
            number,
            ..Self::of(kind)
        }
    }

    #[expect(
        clippy::as_conversions,
        reason = "the only way from Errno to its number"
    )]
    fn with_errno(kind: u8, errno: Errno) -> Self {
        Self::with_number(kind, errno as i32)
    }

    fn with_descriptor(descriptor: OwnedFd) -> Self {
        Self {
            descriptor: Some(descriptor),
            ..Self::of(DESCRIPTOR)
        }
    }
}

fn send(
    socket: &OwnedFd,
    kind: u8,
    number: i32,
    text: &[u8],
    descriptor: Option<RawFd>,
) -> std::result::Result<(), Errno> {
    let length = u32::try_from(text.len()).map_err(|_| Errno::EMSGSIZE)?;
    let mut head = vec![kind];
    head.extend(number.to_ne_bytes());
    head.extend(length.to_ne_bytes());
    let rights = descriptor.as_slice();
    let rights = [ControlMessage::ScmRights(rights)];
    let control: &[ControlMessage<'_>] = match descriptor {
        Some(_) => &rights,
        None => &[],
    };
    let whole = [head.as_slice(), text].concat();
    let fd = socket.as_raw_fd();
    let mut sent = 0;
    while let Some(rest) = whole.get(sent..).filter(|rest| !rest.is_empty()) {
        let parts = [std::io::IoSlice::new(rest)];
        // The descriptor travels with the first byte.
        let control = if sent == 0 { control } else { &[] };
        match sendmsg::<()>(fd, &parts, control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(length) => sent += length,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A request or a reply; `None`: the other side has ended.
fn receive(socket: &OwnedFd) -> std::result::Result<Option<Answer>, Errno> {
    let mut descriptor = None;
    let mut head = [0; HEAD];
    if !fill(socket, &mut head, &mut descriptor)? {
        return Ok(None);
    }
    let [kind, rest @ ..] = head;
    let (number, length) = rest.split_first_chunk::<4>().ok_or(Errno::EPROTO)?;
    let length = length.first_chunk::<4>().ok_or(Errno::EPROTO)?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).map_err(|_| Errno::EPROTO)?;
    if length > MOST {
        return Err(Errno::EPROTO);
    }
    let mut text = vec![0; length];
    if !fill(socket, &mut text, &mut descriptor)? {
        return Ok(None);
    }
    Ok(Some(Answer {
        kind,
        number: i32::from_ne_bytes(*number),
        text,
        descriptor,
    }))
}

/// The longest text: the content of a file and one excess byte.
const MOST: usize = regular_file::MOST + 1;

/// Whether all of `into` arrived before the other side's end.
fn fill(
    socket: &OwnedFd,
    into: &mut [u8],
    descriptor: &mut Option<OwnedFd>,
) -> std::result::Result<bool, Errno> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let mut space = nix::cmsg_space!(RawFd);
        let mut parts = [std::io::IoSliceMut::new(rest)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Ok(message) => {
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = control {
                        for number in numbers {
                            *descriptor = Some(received(number));
                        }
                    }
                }
                if message.bytes == 0 {
                    return Ok(false);
                }
                filled += message.bytes;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// An error as it travels: its kind, and its texts.
type Carried = (u8, String, Option<String>, Option<String>);

fn encode(error: &Error) -> Vec<u8> {
    let kind = ErrorKind::ALL.iter().position(|kind| *kind == error.kind());
    let source = std::error::Error::source(error).map(ToString::to_string);
    let carried: Carried = (
        kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(0),
        error.message().to_owned(),
        error.hint().map(str::to_owned),
        source,
    );
    serde_json::to_vec(&carried).unwrap_or_default()
}

fn decode(text: &[u8]) -> Option<Error> {
    let (kind, wrong, right, source): Carried = serde_json::from_slice(text).ok()?;
    let mut error = Error::new(*ErrorKind::ALL.get(usize::from(kind))?, wrong);
    if let Some(right) = right {
        error = error.with_hint(right);
    }
    Some(match source {
        Some(source) => error.with_source(source),
        None => error,
    })
}

fn failed(errno: Errno) -> Error {
    Error::new(ErrorKind::System, "the process that looks files up").with_source(errno)
}

fn ended() -> Error {
    Error::new(
        ErrorKind::System,
        "the process that looks files up has ended",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_across_whole() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "wrong")
                .with_hint("right")
                .with_source("why");
            let carried = decode(&encode(&error)).expect("an error");
            assert_eq!(carried.kind(), kind);
            assert_eq!(carried.to_string(), error.to_string());
            let error = Error::new(kind, "wrong");
            let carried = decode(&encode(&error)).expect("an error");
            assert_eq!(carried.to_string(), "wrong");
        }
    }
}
