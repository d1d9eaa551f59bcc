//! The messages between the helper and the finder.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::error::{Error, ErrorKind};
use crate::sys::descriptor::received;
use crate::target::regular_file;

/// A request: a byte, the length of a path, the path, and a descriptor.
pub(super) const FOLLOW: u8 = b'f';
pub(super) const NO_LINKS: u8 = b'n';
pub(super) const READ: u8 = b'r';
pub(super) const IS_DEVPTS: u8 = b'p';
pub(super) const OPEN_READ: u8 = b'i';
pub(super) const OPEN_WRITE: u8 = b'o';

/// A reply: a byte, a number, the length of a text, the text.
pub(super) const DESCRIPTOR: u8 = b'd';
pub(super) const NOTHING: u8 = b'n';
pub(super) const SERVED: u8 = b's';
pub(super) const TOO_DEEP: u8 = b't';
pub(super) const LINK: u8 = b'l';
pub(super) const REGULAR: u8 = b'r';
pub(super) const UNREADABLE: u8 = b'u';
pub(super) const REFUSED: u8 = b'x';
pub(super) const ERRNO: u8 = b'e';
pub(super) const ERROR: u8 = b'E';
pub(super) const NUMBER: u8 = b'#';

/// The bytes before a text.
const HEAD: usize = 1 + 4 + 4;

/// A request or a reply.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) number: i32,
    pub(super) text: Vec<u8>,
    pub(super) descriptor: Option<OwnedFd>,
}

impl Message {
    pub(super) fn of(kind: u8) -> Self {
        Self {
            kind,
            number: 0,
            text: Vec::new(),
            descriptor: None,
        }
    }

    pub(super) fn with_text(kind: u8, text: Vec<u8>) -> Self {
        Self {
            text,
            ..Self::of(kind)
        }
    }

    pub(super) fn with_number(kind: u8, number: i32) -> Self {
        Self {
            number,
            ..Self::of(kind)
        }
    }

    #[expect(
        clippy::as_conversions,
        reason = "the only way from Errno to its number"
    )]
    pub(super) fn with_errno(kind: u8, errno: Errno) -> Self {
        Self::with_number(kind, errno as i32)
    }

    pub(super) fn with_descriptor(descriptor: OwnedFd) -> Self {
        Self {
            descriptor: Some(descriptor),
            ..Self::of(DESCRIPTOR)
        }
    }
}

pub(super) fn send(
    socket: &OwnedFd,
    kind: u8,
    number: i32,
    text: &[u8],
    descriptor: Option<RawFd>,
) -> std::result::Result<(), Errno> {
    let length = u32::try_from(text.len()).map_err(|_| Errno::EMSGSIZE)?;
    let mut head = vec![kind];
    head.extend(number.to_ne_bytes());
    head.extend(length.to_ne_bytes());
    let rights = descriptor.as_slice();
    let rights = [ControlMessage::ScmRights(rights)];
    let control: &[ControlMessage<'_>] = match descriptor {
        Some(_) => &rights,
        None => &[],
    };
    let whole = [head.as_slice(), text].concat();
    let fd = socket.as_raw_fd();
    let mut sent = 0;
    while let Some(rest) = whole.get(sent..).filter(|rest| !rest.is_empty()) {
        let parts = [std::io::IoSlice::new(rest)];
        // The descriptor travels with the first byte.
        let control = if sent == 0 { control } else { &[] };
        match sendmsg::<()>(fd, &parts, control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(length) => sent += length,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A request or a reply; `None`: the other side has ended.
pub(super) fn receive(socket: &OwnedFd) -> std::result::Result<Option<Message>, Errno> {
    let mut descriptor = None;
    let mut head = [0; HEAD];
    if !fill(socket, &mut head, &mut descriptor)? {
        return Ok(None);
    }
    let [kind, rest @ ..] = head;
    let (number, length) = rest.split_first_chunk::<4>().ok_or(Errno::EPROTO)?;
    let length = length.first_chunk::<4>().ok_or(Errno::EPROTO)?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).map_err(|_| Errno::EPROTO)?;
    if length > MOST {
        return Err(Errno::EPROTO);
    }
    let mut text = vec![0; length];
    if !fill(socket, &mut text, &mut descriptor)? {
        return Ok(None);
    }
    Ok(Some(Message {
        kind,
        number: i32::from_ne_bytes(*number),
        text,
        descriptor,
    }))
}

/// The longest text: the content of a file and one excess byte.
const MOST: usize = regular_file::MOST + 1;

/// Whether all of `into` arrived before the other side's end.
fn fill(
    socket: &OwnedFd,
    into: &mut [u8],
    descriptor: &mut Option<OwnedFd>,
) -> std::result::Result<bool, Errno> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let mut space = nix::cmsg_space!(RawFd);
        let mut parts = [std::io::IoSliceMut::new(rest)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Ok(message) => {
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = control {
                        for number in numbers {
                            *descriptor = Some(received(number));
                        }
                    }
                }
                if message.bytes == 0 {
                    return Ok(false);
                }
                filled += message.bytes;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// An error as it travels: its kind, and its texts.
type Carried = (u8, String, Option<String>, Option<String>);

pub(super) fn encode(error: &Error) -> Vec<u8> {
    let kind = ErrorKind::ALL.iter().position(|kind| *kind == error.kind());
    let source = std::error::Error::source(error).map(ToString::to_string);
    let carried: Carried = (
        kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(0),
        error.message().to_owned(),
        error.hint().map(str::to_owned),
        source,
    );
    serde_json::to_vec(&carried).unwrap_or_default()
}

pub(super) fn decode(text: &[u8]) -> Option<Error> {
    let (kind, wrong, right, source): Carried = serde_json::from_slice(text).ok()?;
    let mut error = Error::new(*ErrorKind::ALL.get(usize::from(kind))?, wrong);
    if let Some(right) = right {
        error = error.with_hint(right);
    }
    Some(match source {
        Some(source) => error.with_source(source),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_transferred_completely() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "wrong")
                .with_hint("right")
                .with_source("why");
            let carried = decode(&encode(&error)).expect("an error");
            assert_eq!(carried.kind(), kind);
            assert_eq!(carried.to_string(), error.to_string());
            let error = Error::new(kind, "wrong");
            let carried = decode(&encode(&error)).expect("an error");
            assert_eq!(carried.to_string(), "wrong");
        }
    }
}
