//! The verifier: a process that stays outside of the target, reads the state of
//! the child in the caller's /proc, and compares it with the plan.
//!
//! It is cloned before the first join. After that neither the helper nor the child
//! holds a descriptor of /proc: below such a directory lie `..`, `/proc/1/root` and
//! `/proc/sys`, and whoever may trace the child could follow them out of the target
//! through `/proc/CHILD/fd`.
//!
//! It answers the helper alone. The child is born with a copy of the helper's end of
//! the socket, and whoever may trace the child has it then: a question of any other
//! process, about any process of the host, ends the verifier instead.
//!
//! | process | does |
//! |---|---|
//! | helper | clones the verifier, joins, clones the child, names it to the verifier |
//! | verifier | opens /proc/CHILD/stat and status, and sends them to the helper |
//! | child | prepares everything but the last filters, and reports that it is ready |
//! | helper | sends the state that the plan asks for |
//! | verifier | reads the child's state, compares, answers; ends |
//! | helper | lets the child go on, or kills it |

pub(crate) mod expected;
pub(crate) mod namespaces;
mod reading;
mod refusal;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt,
    socketpair, sockopt::PassCred,
};

use super::cannot_clone::cannot_make;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::Capability;
use crate::request::Pid;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::wait::{Change, Patience, change};
use crate::sys::{credentials, descriptor, signal};
use crate::target::{Memberships, Procfs, cgroup};
use expected::{Expected, Surroundings};
use namespaces::{Namespaces, Of};
use refusal::Refusal;

/// The longest message on the socket, either way.
const MAX_MESSAGE: usize = 64 << 10;

/// A message to the verifier begins with one of these bytes; a pid follows.
const OPEN: u8 = b'O';
const MOVE: u8 = b'M';
const HAND_OVER: u8 = b'H';
const MOUNT: u8 = b'R';
const CHECK: u8 = b'C';
/// An answer begins with one of these.
const YES: u8 = b'+';
const NO: u8 = b'-';

/// How much of the child the verifier can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything.
    Whole,
    /// /proc/CHILD/status alone: without CAP_SYS_PTRACE the kernel shows neither
    /// namespaces nor root of an undumpable process. The helper compares its own
    /// namespaces before it clones the child.
    StatusAlone,
}

impl Sight {
    /// Of a process with this one's capabilities.
    pub(crate) fn of_caller() -> Result<Self> {
        let now = credentials::capabilities()
            .map_err(|errno| Error::new(ErrorKind::System, "capget").because(errno))?;
        Ok(if now.effective.contains(Capability::SYS_PTRACE) {
            Self::Whole
        } else {
            Self::StatusAlone
        })
    }
}

/// The helper's side of the verifier.
#[derive(Debug)]
pub(crate) struct Verifier {
    pid: Pid,
    socket: OwnedFd,
    /// How many seccomp filters the helper had before it loaded any.
    filters_before: u32,
    /// The child waits for its own files.
    gives: bool,
}

/// The part of the plan that the verifier works with.
#[derive(Debug)]
pub(crate) struct Outside<'a> {
    /// The caller's /proc. Nobody else needs it after the joins.
    pub(crate) procfs: Procfs,
    pub(crate) memberships: &'a Memberships,
    pub(crate) cgroups: cgroup::Decision,
    /// The program is this process, and not a child of it.
    pub(crate) no_fork: bool,
    /// Where the child receives its own files from ([`super::own_files`]).
    pub(crate) gift: Option<OwnedFd>,
}

/// Files of the child in the caller's /proc, for reading.
#[derive(Debug)]
pub(crate) struct ChildFiles {
    /// /proc/CHILD/stat
    pub(crate) stat: OwnedFd,
    /// /proc/CHILD/status
    pub(crate) status: OwnedFd,
}

impl Verifier {
    /// Clones the verifier, which takes what `outside` has with it.
    ///
    /// # Errors
    /// `System`: the process cannot be cloned.
    pub(crate) fn start(outside: Outside<'_>) -> Result<Self> {
        let of = if outside.no_fork {
            Of::Joined
        } else {
            Of::Child
        };
        let namespaces = Namespaces::new(outside.memberships, &BTreeSet::new(), of);
        let (procfs, cgroups) = (&outside.procfs, &outside.cgroups);
        let surroundings = Surroundings::look(procfs, outside.memberships, namespaces, cgroups)?;
        let (socket, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(failed)?;
        // The child is born with a copy of the helper's end: the verifier is told
        // who asks.
        setsockopt(&theirs, PassCred, &true).map_err(failed)?;
        let mask = signal::block_all().map_err(failed)?;
        let helper = std::process::id();
        let side =
            clone(Parentage::Own).map_err(cannot_make("the process that verifies the program"))?;
        match side {
            Side::Child => {
                drop(socket);
                reading::run(helper, &theirs, &outside, &surroundings)
            }
            Side::Parent { child, .. } => {
                mask.restore().map_err(failed)?;
                Ok(Self {
                    pid: child,
                    socket,
                    filters_before: surroundings.filters(),
                    gives: outside.gift.is_some(),
                })
            }
        }
    }

    /// Opens files of the child.
    ///
    /// # Errors
    /// `System`: the verifier has ended. `Unsupported`: /proc hides the child.
    pub(crate) fn open(&self, child: Pid) -> Result<ChildFiles> {
        self.send(OPEN, child, &[])?;
        let descriptors = self.receive()?;
        match <[OwnedFd; 2]>::try_from(descriptors) {
            Ok([stat, status]) => Ok(ChildFiles { stat, status }),
            Err(_) => Err(ended()),
        }
    }

    /// Puts the child into the target's cgroups, if they are joined. The helper does
    /// so before the program can run: all of its life is accounted to them.
    ///
    /// # Errors
    /// `System`: the kernel refuses it.
    pub(crate) fn move_to_cgroups(&self, child: Pid) -> Result<()> {
        self.send(MOVE, child, &[])?;
        self.receive().map(drop)
    }

    /// For a helper that reports the child's pid and ends: has the child's own files
    /// sent to it, and its state compared.
    ///
    /// # Errors
    /// `Safety`: the child is not what the plan says; the message names the field.
    pub(crate) fn verify(self, child: Pid, expected: &Expected) -> Result<()> {
        self.ask(child, expected)?;
        self.answer()?;
        if self.gives {
            self.hand_over(child)?;
        }
        self.finish();
        Ok(())
    }

    /// Compares the mount of the root that the program is to have, while the helper's
    /// own root is still that of the joined mount namespace. With `--no-fork` the
    /// helper enters the program's root itself, and its mountinfo then shows less.
    ///
    /// # Errors
    /// `Safety`: the root is not in the joined mount namespace.
    pub(crate) fn verify_mount(&self, helper: Pid, expected: &Expected) -> Result<()> {
        self.send(MOUNT, helper, &expected.encode())?;
        self.receive().map(drop)
    }

    /// Has the child's own files sent to the child.
    ///
    /// # Errors
    /// `System`: the verifier has ended.
    fn hand_over(&self, child: Pid) -> Result<()> {
        self.send(HAND_OVER, child, &[])?;
        self.receive().map(drop)
    }

    /// How many seccomp filters the helper had before it loaded any.
    pub(crate) fn filters_before(&self) -> u32 {
        self.filters_before
    }

    /// Sends the state that the child has to have by now. The answer is received
    /// with [`Verifier::answer`].
    ///
    /// # Errors
    /// `System`: the verifier has ended.
    pub(crate) fn ask(&self, child: Pid, expected: &Expected) -> Result<()> {
        self.send(CHECK, child, &expected.encode())
    }

    /// Waits for the answer to [`Verifier::ask`].
    ///
    /// # Errors
    /// `Safety`: the child is not what the plan says; the message names the field.
    pub(crate) fn answer(&self) -> Result<()> {
        // read(2), which the supervisor's filter allows, and not recvmsg(2).
        let mut bytes = vec![0; MAX_MESSAGE];
        let length = loop {
            match nix::unistd::read(&self.socket, &mut bytes) {
                Err(Errno::EINTR) => {}
                read => break read.map_err(failed)?,
            }
        };
        judge(bytes.get(..length).unwrap_or_default())
    }

    /// Ends it, answer or not.
    pub(crate) fn finish(self) {
        let Self { pid, socket, .. } = self;
        // It ends when nobody is left to ask.
        drop(socket);
        reap(pid);
    }

    /// Waits for its end after its answer.
    pub(crate) fn reap(&self) {
        reap(self.pid);
    }
    fn send(&self, kind: u8, child: Pid, rest: &[u8]) -> Result<()> {
        let mut message = vec![kind];
        message.extend(child.get().to_ne_bytes());
        message.extend(rest);
        match nix::unistd::write(&self.socket, &message) {
            Ok(written) if written == message.len() => Ok(()),
            Ok(_) => Err(ended()),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// The descriptors that came with an answer.
    fn receive(&self) -> Result<Vec<OwnedFd>> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = nix::cmsg_space!([RawFd; 2]);
        let mut descriptors = Vec::new();
        let length = loop {
            let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let fd = self.socket.as_raw_fd();
            match recvmsg::<()>(fd, &mut parts, Some(&mut space), flags) {
                Ok(message) => {
                    for control in message.cmsgs().map_err(failed)? {
                        if let ControlMessageOwned::ScmRights(fds) = control {
                            descriptors.extend(fds.into_iter().map(descriptor::received));
                        }
                    }
                    break message.bytes;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        };
        judge(bytes.get(..length).unwrap_or_default())?;
        Ok(descriptors)
    }
}

fn judge(answer: &[u8]) -> Result<()> {
    match answer.split_first() {
        Some((&YES, _)) => Ok(()),
        Some((&NO, why)) => Err(Refusal::decode(why).into_error()),
        // An end of file: it has ended without an answer.
        _ => Err(ended()),
    }
}

impl AsFd for Verifier {
    /// Readable when an answer is there, and when the verifier has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn reap(pid: Pid) {
    while !matches!(
        change(pid, Patience::Wait),
        Ok(Some(Change::Exited(_) | Change::Signaled(_))) | Err(Errno::ECHILD)
    ) {}
}

fn failed(errno: Errno) -> Error {
    Error::new(ErrorKind::System, "the process that verifies the program").because(errno)
}

fn ended() -> Error {
    Error::new(
        ErrorKind::System,
        "the process that verifies the program has ended",
    )
}
