//! Protocol B's message, read from the init pipe to the exact byte.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::prepare::fitness::{self, Use};
use crate::wire::netlink::{self, Bootstrap};

/// A copy of the init pipe; the pipe itself stays the runtime's.
pub(super) fn take(number: i32) -> Result<OwnedFd> {
    let name = "_LIBCONTAINER_INITPIPE=";
    fitness::take(ErrorKind::Protocol, name, number, Use::ReadAndWrite)
}

/// Requests the message of runc 1.1 (initWaiter in libcontainer).
pub(super) fn send_leading_nul(pipe: &OwnedFd) -> Result<()> {
    let failed = |errno| {
        let wrong = "cannot send the leading NUL to the runtime";
        Error::new(ErrorKind::Protocol, wrong).with_source(errno)
    };
    match nix::unistd::write(pipe, &[0]).map_err(failed)? {
        1 => Ok(()),
        _ => Err(failed(Errno::EIO)),
    }
}

/// Reads the message, and not one byte more: initConfig follows it.
pub(super) fn read(pipe: &OwnedFd) -> Result<Bootstrap> {
    let wrong = |fault: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Protocol, format!("netlink message: {fault}"))
    };
    let header = read_whole(pipe, netlink::HEADER)?;
    let header = netlink::header(&header).map_err(|fault| wrong(&fault))?;
    let payload = read_whole(pipe, header.payload_length())?;
    netlink::message(header, &payload).map_err(|fault| wrong(&fault))
}

/// Reads `length` bytes, or all bytes up to an earlier end.
fn read_whole(pipe: &OwnedFd, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::read(pipe, rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::EINTR) => {}
            Err(errno) => {
                let wrong = "failed to read the netlink message";
                return Err(Error::new(ErrorKind::Protocol, wrong).with_source(errno));
            }
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
