//! The kernel's audit records, during a run with --explain.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use nsexec_kernel_text::audit::{self, Message};

/// 1 << (AUDIT_NLGRP_READLOG - 1)
const READ_LOG: u32 = 1;
/// A record has at most 8970 bytes (MAX_AUDIT_MESSAGE_LENGTH).
const MAX_DATAGRAM: usize = 16 * 1024;
/// The receive buffer in bytes, for records that arrive faster than the explainer reads them.
const BUFFER: usize = 1 << 20;

/// Whether there are records to read.
#[derive(Debug)]
pub(super) enum Opened {
    Listening(AuditSocket),
    /// Auditing is off, and the caller did not request it.
    Off,
}

/// A listener to audit records.
#[derive(Debug)]
pub(super) struct AuditSocket {
    socket: OwnedFd,
    switched_on: bool,
}

impl AuditSocket {
    /// Starts to listen. If auditing is off and `switch_on` is set, switches it on until
    /// [`AuditSocket::restore`].
    ///
    /// # Errors
    /// EPERM: no CAP_AUDIT_READ or CAP_AUDIT_CONTROL in the initial user namespace, or not in the
    /// initial pid namespace. EPROTONOSUPPORT: a kernel without auditing.
    pub(super) fn open(switch_on: bool) -> Result<Opened, Errno> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkAudit,
        )?;
        // More than net.core.rmem_max if that is possible. Otherwise records may be lost, which
        // recv(2) reports.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, READ_LOG))?;
        let mut own = Self {
            socket,
            switched_on: false,
        };
        let status = own.ask(&audit::get_status(), audit::GET)?;
        if audit::enabled(&status).ok_or(Errno::EPROTO)? == 0 {
            if !switch_on {
                return Ok(Opened::Off);
            }
            own.ask(&audit::set_enabled(1), audit::ANSWER)?;
            own.switched_on = true;
        }
        Ok(Opened::Listening(own))
    }

    /// The next datagram in the queue; `None`: the queue is empty.
    ///
    /// # Errors
    /// ENOBUFS: records were lost.
    pub(super) fn next(&self) -> Result<Option<Vec<u8>>, Errno> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Restores the previous state of auditing; returns whether auditing was on until now.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(super) fn restore(&mut self) -> Result<bool, Errno> {
        let status = self.ask(&audit::get_status(), audit::GET)?;
        let was_on = audit::enabled(&status).ok_or(Errno::EPROTO)? != 0;
        if std::mem::take(&mut self.switched_on) && was_on {
            self.ask(&audit::set_enabled(0), audit::ANSWER)?;
        }
        Ok(was_on)
    }

    /// Sends a request and waits for the reply; drops records that arrive before it.
    fn ask(&self, request: &[u8], wanted: u16) -> Result<Vec<u8>, Errno> {
        send(self.socket.as_raw_fd(), request, MsgFlags::empty())?;
        loop {
            let mut buffer = vec![0; MAX_DATAGRAM];
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            buffer.truncate(length);
            for Message { kind, payload } in audit::messages(&buffer).map_err(|_| Errno::EPROTO)? {
                let errno = (kind == audit::ANSWER).then(|| audit::answer(payload));
                match errno {
                    Some(Some(0)) | None if kind == wanted => return Ok(payload.to_vec()),
                    Some(Some(0)) | None => {}
                    Some(Some(errno)) => return Err(Errno::from_raw(errno)),
                    Some(None) => return Err(Errno::EPROTO),
                }
            }
        }
    }
}

impl AsFd for AuditSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
