//! Protocol B's message, taken off the init pipe to the byte.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::descriptor;
use crate::wire::netlink::{self, Bootstrap};

/// A copy of the init pipe, which stays the runtime's.
pub(super) fn take(number: i32) -> Result<OwnedFd> {
    descriptor::duplicate_number(number).map_err(|errno| {
        let wrong = format!("_LIBCONTAINER_INITPIPE={number}");
        Error::new(ErrorKind::Protocol, wrong).because(errno)
    })
}

/// Reads the message, and not a byte more: initConfig comes after it.
pub(super) fn read(pipe: &OwnedFd, leading_nul: bool) -> Result<Bootstrap> {
    let wrong = |fault: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Protocol, format!("netlink message: {fault}"))
    };
    if leading_nul {
        let nul = read_whole(pipe, 1)?;
        if nul != [0] {
            return Err(wrong(&"it does not begin with the NUL of runc 1.1"));
        }
    }
    let header = read_whole(pipe, netlink::HEADER)?;
    let header = netlink::header(&header).map_err(|fault| wrong(&fault))?;
    let payload = read_whole(pipe, header.payload_length())?;
    netlink::message(header, &payload).map_err(|fault| wrong(&fault))
}

/// `length` bytes, or as many as there are before the end.
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
                return Err(Error::new(ErrorKind::Protocol, wrong).because(errno));
            }
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
