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

mod encode;
mod raw;
mod reason;
mod resolve;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::CString;

use crate::id_map_lines;
use crate::ns_paths::{self, NamespacePath};
use crate::path::MAX_PATH;
use crate::time_offsets::{self, TimeOffsets};
use nsexec_kernel_text::procfs::id_map::IdMap;
use nsexec_request::Namespace;
use nsexec_text::Fault;

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

/// Longest message, in bytes, about 63 kB: every attribute once, with the longest
/// value that has a meaning. So nothing is refused for its length alone, and a
/// length from outside makes nobody allocate more than that.
pub const MAX_MESSAGE: usize = HEADER
    + 3 * number_size()
    + text_size(ns_paths::MAX_BYTES)
    + 2 * text_size(id_map_lines::MAX_BYTES)
    + text_size("-1000".len())
    + 2 * text_size(MAX_PATH)
    + text_size(time_offsets::MAX_BYTES);

const fn number_size() -> usize {
    ATTRIBUTE_HEADER + size_of::<u32>()
}

/// With its NUL and its padding.
const fn text_size(length: usize) -> usize {
    (ATTRIBUTE_HEADER + length + 1).next_multiple_of(4)
}

/// An attribute; the names are libcontainer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// 27281: CLONE_NEW* as a number.
    CloneFlags,
    /// 27282: [`ns_paths`].
    NsPaths,
    /// 27283: [`id_map_lines`].
    UidMap,
    /// 27284: [`id_map_lines`].
    GidMap,
    /// 27285: 0 or 1.
    Setgroup,
    /// 27286: [`oom_score_adj`](crate::oom_score_adj).
    OomScoreAdj,
    /// 27287: 0 or 1.
    RootlessEuid,
    /// 27288: the path of newuidmap(1).
    UidMapPath,
    /// 27289: the path of newgidmap(1).
    GidMapPath,
    /// 27290: [`time_offsets`].
    TimeOffsets,
}

impl Attribute {
    /// Every attribute, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::CloneFlags,
        Self::NsPaths,
        Self::UidMap,
        Self::GidMap,
        Self::Setgroup,
        Self::OomScoreAdj,
        Self::RootlessEuid,
        Self::UidMapPath,
        Self::GidMapPath,
        Self::TimeOffsets,
    ];

    /// Its type in a message.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::CloneFlags => 27_281,
            Self::NsPaths => 27_282,
            Self::UidMap => 27_283,
            Self::GidMap => 27_284,
            Self::Setgroup => 27_285,
            Self::OomScoreAdj => 27_286,
            Self::RootlessEuid => 27_287,
            Self::UidMapPath => 27_288,
            Self::GidMapPath => 27_289,
            Self::TimeOffsets => 27_290,
        }
    }

    /// Its name in runc's nsexec.c, less `_ATTR`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CloneFlags => "CLONE_FLAGS",
            Self::NsPaths => "NS_PATHS",
            Self::UidMap => "UIDMAP",
            Self::GidMap => "GIDMAP",
            Self::Setgroup => "SETGROUP",
            Self::OomScoreAdj => "OOM_SCORE_ADJ",
            Self::RootlessEuid => "ROOTLESS_EUID",
            Self::UidMapPath => "UIDMAPPATH",
            Self::GidMapPath => "GIDMAPPATH",
            Self::TimeOffsets => "TIMENSOFFSET",
        }
    }
}

/// A valid header. Only [`header`] constructs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    payload: usize,
}

impl Header {
    /// How many bytes follow the header, exactly: at most [`MAX_MESSAGE`] less
    /// [`HEADER`]. The next one on the stream belongs to someone else.
    #[must_use]
    pub fn payload_length(self) -> usize {
        self.payload
    }
}

/// The request in the message. [`message`] parses one, and [`encode`] writes one
/// that keeps the rules documented here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The namespaces to create.
    pub create: BTreeSet<Namespace>,
    /// The namespaces to join, in the message's order: no type twice, and none
    /// that is created.
    pub join: Vec<NamespacePath>,
    /// The user ids of the new user namespace.
    pub uid_map: Option<Mapping>,
    /// Its group ids.
    pub gid_map: Option<Mapping>,
    /// The group ids are more than the runtime's own one, so that setgroups(2)
    /// stays allowed; without a map for them this is false.
    pub setgroups: bool,
    /// The value for oom_score_adj: -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// The runtime is not root: it leaves supplementary groups alone, and denies
    /// setgroups(2) unless `setgroups`.
    pub rootless_euid: bool,
    /// The offsets of the time namespace that is created.
    pub time_offsets: Option<TimeOffsets>,
}

/// The ids of a new user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The map for `/proc/PID/{uid,gid}_map`.
    pub map: IdMap,
    /// newuidmap(1) or newgidmap(1), for a writer that lacks the capability:
    /// absolute, at most [`MAX_PATH`] bytes.
    pub tool: Option<CString>,
}

/// The header that `bytes` are, [`HEADER`] of them. The sequence number is the
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
