//! `--explain`: a process beside the helper that reports each refusal with its layer and rule.
//!
//! Refusals stay refusals. A filter that would return an errno sends a notification instead, and
//! the explainer replies with that errno; it never permits a call that the filters deny. Without
//! the explainer the kernel returns ENOSYS. The refusals of Landlock, and the calls that filters
//! kill, come from the kernel's audit records. The explainer reads these if auditing is on; only
//! `--explain=audit` switches it on. If it does not read them, the report lists the kinds of
//! refusals that it lacks.
//!
//! | process | action |
//! |---|---|
//! | helper | starts the explainer before it joins anything; sends it an end of a new socket after the joins; loads the ceiling, notifying; names its child; reports the child's end |
//! | child | loads the policy's filter, notifying, and a last one with the listener; sends the listener's number; execve waits in a notification |
//! | explainer | takes the listener out of the child, gives up CAP_SYS_PTRACE, lets the child's execve continue, replies and notes |

//!
//! The child inherits a copy of the helper's end of the control socket at birth, and has an end of
//! its own until execve. So the kernel reports the sender of each message to the explainer: the
//! helper alone names the child, and the child alone the listener. Otherwise a compromised child
//! could make the explainer take a descriptor out of any process of the host.

mod audit_socket;
mod explainer;
mod notes;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::waits::End;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::ResolvedPolicy;
use crate::prepare::cannot_clone::clone_error;
use crate::prepare::policy_origin::Origin;
use crate::request::{Explain, Pid};
use crate::seccomp::notify;
use crate::seccomp::program::Program;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::{seccomp, signal};

/// The helper's side of the explainer.
#[derive(Debug)]
pub(crate) struct Explainer {
    /// The socket on which helper and child send it their messages.
    control: End,
    /// Hung up when the explainer has finished.
    done: OwnedFd,
}

/// A message on the control socket: eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ControlMessage {
    /// The pid of the child.
    Child(i32),
    /// The number of the listener in the child.
    Listener(i32),
    /// The child has ended.
    End,
    /// The next messages come on the attached socket.
    Renewed,
}

impl ControlMessage {
    const LENGTH: usize = 8;

    fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, value) = match self {
            Self::Child(pid) => (1_i32, pid),
            Self::Listener(fd) => (2, fd),
            Self::End => (3, 0),
            Self::Renewed => (4, 0),
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
            4 => Some(Self::Renewed),
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
        let system =
            |errno: Errno| Error::new(ErrorKind::System, "the explainer").with_source(errno);
        let (control, control_end) = End::reporting_pair().map_err(system)?;
        let (done, done_end) = pipe2(OFlag::O_CLOEXEC).map_err(system)?;
        // ^C is for the program; the explainer ends after the program.
        let mask = signal::block_all().map_err(system)?;
        match clone(Parentage::Own).map_err(clone_error("the explainer"))? {
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

    /// Goes on with a new pair of sockets, of the network namespace that this process is in now.
    ///
    /// # Errors
    /// `System`: the explainer has ended.
    pub(crate) fn renew(&mut self) -> Result<()> {
        let system =
            |errno: Errno| Error::new(ErrorKind::System, "the explainer").with_source(errno);
        let (control, theirs) = End::reporting_pair().map_err(system)?;
        let message = ControlMessage::Renewed.to_bytes();
        self.control.send_with(&message, &theirs).map_err(system)?;
        self.control = control;
        Ok(())
    }

    /// Names the child.
    pub(crate) fn watch(&self, child: Pid) -> Result<()> {
        self.control
            .send(&ControlMessage::Child(child.get()).to_bytes())
            .map_err(|errno| Error::new(ErrorKind::System, "the explainer").with_source(errno))
    }

    /// Requests its report. The descriptor is hung up once the report is complete.
    pub(crate) fn finish(self) -> OwnedFd {
        // Another process may have a copy of this end, so closing it is no signal. An explainer
        // that has ended needs no message.
        let _ = self.control.send(&ControlMessage::End.to_bytes());
        self.done
    }

    /// Hung up when the explainer has ended.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// The helper's descriptors for it.
    pub(crate) fn numbers(&self) -> [RawFd; 2] {
        [self.control.number(), self.done.as_raw_fd()]
    }

    /// For the child: the socket on which it sends the listener's number.
    pub(crate) fn control(&self) -> Result<OwnedFd> {
        self.control.for_child().map_err(|error| {
            Error::new(ErrorKind::System, "cannot duplicate a descriptor").with_source(error)
        })
    }

    fn wait_until_ready(&self) -> Result<()> {
        let mut ready = [0];
        loop {
            match nix::unistd::read(&self.done, &mut ready) {
                Ok(1) => return Ok(()),
                Err(Errno::EINTR) => {}
                // The explainer has reported the reason.
                _ => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "--explain: the explainer ended before it was ready",
                    ));
                }
            }
        }
    }
}

/// An explained run.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) explainer: Explainer,
    pub(crate) filters: Notifying,
}

impl Explained {
    /// Makes the policy's filters send notifications, and starts the explainer.
    ///
    /// # Errors
    /// Those of [`Notifying::new`] and [`Explainer::start`].
    pub(crate) fn start(explain: Explain, policy: &ResolvedPolicy, origin: Origin) -> Result<Self> {
        Ok(Self {
            filters: Notifying::new(policy)?,
            explainer: Explainer::start(explain, policy, &origin)?,
        })
    }
}

/// The filters of an explained run.
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
                "--explain: the policy's filters together exceed one filter",
            )
            .with_source(fault)
        };
        let both: Vec<&Program> = workload.into_iter().chain(ceiling).collect();
        let execve = u32::try_from(libc::SYS_execve)
            .map_err(|_| Error::new(ErrorKind::System, "the number of execve exceeds 32 bits"))?;
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

/// Whether the kernel audits the refusals of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audited {
    /// The kernel's default: kills, if it audits at all.
    KernelDefault,
    /// Traps too. For Landlock, `Domain::log_all` requests it.
    Whole,
}

impl Audited {
    pub(crate) fn load_filter(self, program: &Program) -> std::result::Result<(), Errno> {
        match self {
            Self::KernelDefault => seccomp::load(program),
            Self::Whole => seccomp::load_audited(program),
        }
    }
}

/// For the child, after the last filter: sends the listener's number. Allocates nothing.
pub(crate) fn send_listener(control: &OwnedFd, listener: i32) -> std::result::Result<(), Errno> {
    let message = ControlMessage::Listener(listener).to_bytes();
    match nix::unistd::write(control, &message)? {
        ControlMessage::LENGTH => Ok(()),
        _ => Err(Errno::EIO),
    }
}
