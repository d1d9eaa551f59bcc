//! Waits between clone and execve, each of which a signal ends.
//!
//! The child inherits a copy of each descriptor of the helper, and so does a process that may trace
//! the child: it can take a message away, fill a queue, and clear O_NONBLOCK, which all copies
//! share. The replying process can be stopped. So an [`End`] has no call that blocks, with any
//! flags; only [`Waits`] waits, which knows the signals of the process.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    send, sendmsg, setsockopt, socketpair, sockopt::PassCred,
};
use nix::sys::time::TimeSpec;

use crate::error::{Error, ErrorKind};
use crate::sys::descriptor;

/// The reason why a wait failed.
#[derive(Debug)]
pub(crate) enum WaitError {
    /// This signal ends the process first.
    Signal(i32),
    Failed(Error),
}

impl WaitError {
    /// For a process on which signals have their default effect.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Signal(signal) => {
                Error::new(ErrorKind::System, format!("signal {signal} ended the wait"))
            }
            Self::Failed(error) => error,
        }
    }
}

impl From<Error> for WaitError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The awaited value, unless a signal ends the process first.
pub(crate) type WaitResult<T> = Result<T, WaitError>;

/// A way to wait without missing the signals of the process.
pub(crate) trait Waits {
    /// Waits until `wanted` has one of its events or is hung up, or until `limit`.
    fn until(&self, wanted: Option<PollFd<'_>>, limit: Option<TimeSpec>) -> WaitResult<()>;
}

/// Signals are delivered to this process while it waits, and have their default effect. The signals
/// of this mask, or of the process's own mask, are excepted.
#[derive(Debug)]
pub(crate) struct Delivered(pub(crate) Option<SigSet>);

impl Waits for Delivered {
    fn until(&self, wanted: Option<PollFd<'_>>, limit: Option<TimeSpec>) -> WaitResult<()> {
        let mut wanted: Vec<PollFd<'_>> = wanted.into_iter().collect();
        loop {
            match ppoll(&mut wanted, limit, self.0) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

/// A wait itself failed.
pub(crate) fn failed(errno: Errno) -> WaitError {
    WaitError::Failed(
        Error::new(ErrorKind::System, "cannot wait for a reply: poll").with_source(errno),
    )
}

/// This process's end of a pair of sockets.
#[derive(Debug)]
pub(crate) struct End(OwnedFd);

impl End {
    /// This end and the other, both CLOEXEC. `Stream`: bytes; `SeqPacket`: messages.
    pub(crate) fn pair(kind: SockType) -> Result<(Self, OwnedFd), Errno> {
        let (own, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(own), other))
    }

    /// To wait until there is data, or until no process is left that could send.
    pub(crate) fn readable(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }

    /// To wait until no process has the other end.
    pub(crate) fn hung_up(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::empty())
    }

    /// A copy for the child, which only sends on it.
    pub(crate) fn for_child(&self) -> std::io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Its number, to keep it open. No safe call can read from a number.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Receives the available data, with at most two descriptors; 0: no sender is left.
    ///
    /// # Errors
    /// EAGAIN: there is no data. After [`Waits::until`] this means that another process took it.
    pub(crate) fn take(
        &self,
        into: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<usize, Errno> {
        let mut space = nix::cmsg_space!([RawFd; 2]);
        let mut parts = [IoSliceMut::new(into)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let received = recvmsg::<()>(self.number(), &mut parts, Some(&mut space), flags)?;
        for control in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                descriptors.extend(fds.into_iter().map(descriptor::received));
            }
        }
        Ok(received.bytes)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// EAGAIN: there is no room. The few messages of the helper always fit, so another process has
    /// filled the queue.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        send_at_once(self.number(), bytes)
    }

    /// The same, with a copy of a descriptor.
    ///
    /// # Errors
    /// EAGAIN, as for [`Self::send`].
    pub(crate) fn send_with(&self, bytes: &[u8], descriptor: &OwnedFd) -> Result<(), Errno> {
        let numbers = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let parts = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(self.number(), &parts, &rights, flags, None)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// Two ends for messages. The kernel reports the sender of each message to the other end.
    pub(crate) fn reporting_pair() -> Result<(Self, OwnedFd), Errno> {
        let (own, other) = Self::pair(SockType::SeqPacket)?;
        setsockopt(&other, PassCred, &true)?;
        Ok((own, other))
    }
}

/// Sends all of `bytes` on a socket, without waiting for room.
///
/// # Errors
/// EAGAIN: there is no room.
pub(crate) fn send_at_once(socket: RawFd, bytes: &[u8]) -> Result<(), Errno> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    match send(socket, bytes, flags)? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_of_an_end_blocks_even_without_o_nonblock() {
        for kind in [SockType::Stream, SockType::SeqPacket] {
            let (end, other) = End::pair(kind).unwrap();
            let mut bytes = [0; 4];
            assert_eq!(end.take(&mut bytes, &mut Vec::new()), Err(Errno::EAGAIN));
            while end.send(&[0; 4096]).is_ok() {}
            assert!(matches!(
                end.send(&[0; 4096]),
                Err(Errno::EAGAIN | Errno::EIO)
            ));
            drop(other);
            Delivered(None).until(Some(end.hung_up()), None).unwrap();
        }
    }
}
