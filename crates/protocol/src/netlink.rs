//! Protocol B's first message, from the runtime to the code that runs before it:
//! the namespaces to join, the namespaces to create, and the maps of a new user
//! or time namespace.
//!
//! It uses netlink's framing (linux/netlink.h) in native byte order: a header of
//! 16 bytes, then attributes. Each attribute is a length, a type, a value and
//! zeros up to a multiple of four. The configuration follows on the same stream,
//! so the reader reads [`HEADER`] bytes, [`header`] returns the number of bytes
//! that follow, and [`message`] parses them.
//!
//! runc's nsexec.c trusts every length. This parser checks every byte and every
//! attribute: a request that would not be carried out is an error. Spans
//! ([`Fault::span`]) count from the header's first byte.

mod bootstrap;
mod encode;
mod raw;
mod reason;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use nsexec_text::Fault;

pub use bootstrap::{Attribute, Bootstrap, MAX_MESSAGE, Mapping};
pub use encode::encode;
use raw::RawMessage;
pub use reason::BootstrapErrorKind;

/// `struct nlmsghdr`, in bytes.
pub const HEADER: usize = 16;

/// The type of the message, INIT_MSG in libcontainer.
pub const INIT_MSG: u16 = 62_000;

/// `struct nlattr`, in bytes.
const ATTRIBUTE_HEADER: usize = 4;

/// The flags of the message: NLM_F_REQUEST.
const REQUEST: u16 = 1;

/// A valid header. Only [`header`] constructs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    payload: usize,
}

impl Header {
    /// How many bytes follow the header, exactly: at most [`MAX_MESSAGE`] less
    /// [`HEADER`]. The bytes after them are initConfig, which the runtime reads.
    #[must_use]
    pub fn payload_length(self) -> usize {
        self.payload
    }
}

/// Decodes a header of [`HEADER`] bytes. The sequence number is the
/// runtime's own affair.
///
/// # Errors
/// It is shorter, as when the stream ended within it, or it announces another
/// message than this protocol's, or one that is shorter than its own header or
/// longer than [`MAX_MESSAGE`].
pub fn header(bytes: &[u8]) -> Result<Header, Fault<BootstrapErrorKind>> {
    let short = || Fault::new(0..bytes.len(), BootstrapErrorKind::HeaderSize(bytes.len()));
    let bytes: &[u8; HEADER] = bytes.try_into().map_err(|_| short())?;
    let [
        l0,
        l1,
        l2,
        l3,
        t0,
        t1,
        f0,
        f1,
        // The sequence number.
        _,
        _,
        _,
        _,
        p0,
        p1,
        p2,
        p3,
    ] = *bytes;
    let announced = u32::from_ne_bytes([l0, l1, l2, l3]);
    let kind = u16::from_ne_bytes([t0, t1]);
    let flags = u16::from_ne_bytes([f0, f1]);
    let port = u32::from_ne_bytes([p0, p1, p2, p3]);

    if kind != INIT_MSG {
        return Err(Fault::new(4..6, BootstrapErrorKind::Type(kind)));
    }
    if flags != REQUEST {
        return Err(Fault::new(6..8, BootstrapErrorKind::Flags(flags)));
    }
    if port != 0 {
        return Err(Fault::new(12..16, BootstrapErrorKind::Port(port)));
    }
    let payload = usize::try_from(announced)
        .ok()
        .filter(|length| *length <= MAX_MESSAGE)
        .ok_or(Fault::new(0..4, BootstrapErrorKind::TooLong(announced)))?
        .checked_sub(HEADER)
        .ok_or(Fault::new(0..4, BootstrapErrorKind::Length(announced)))?;
    Ok(Header { payload })
}

/// Parses the message after this header; `payload` is the rest of the message.
/// Attributes may come in any order.
///
/// CLONE_FLAGS is required: a message without it would create fewer namespaces
/// than intended. ROOTLESS_EUID is false if absent: libcontainer always sends
/// it, but its own tests of nsexec.c do not.
///
/// # Errors
/// The payload is longer or shorter than the header states, or the first error:
/// first in the framing, then in single values, then in their combination.
pub fn message(header: Header, payload: &[u8]) -> Result<Bootstrap, Fault<BootstrapErrorKind>> {
    let announced = HEADER + header.payload;
    let end = HEADER + payload.len();
    if end < announced {
        return Err(Fault::new(
            end..end,
            BootstrapErrorKind::Truncated { announced, end },
        ));
    }
    if end > announced {
        return Err(Fault::new(announced..end, BootstrapErrorKind::Trailing));
    }
    RawMessage::split(payload)?.resolve(end)
}
