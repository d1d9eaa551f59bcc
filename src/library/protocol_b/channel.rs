//! The messages between the stages. The end of a stage's process closes its side, so no stage waits
//! for a dead one.
//!
//! Stage 2 inherits a copy of stage 1's end, in namespaces of other processes. So the
//! kernel reports the sender of each message to stage 0 (SCM_CREDENTIALS, unix(7)): a
//! pid that stage 0 reports to the runtime comes from stage 1.

use std::io::{IoSlice, IoSliceMut};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    UnixCredentials, recvmsg, sendmsg, setsockopt, socketpair, sockopt::PassCred,
};

use crate::error::{Error, ErrorKind, Result};
use crate::request::Pid;

/// One end; CLOEXEC.
///
/// A drop leaves it open. Stage 0 takes the end of file for the death of a stage, and kills its
/// process. If a failing stage closed its end when its functions return, stage 0 would kill it
/// before it has written the reason. So the end stays open until the process ends, unless
/// [`Self::close`] closes it.
#[derive(Debug)]
pub(super) struct Channel(ManuallyDrop<OwnedFd>);

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Stage 1: my user namespace needs its maps.
    MapIds,
    /// Stage 1: my children's time namespace needs its offsets.
    SetTimeOffsets,
    /// Stage 1: this is stage 2. Its pidfd is attached.
    Started(Pid),
    /// Stage 0: done. To stage 2: go on.
    Done,
    /// Stage 1, stage 2: I need nothing more.
    Finished,
}

impl Message {
    const LENGTH: usize = 8;

    fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, value) = match self {
            Self::MapIds => (1, 0),
            Self::SetTimeOffsets => (2, 0),
            Self::Started(pid) => (3, pid.get()),
            Self::Done => (4, 0),
            Self::Finished => (5, 0),
        };
        let mut bytes = [0; Self::LENGTH];
        let (first, second) = bytes.split_at_mut(Self::LENGTH / 2);
        first.copy_from_slice(&i32::to_ne_bytes(kind));
        second.copy_from_slice(&value.to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let kind = i32::from_ne_bytes([a, b, c, d]);
        let value = i32::from_ne_bytes([e, f, g, h]);
        match (kind, value) {
            (1, 0) => Some(Self::MapIds),
            (2, 0) => Some(Self::SetTimeOffsets),
            (3, pid) => Pid::new(pid).map(Self::Started),
            (4, 0) => Some(Self::Done),
            (5, 0) => Some(Self::Finished),
            _ => None,
        }
    }
}

/// A received message.
#[derive(Debug)]
struct Received {
    message: Message,
    descriptor: Option<OwnedFd>,
    /// The pid of the sender, at an end with SO_PASSCRED.
    sender: Option<i32>,
}

impl Channel {
    /// Two ends. The first, stage 0's, receives the sender's pid with each message.
    pub(super) fn pair() -> Result<(Self, Self)> {
        let kind = SockType::SeqPacket;
        let pair = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC);
        let (one, other) = pair.map_err(|errno| {
            Error::new(ErrorKind::System, "cannot create a socket pair").with_source(errno)
        })?;
        setsockopt(&one, PassCred, &true).map_err(|errno| {
            Error::new(ErrorKind::System, "cannot create a socket pair").with_source(errno)
        })?;
        Ok((Self(ManuallyDrop::new(one)), Self(ManuallyDrop::new(other))))
    }

    /// Closes this end: for a process that is another stage, and for a stage that has succeeded.
    pub(super) fn close(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }

    /// Sends a message, with a descriptor attached to it.
    pub(super) fn send(
        &self,
        message: Message,
        descriptor: Option<&OwnedFd>,
    ) -> std::result::Result<(), Errno> {
        let bytes = message.to_bytes();
        let numbers = descriptor.map(|fd| [fd.as_raw_fd()]);
        let rights = numbers.as_ref().map(|fds| ControlMessage::ScmRights(fds));
        let sent = sendmsg::<UnixAddr>(
            self.0.as_raw_fd(),
            &[IoSlice::new(&bytes)],
            rights.as_slice(),
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Errno::EMSGSIZE)
        }
    }

    /// The other side's message; `None`: it has ended.
    ///
    /// # Errors
    /// EPROTO: the message is invalid.
    pub(super) fn receive(&self) -> std::result::Result<Option<(Message, Option<OwnedFd>)>, Errno> {
        let received = self.receive_whole()?;
        Ok(received.map(|received| (received.message, received.descriptor)))
    }

    /// A message of the stage with this pid to stage 0; `None`: it has ended.
    ///
    /// # Errors
    /// EPROTO: no message has this form. EPERM: another process sent it.
    pub(super) fn receive_from(
        &self,
        stage: Pid,
    ) -> std::result::Result<Option<(Message, Option<OwnedFd>)>, Errno> {
        match self.receive_whole()? {
            None => Ok(None),
            Some(received) if received.sender == Some(stage.get()) => {
                Ok(Some((received.message, received.descriptor)))
            }
            Some(_) => Err(Errno::EPERM),
        }
    }

    fn receive_whole(&self) -> std::result::Result<Option<Received>, Errno> {
        let mut bytes = [0; Message::LENGTH];
        let mut control = cmsg_space!([std::os::fd::RawFd; 1], UnixCredentials);
        let (length, descriptor, sender) = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let received = recvmsg::<UnixAddr>(
                self.0.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_CMSG_CLOEXEC,
            );
            match received {
                Err(Errno::EINTR) => {}
                // A side that died with unread data.
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno),
                Ok(received) => {
                    let (mut descriptor, mut sender) = (None, None);
                    for message in received.cmsgs()? {
                        match message {
                            ControlMessageOwned::ScmRights(fds) => {
                                descriptor = fds.first().copied();
                            }
                            ControlMessageOwned::ScmCredentials(of) => sender = Some(of.pid()),
                            _ => {}
                        }
                    }
                    break (received.bytes, descriptor, sender);
                }
            }
        };
        let descriptor = descriptor.map(crate::sys::descriptor::received);
        match length {
            0 => Ok(None),
            Message::LENGTH => {
                let message = Message::from_bytes(bytes).ok_or(Errno::EPROTO)?;
                Ok(Some(Received {
                    message,
                    descriptor,
                    sender,
                }))
            }
            _ => Err(Errno::EPROTO),
        }
    }

    /// Sends a request, and waits for [`Message::Done`].
    ///
    /// # Errors
    /// `System`: the other side has ended, or sends another message.
    pub(super) fn request(&self, message: Message, descriptor: Option<&OwnedFd>) -> Result<()> {
        let failed = |errno| {
            Error::new(ErrorKind::System, "cannot communicate with stage 0").with_source(errno)
        };
        self.send(message, descriptor).map_err(failed)?;
        match self.receive().map_err(failed)? {
            Some((Message::Done, None)) => Ok(()),
            Some(_) => Err(failed(Errno::EPROTO)),
            None => Err(failed(Errno::EPIPE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_received_with_its_descriptor() {
        let (one, other) = Channel::pair().unwrap();
        let pid = Pid::new(i32::MAX).unwrap();
        for message in [
            Message::MapIds,
            Message::SetTimeOffsets,
            Message::Started(pid),
            Message::Done,
            Message::Finished,
        ] {
            one.send(message, None).unwrap();
            let (received, descriptor) = other.receive().unwrap().unwrap();
            assert_eq!(received, message);
            assert!(descriptor.is_none());
        }
        let (read, write) = nix::unistd::pipe().unwrap();
        one.send(Message::Started(pid), Some(&write)).unwrap();
        drop(write);
        let (_, descriptor) = other.receive().unwrap().unwrap();
        nix::unistd::write(descriptor.unwrap(), b"x").unwrap();
        let mut byte = [0; 2];
        assert_eq!(nix::unistd::read(&read, &mut byte), Ok(1));
    }

    #[test]
    fn stage_0_accepts_messages_only_of_the_stage() {
        let (stage0, other) = Channel::pair().unwrap();
        let own = Pid::new(std::process::id().try_into().unwrap()).unwrap();
        let (_, write) = nix::unistd::pipe().unwrap();
        let started = Message::Started(own);
        other.send(started, Some(&write)).unwrap();
        let (received, descriptor) = stage0.receive_from(own).unwrap().unwrap();
        assert_eq!(received, started);
        assert!(descriptor.is_some());
        other.send(started, Some(&write)).unwrap();
        let another = Pid::new(own.get() + 1).unwrap();
        assert_eq!(stage0.receive_from(another).unwrap_err(), Errno::EPERM);
        other.close();
        assert!(stage0.receive_from(own).unwrap().is_none());
    }

    #[test]
    fn the_end_of_the_other_side_is_detected_at_once() {
        let (one, other) = Channel::pair().unwrap();
        one.send(Message::MapIds, None).unwrap();
        other.close();
        assert!(one.receive().unwrap().is_none());
        assert_eq!(one.send(Message::MapIds, None), Err(Errno::EPIPE));
        assert!(one.request(Message::MapIds, None).is_err());
    }

    #[test]
    fn a_side_that_is_dropped_stays_open() {
        let one = {
            let (one, _dropped) = Channel::pair().unwrap();
            one
        };
        assert_eq!(one.send(Message::MapIds, None), Ok(()));
    }

    #[test]
    fn other_messages_are_refused() {
        let (one, other) = Channel::pair().unwrap();
        for wrong in [
            [0_u8; 8],
            [1, 0, 0, 0, 1, 0, 0, 0],
            [9; 8],
            [3, 0, 0, 0, 0, 0, 0, 0],
        ] {
            nix::unistd::write(&*one.0, &wrong).unwrap();
            assert_eq!(other.receive().unwrap_err(), Errno::EPROTO);
        }
        nix::unistd::write(&*one.0, &[1]).unwrap();
        assert_eq!(other.receive().unwrap_err(), Errno::EPROTO);
    }
}
