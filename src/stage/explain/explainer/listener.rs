//! How the explainer gets the listener of the child's last filter.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};

use super::{ControlMessage, keep};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::request::Pid;
use crate::sys::{credentials, descriptor, pidfd};

/// The child that is explained.
pub(super) struct ExplainedChild {
    pub(super) listener: OwnedFd,
    pub(super) child: u32,
    pub(super) helper: u32,
}

/// Reports that it is ready, and takes the listener out of the child; `None`: there is no child.
/// The helper replaces `control` after the joins.
pub(super) fn take_listener(
    control: &mut OwnedFd,
    done: &OwnedFd,
) -> Result<Option<ExplainedChild>> {
    let system = |what: &'static str| {
        move |errno: Errno| Error::new(ErrorKind::System, what).with_source(errno)
    };
    let now = credentials::capabilities().map_err(system(
        "cannot read the capabilities of the explainer: capget",
    ))?;
    if !now.effective.contains(Capability::SYS_PTRACE) {
        let wrong = "the explainer cannot take the listener of the program's filter";
        return Err(Error::new(ErrorKind::Unsupported, wrong)
            .with_hint("pidfd_getfd requires CAP_SYS_PTRACE: run nsexec as root"));
    }
    nix::unistd::write(done, &[1]).map_err(system("cannot report to the helper"))?;
    let helper = nix::unistd::getppid().as_raw();
    let mut child: Option<(Pid, OwnedFd)> = None;
    loop {
        let Some(received) = receive_message(control).map_err(system("the helper"))? else {
            return Ok(None);
        };
        let sender = received.sender;
        match (received.message, &child) {
            (ControlMessage::End, _) if sender == helper => return Ok(None),
            (ControlMessage::Renewed, None) if sender == helper => {
                let missing = || system("the helper")(Errno::EPROTO);
                *control = received.descriptor.ok_or_else(missing)?;
            }
            (ControlMessage::Child(pid), None) if sender == helper => {
                let pid = Pid::new(pid)
                    .ok_or_else(|| system("cannot open a pidfd of the program")(Errno::ESRCH))?;
                child = Some((
                    pid,
                    pidfd::open(pid).map_err(system("cannot open a pidfd of the program"))?,
                ));
            }
            (ControlMessage::Listener(fd), Some((pid, pidfd))) if sender == pid.get() => {
                let listener = pidfd::duplicate(pidfd.as_fd(), fd).map_err(system(
                    "cannot duplicate the listener of the program's filter: pidfd_getfd",
                ))?;
                keep(CapabilitySet::EMPTY.with(Capability::AUDIT_CONTROL)).map_err(system(
                    "cannot drop the capabilities of the explainer: capset",
                ))?;
                return Ok(Some(ExplainedChild {
                    listener,
                    child: pid.get().unsigned_abs(),
                    helper: helper.unsigned_abs(),
                }));
            }
            _ => {
                let wrong = "the explainer received a message from a process other than the helper and the child";
                return Err(Error::new(ErrorKind::Safety, wrong));
            }
        }
    }
}

/// A message on the control socket.
struct Received {
    message: ControlMessage,
    sender: i32,
    descriptor: Option<OwnedFd>,
}

/// The next message; `None`: no sender is left.
///
/// # Errors
/// EPROTO: the message is invalid. The kernel reports the sender: a process can only name another
/// process in its stead if it sees that process in its own pid namespace and is root of the host.
fn receive_message(control: &OwnedFd) -> std::result::Result<Option<Received>, Errno> {
    let mut word = [0; ControlMessage::LENGTH];
    let (length, sender, descriptor) = loop {
        let mut space = nix::cmsg_space!(UnixCredentials, [RawFd; 1]);
        let mut parts = [IoSliceMut::new(&mut word)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(received) => {
                let (mut sender, mut descriptor) = (None, None);
                for control in received.cmsgs()? {
                    match control {
                        ControlMessageOwned::ScmCredentials(credentials) => {
                            sender = Some(credentials.pid());
                        }
                        ControlMessageOwned::ScmRights(numbers) => {
                            let numbers = numbers.into_iter();
                            descriptor = numbers.map(descriptor::received).next_back();
                        }
                        _ => {}
                    }
                }
                break (received.bytes, sender, descriptor);
            }
        }
    };
    match (length, sender) {
        (0, _) => Ok(None),
        (ControlMessage::LENGTH, Some(sender)) => Ok(Some(Received {
            message: ControlMessage::from_bytes(word).ok_or(Errno::EPROTO)?,
            sender,
            descriptor,
        })),
        _ => Err(Errno::EPROTO),
    }
}

/// Whether the helper reports that the child has ended, or no sender is left to report it.
pub(super) fn reports_end(control: &OwnedFd, helper: u32) -> std::result::Result<bool, Errno> {
    match receive_message(control) {
        Ok(None) => Ok(true),
        Ok(Some(received)) => {
            Ok(received.message == ControlMessage::End && received.sender.unsigned_abs() == helper)
        }
        Err(Errno::EPROTO) => Ok(false),
        Err(errno) => Err(errno),
    }
}
