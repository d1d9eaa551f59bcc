//! The errors of the message, and the correct forms.

use std::fmt;

use crate::netlink::{Attribute, HEADER, INIT_MSG, MAX_MESSAGE};
use crate::path::MAX_PATH;
use crate::{id_map_lines, ns_paths, oom_score_adj, time_offsets};
use nsexec_request::Namespace;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapErrorKind {
    /// Not [`HEADER`] bytes: the stream ended before.
    HeaderSize(usize),
    /// The length of the message is less than its header's.
    Length(u32),
    /// The length of the message is more than [`MAX_MESSAGE`].
    TooLong(u32),
    /// Another type than [`INIT_MSG`].
    Type(u16),
    /// Other flags than NLM_F_REQUEST.
    Flags(u16),
    /// A port other than 0: only the runtime sends messages.
    Port(u32),
    /// Fewer bytes than the header states: the stream ended early.
    Truncated {
        /// The length of the message, by its header.
        announced: usize,
        /// Its actual length.
        end: usize,
    },
    /// More bytes than the header states.
    Trailing,
    /// One to three bytes where an attribute or the end should be.
    AttributeHeader,
    /// The length of an attribute is less than its header's.
    AttributeLength(u16),
    /// The length of an attribute exceeds the message.
    Overrun(u16),
    /// A value is not followed by zeros up to a multiple of four.
    Padding,
    /// A type that no attribute has.
    Unknown(u16),
    /// An attribute that was there before.
    Repeated(Attribute),
    /// A required attribute is missing.
    Missing(Attribute),
    /// A number that has not four bytes.
    NumberSize(Attribute, usize),
    /// Neither 0 nor 1.
    Flag(Attribute, u32),
    /// A text without a NUL at its end, or an empty text.
    NoNul(Attribute),
    /// A text with a NUL before its end.
    InnerNul(Attribute),
    /// Bits that are no CLONE_NEW* flag.
    CloneFlags(u32),
    /// Within NS_PATHS.
    NsPaths(ns_paths::NsPathsErrorKind),
    /// Within UIDMAP or GIDMAP.
    IdMap(Attribute, id_map_lines::IdMapLinesErrorKind),
    /// Within OOM_SCORE_ADJ.
    OomScoreAdj(oom_score_adj::OomScoreAdjErrorKind),
    /// Within TIMENSOFFSET.
    TimeOffsets(time_offsets::TimeOffsetsErrorKind),
    /// UIDMAPPATH or GIDMAPPATH is not an absolute path of at most [`MAX_PATH`] bytes.
    Tool(Attribute),
    /// A namespace that NS_PATHS joins and CLONE_FLAGS creates.
    JoinedAndCreated(Namespace),
    /// An attribute of a new namespace that CLONE_FLAGS does not create.
    NotCreated(Attribute, Namespace),
    /// An attribute that changes how a map is applied, without the map.
    NoMap(Attribute, Attribute),
    /// A value too long for the 16-bit length of an attribute. Only
    /// [`encode`](super::encode) returns this.
    Unwritable(Attribute),
}

impl fmt::Display for BootstrapErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderSize(size) => {
                write!(f, "{size} bytes of a header that has {HEADER}")
            }
            Self::Length(length) => write!(
                f,
                "a message of {length} bytes; its header alone has {HEADER}"
            ),
            Self::TooLong(length) => write!(
                f,
                "a message of {length} bytes; at most {MAX_MESSAGE} are allowed"
            ),
            Self::Type(kind) => write!(f, "a message of type {kind}; {INIT_MSG} is protocol B's"),
            Self::Flags(flags) => write!(f, "a message with flags {flags:#x}; they must be 0x1"),
            Self::Port(port) => write!(f, "a message from port {port}; it must be 0"),
            Self::Truncated { announced, end } => write!(
                f,
                "a message that ends after {end} bytes; its header announces {announced}"
            ),
            Self::Trailing => f.write_str("bytes after the end that the header announces"),
            Self::AttributeHeader => f.write_str(
                "less than the four bytes that an attribute begins with; \
                 a message ends with an attribute and its padding",
            ),
            Self::AttributeLength(length) => write!(
                f,
                "an attribute of {length} bytes; its header alone has four"
            ),
            Self::Overrun(length) => write!(
                f,
                "an attribute of {length} bytes, which leads out of the message"
            ),
            Self::Padding => {
                f.write_str("a value that is not followed by zeros up to a multiple of four")
            }
            Self::Unknown(kind) => {
                let [first, .., last] = Attribute::ALL.map(Attribute::number);
                write!(
                    f,
                    "an attribute of type {kind}; {first} to {last} are known"
                )
            }
            Self::Repeated(attribute) => {
                write!(f, "{} a second time; send it once", attribute.name())
            }
            Self::Missing(attribute) => {
                write!(f, "{} is not there; it always is", attribute.name())
            }
            Self::NumberSize(attribute, size) => {
                write!(
                    f,
                    "{} has {size} bytes; a number has four",
                    attribute.name()
                )
            }
            Self::Flag(attribute, value) => {
                write!(f, "{} is {value}; it must be 0 or 1", attribute.name())
            }
            Self::NoNul(attribute) => {
                write!(f, "{} does not end with a NUL", attribute.name())
            }
            Self::InnerNul(attribute) => write!(
                f,
                "{} has a NUL before its end; only one at the end is allowed",
                attribute.name()
            ),
            Self::CloneFlags(bits) => write!(
                f,
                "{} has the bits {bits:#x}; only CLONE_NEW* flags are allowed",
                Attribute::CloneFlags.name()
            ),
            Self::NsPaths(reason) => write!(f, "{}: {reason}", Attribute::NsPaths.name()),
            Self::IdMap(attribute, reason) => write!(f, "{}: {reason}", attribute.name()),
            Self::OomScoreAdj(reason) => {
                write!(f, "{}: {reason}", Attribute::OomScoreAdj.name())
            }
            Self::TimeOffsets(reason) => {
                write!(f, "{}: {reason}", Attribute::TimeOffsets.name())
            }
            Self::Tool(attribute) => write!(
                f,
                "{} is not an absolute path of at most {MAX_PATH} bytes",
                attribute.name()
            ),
            Self::JoinedAndCreated(namespace) => write!(
                f,
                "the {} namespace is joined and created; name it in {} or in {}",
                namespace.name(),
                Attribute::NsPaths.name(),
                Attribute::CloneFlags.name()
            ),
            Self::NotCreated(attribute, namespace) => write!(
                f,
                "{} without a new {} namespace in {}",
                attribute.name(),
                namespace.name(),
                Attribute::CloneFlags.name()
            ),
            Self::NoMap(attribute, map) => {
                write!(f, "{} without {}", attribute.name(), map.name())
            }
            Self::Unwritable(attribute) => write!(
                f,
                "{} is too long for an attribute: the maximum is 65531 bytes",
                attribute.name()
            ),
        }
    }
}
