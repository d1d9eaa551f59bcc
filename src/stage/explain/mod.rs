//! `--explain`: a process beside the helper that tells what was refused, by
//! which layer and rule.
//!
//! Refusals stay refusals. The filters notify where they would answer with an
//! errno, and the explainer answers with that errno; it never lets a call
//! through that they deny. Without it the kernel answers ENOSYS. Landlock's
//! refusals, and what filters kill, come from the kernel's audit records: those are
//! read where auditing is on, and it is switched on for `--explain=audit` alone. Where
//! they are not read, the report names what it does not know.
//!
//! | who | does |
//! |---|---|
//! | helper | starts the explainer before it joins anything; loads the ceiling, notifying; names its child; says when that has ended |
//! | child | loads the policy's filter, notifying, and a last one with the listener; tells its number; execve waits in a notification |
//! | explainer | takes the listener out of the child, gives up CAP_SYS_PTRACE, lets the child's execve go on, answers and notes |

//!
//! The child is born with a copy of the helper's end of the control socket, and has an
//! end of its own until execve. So the kernel tells the explainer who speaks: the helper
//! alone names the child, and the child alone the listener. Else a child that was
//! taken over could have a descriptor of any process of the host taken out of it.

mod audit_socket;
mod explainer;
mod notes;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{SockType, setsockopt, sockopt::PassCred};
use nix::unistd::pipe2;

use super::waits::End;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::ResolvedPolicy;
use crate::prepare::cannot_clone::cannot_make;
use crate::prepare::policy_origin::Origin;
use crate::request::{Explain, Pid};
use crate::seccomp::notify;
use crate::seccomp::program::Program;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::{seccomp, signal};

/// The helper's side of the explainer.
#[derive(Debug)]
pub(crate) struct Explainer {
    /// Where helper and child tell it what it has to know.
    control: End,
    /// Hung up when it is done.
    done: OwnedFd,
}

/// What is told over the control socket: a message of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The pid of the child.
    Child(i32),
    /// The number of the listener in the child.
    Listener(i32),
    /// The child has ended.
    End,
}

impl Word {
    const LENGTH: usize = 8;

    fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, value) = match self {
            Self::Child(pid) => (1_i32, pid),
            Self::Listener(fd) => (2, fd),
            Self::End => (3, 0),
        };
        let [a, b, c, d] = kind.to_ne_bytes();
        let [e, f, g, h] = value.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }

    fn from_bytes([a, b, c, d, e, f, g, h]: [u8; Self::LENGTH]) -> Option<Self> {
        let value = i32::from_ne_bytes([e, f, g, h]);
        match i32::from_ne_bytes([a, b, c, d]) {
            1 => Some(Self::Child(value)),
            2 => Some(Self::Listener(value)),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

impl Explainer {
    /// Starts the explainer of this policy's refusals.
    ///
    /// # Errors
    /// `Unsupported`: it cannot take the listener out of the child here.
    pub(crate) fn start(
        explain: Explain,
        policy: &ResolvedPolicy,
        origin: &Origin,
    ) -> Result<Self> {
        let system = |errno: Errno| Error::new(ErrorKind::System, "the explainer").because(errno);
        let (control, control_end) = End::pair(SockType::SeqPacket).map_err(system)?;
        setsockopt(&control_end, PassCred, &true).map_err(system)?;
        let (done, done_end) = pipe2(OFlag::O_CLOEXEC).map_err(system)?;
        // ^C is for the program; the explainer ends when that has ended.
        let mask = signal::block_all().map_err(system)?;
        match clone(Parentage::Own).map_err(cannot_make("the explainer"))? {
            Side::Child => {
                drop((control, done));
                explainer::explain(explain, control_end, done_end, policy, origin)
            }
            Side::Parent { .. } => {
                drop((control_end, done_end));
                mask.restore().map_err(system)?;
                let own = Self { control, done };
                own.wait_until_ready()?;
                Ok(own)
            }
        }
    }

    /// Names the child.
    pub(crate) fn watch(&self, child: Pid) -> Result<()> {
        self.control
            .send(&Word::Child(child.get()).to_bytes())
            .map_err(|errno| Error::new(ErrorKind::System, "the explainer").because(errno))
    }

    /// Lets it report what it knows. The descriptor is hung up when it has.
    pub(crate) fn finish(self) -> OwnedFd {
        // Somebody else may have a copy of this end, so that its end says nothing. An
        // explainer that has ended needs not be told.
        let _ = self.control.send(&Word::End.to_bytes());
        self.done
    }

    /// Hung up when the explainer has ended.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// What the helper holds of it.
    pub(crate) fn numbers(&self) -> [RawFd; 2] {
        [self.control.number(), self.done.as_raw_fd()]
    }

    /// For the child: where it tells the number of the listener.
    pub(crate) fn control(&self) -> Result<OwnedFd> {
        self.control.for_child().map_err(|error| {
            Error::new(ErrorKind::System, "a descriptor cannot be copied").because(error)
        })
    }

    fn wait_until_ready(&self) -> Result<()> {
        let mut ready = [0];
        loop {
            match nix::unistd::read(&self.done, &mut ready) {
                Ok(1) => return Ok(()),
                Err(Errno::EINTR) => {}
                // It has said why.
                _ => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "--explain cannot work here",
                    ));
                }
            }
        }
    }
}

/// A run that is explained.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) explainer: Explainer,
    pub(crate) filters: Notifying,
}

impl Explained {
    /// Makes the policy's filters notifying, and starts who listens.
    ///
    /// # Errors
    /// As [`Notifying::new`] and [`Explainer::start`].
    pub(crate) fn start(explain: Explain, policy: &ResolvedPolicy, origin: Origin) -> Result<Self> {
        Ok(Self {
            filters: Notifying::new(policy)?,
            explainer: Explainer::start(explain, policy, &origin)?,
        })
    }
}

/// The filters of a run that is explained.
#[derive(Debug)]
pub(crate) struct Notifying {
    pub(crate) ceiling: Option<Program>,
    pub(crate) workload: Option<Program>,
    /// Loaded last, with a listener.
    pub(crate) last: Program,
}

impl Notifying {
    /// Of the policy's filters.
    ///
    /// # Errors
    /// `Policy`: together they are too long for one filter.
    pub(crate) fn new(policy: &ResolvedPolicy) -> Result<Self> {
        let ceiling = policy.ceiling.seccomp.enforced();
        let workload = policy.workload.seccomp.enforced();
        let too_long = |fault| {
            Error::new(
                ErrorKind::Policy,
                "--explain: the policy's filters together",
            )
            .because(fault)
        };
        let both: Vec<&Program> = workload.into_iter().chain(ceiling).collect();
        let execve = u32::try_from(libc::SYS_execve)
            .map_err(|_| Error::new(ErrorKind::System, "the number of execve"))?;
        let notifying = |program: Option<&Program>| {
            program.map(notify::notifying).transpose().map_err(too_long)
        };
        Ok(Self {
            ceiling: notifying(ceiling)?,
            workload: notifying(workload)?,
            last: notify::listening(&both, execve).map_err(too_long)?,
        })
    }
}

/// Whether the kernel audits what the layers refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audited {
    /// As it does by itself: kills, if it audits at all.
    AsEver,
    /// Traps too. Of Landlock's, `Domain::log_all` says so.
    Whole,
}

impl Audited {
    pub(crate) fn load_filter(self, program: &Program) -> std::result::Result<(), Errno> {
        match self {
            Self::AsEver => seccomp::load(program),
            Self::Whole => seccomp::load_audited(program),
        }
    }
}

/// For the child, after the last filter: tells the listener's number. Allocates
/// nothing.
pub(crate) fn tell_listener(control: &OwnedFd, listener: i32) -> std::result::Result<(), Errno> {
    let word = Word::Listener(listener).to_bytes();
    match nix::unistd::write(control, &word)? {
        Word::LENGTH => Ok(()),
        _ => Err(Errno::EIO),
    }
}
