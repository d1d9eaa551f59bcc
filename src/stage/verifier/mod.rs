//! The verifier: a process that stays outside of the target, reads the state of the child in the
//! caller's /proc, and compares it with the plan.
//!
//! It is cloned before the first join. After that neither the helper nor the child holds a
//! descriptor of a directory of /proc: `..`, `/proc/1/root` and `/proc/sys` are below such a
//! directory, and a process that may trace the child could follow them out of the target through
//! `/proc/CHILD/fd`.
//!
//! It replies to the helper alone. The child inherits a copy of the helper's end of the socket, and
//! a process that may trace the child can take it. So a request from any other process, about any
//! process of the host, ends the verifier. If another process takes a reply, the exec ends.
//!
//! A socket belongs to the network namespace in which it was made, and a process with a copy and
//! CAP_NET_ADMIN there can open and change that namespace (ioctl SIOCGSKNS). So the helper makes a
//! new pair once it has joined a network namespace, and closes the first before it clones the child.
//!
//! The verifier can be stopped, like any process of the caller's. So each request passes the
//! [`Waits`] of the process that waits for the reply: a signal ends every wait.
//!
//! | process | does |
//! |---|---|
//! | helper | clones the verifier, joins, sends it an end of a new socket, clones the child, sends its pid to the verifier |
//! | verifier | opens /proc/CHILD/stat and status, and sends them to the helper |
//! | child | prepares everything but the last filters, and reports that it is ready |
//! | helper | sends the state that the plan requires |
//! | verifier | reads the child's state, compares, replies; ends |
//! | helper | releases the child, or kills it |

pub(crate) mod context;
pub(crate) mod expected;
pub(crate) mod namespaces;
mod reading;
mod refusal;

use std::collections::BTreeSet;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::waits::{End, WaitResult, Waits};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::Capability;
use crate::prepare::cannot_clone::clone_error;
use crate::request::Pid;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{credentials, signal};
use crate::target::{Memberships, Procfs, cgroup};
use context::VerifierContext;
use expected::Expected;
use namespaces::{Namespaces, Of};
use refusal::Refusal;

/// The longest message on the socket, either way.
const MAX_MESSAGE: usize = 64 << 10;

/// How long a process that has closed all of its descriptors may take to become a zombie, before
/// the next check.
const ENDING: TimeSpec = TimeSpec::from_duration(Duration::from_millis(1));

/// A message to the verifier begins with one of these bytes; a pid follows.
const OPEN: u8 = b'O';
const MOVE: u8 = b'M';
const HAND_OVER: u8 = b'H';
const MOUNT: u8 = b'R';
const CHECK: u8 = b'C';
const RENEW: u8 = b'N';
const FILES: u8 = b'F';
/// An answer begins with one of these.
const YES: u8 = b'+';
const NO: u8 = b'-';

/// How much of the child's state the verifier can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceAccess {
    /// Everything.
    Full,
    /// /proc/CHILD/status alone: without CAP_SYS_PTRACE the kernel shows neither the namespaces nor
    /// the root of an undumpable process. The helper compares its own namespaces before it clones
    /// the child.
    StatusOnly,
}

impl NamespaceAccess {
    /// That of a process with this one's capabilities.
    pub(crate) fn of_caller() -> Result<Self> {
        let now = credentials::capabilities().map_err(|errno| {
            Error::new(
                ErrorKind::System,
                "cannot read the capabilities of the helper: capget",
            )
            .with_source(errno)
        })?;
        Ok(if now.effective.contains(Capability::SYS_PTRACE) {
            Self::Full
        } else {
            Self::StatusOnly
        })
    }
}

/// The helper's side of the verifier.
#[derive(Debug)]
pub(crate) struct Verifier {
    pid: Pid,
    socket: End,
    /// The number of seccomp filters that the helper had before it loaded any.
    filters_before: u32,
    /// The child receives its own files from the verifier.
    sends_files: bool,
}

/// The part of the plan that the verifier uses.
#[derive(Debug)]
pub(crate) struct Outside<'a> {
    /// The caller's /proc. No other process needs it after the joins.
    pub(crate) procfs: Procfs,
    pub(crate) memberships: &'a Memberships,
    pub(crate) cgroups: cgroup::Decision,
    /// The program is this process, not its child.
    pub(crate) no_fork: bool,
    /// The child receives its own files ([`super::own_files`]).
    pub(crate) sends_files: bool,
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
    /// Clones the verifier, which takes the contents of `outside` with it.
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
        let context = VerifierContext::read(procfs, outside.memberships, namespaces, cgroups)?;
        // The child inherits a copy of the helper's end: the kernel reports the sender to the
        // verifier.
        let (socket, theirs) = End::reporting_pair().map_err(failed)?;
        let mask = signal::block_all().map_err(failed)?;
        let helper = std::process::id();
        let side = clone(Parentage::Own).map_err(clone_error(
            "the verifier, the process that checks the program's state,",
        ))?;
        match side {
            Side::Child => {
                drop(socket);
                reading::run(helper, theirs, &outside, &context)
            }
            Side::Parent { child, .. } => {
                mask.restore().map_err(failed)?;
                // An open copy in this process would hide the verifier's end.
                nix::unistd::close(theirs).map_err(failed)?;
                Ok(Self {
                    pid: child,
                    socket,
                    filters_before: context.filters(),
                    sends_files: outside.sends_files,
                })
            }
        }
    }

    /// Goes on with a new pair of sockets, of the network namespace that this process is in now.
    ///
    /// # Errors
    /// `System`: the verifier has ended.
    pub(crate) fn renew(&mut self) -> Result<()> {
        let (socket, theirs) = End::reporting_pair().map_err(failed)?;
        let message = request(RENEW, self.pid, &[]);
        self.socket.send_with(&message, &theirs).map_err(failed)?;
        self.socket = socket;
        // An open copy in this process would hide the verifier's end.
        nix::unistd::close(theirs).map_err(failed)
    }

    /// Gives the verifier the socket on which it sends the child its own files. The child must not
    /// inherit this end.
    ///
    /// # Errors
    /// `System`: the verifier has ended.
    pub(crate) fn send_files_on(&self, child_files: OwnedFd) -> Result<()> {
        let message = request(FILES, self.pid, &[]);
        self.socket
            .send_with(&message, &child_files)
            .map_err(failed)?;
        nix::unistd::close(child_files).map_err(failed)
    }

    /// Opens files of the child.
    ///
    /// # Errors
    /// `System`: the verifier has ended. `Unsupported`: /proc hides the child.
    pub(crate) fn open(&self, child: Pid, waits: &dyn Waits) -> WaitResult<ChildFiles> {
        let descriptors = self.ask(OPEN, child, &[], waits)?;
        match <[OwnedFd; 2]>::try_from(descriptors) {
            Ok([stat, status]) => Ok(ChildFiles { stat, status }),
            Err(_) => Err(ended().into()),
        }
    }

    /// Puts the child into the target's cgroups, if they are joined. The helper does
    /// so before the program can run: all of its life is accounted to them.
    ///
    /// # Errors
    /// `System`: the kernel refuses it.
    pub(crate) fn move_to_cgroups(&self, child: Pid, waits: &dyn Waits) -> WaitResult<()> {
        self.ask(MOVE, child, &[], waits).map(drop)
    }

    /// Compares the mount of the planned root of the program, while the helper's own root is still
    /// that of the joined mount namespace. With `--no-fork` the helper enters the program's root
    /// itself, and its mountinfo then shows less.
    ///
    /// # Errors
    /// `Safety`: the root is not in the joined mount namespace.
    pub(crate) fn verify_mount(
        &self,
        helper: Pid,
        expected: &Expected,
        waits: &dyn Waits,
    ) -> WaitResult<()> {
        let expected = expected.encode();
        self.ask(MOUNT, helper, &expected, waits).map(drop)
    }

    /// The number of seccomp filters that the helper had before it loaded any.
    pub(crate) fn filters_before(&self) -> u32 {
        self.filters_before
    }

    /// Compares the child with the state that it must have by now. Sends the child its own files if
    /// it waits for them. This is the last request: the call waits for the verifier's end as well.
    ///
    /// # Errors
    /// `Safety`: the child differs from the plan; the message names the field.
    pub(crate) fn verify(
        &self,
        child: Pid,
        expected: &Expected,
        waits: &dyn Waits,
    ) -> WaitResult<()> {
        self.ask(CHECK, child, &expected.encode(), waits)?;
        if self.sends_files {
            self.ask(HAND_OVER, child, &[], waits)?;
        }
        waits.until(Some(self.socket.hung_up()), None)?;
        // It becomes a zombie soon, unless another process traces it.
        while matches!(
            change(self.pid, WaitMode::NoHang),
            Ok(None | Some(Change::Stopped(_))) | Err(Errno::EINTR)
        ) {
            waits.until(None, Some(ENDING))?;
        }
        Ok(())
    }

    /// Sends a request, and waits for the reply, which may carry descriptors.
    fn ask(
        &self,
        question: u8,
        about: Pid,
        rest: &[u8],
        waits: &dyn Waits,
    ) -> WaitResult<Vec<OwnedFd>> {
        self.socket
            .send(&request(question, about, rest))
            .map_err(failed)?;
        waits.until(Some(self.socket.readable()), None)?;
        let mut answer = vec![0; MAX_MESSAGE];
        let mut descriptors = Vec::new();
        match self.socket.take(&mut answer, &mut descriptors) {
            Ok(length) => check_reply(answer.get(..length).unwrap_or_default())?,
            Err(Errno::EAGAIN) => return Err(taken().into()),
            Err(errno) => return Err(failed(errno).into()),
        }
        Ok(descriptors)
    }

    /// The number of its socket, to keep it open.
    pub(crate) fn number(&self) -> RawFd {
        self.socket.number()
    }
}

fn request(question: u8, about: Pid, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![question];
    message.extend(about.get().to_ne_bytes());
    message.extend(rest);
    message
}

fn check_reply(answer: &[u8]) -> Result<()> {
    match answer.split_first() {
        Some((&YES, _)) => Ok(()),
        Some((&NO, why)) => Err(Refusal::decode(why).into_error()),
        // An end of file: it has ended without a reply.
        _ => Err(ended()),
    }
}

fn failed(errno: Errno) -> Error {
    Error::new(
        ErrorKind::System,
        "cannot communicate with the verifier, the process that checks the program's state",
    )
    .with_source(errno)
}

fn ended() -> Error {
    Error::new(
        ErrorKind::System,
        "the verifier, the process that checks the program's state, has ended",
    )
}

fn taken() -> Error {
    let wrong = "another process took a reply of the verifier from the helper's socket";
    Error::new(ErrorKind::Safety, wrong)
}
