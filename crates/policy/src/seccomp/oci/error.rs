//! The errors of a profile.

use std::fmt;

use super::{MAX_BYTES, MAX_RULES};
use crate::seccomp::compile::MAX_ERRNO;
use crate::seccomp::table::Arch;

/// Why a profile is invalid, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// The entries make more than [`MAX_RULES`] rules.
    TooManyRules(usize),
    /// Not JSON, or JSON with bytes after it.
    Syntax(String),
    /// JSON, but not of this shape: an unknown, repeated or missing key, a
    /// value of another type.
    Shape(String),
    /// A list that must not be empty.
    Empty(&'static str),
    /// Two keys of which only one may be there, or none of them.
    OneOf(&'static str, &'static str),
    /// No architecture of Linux has a system call with this name.
    UnknownCall(String),
    /// The same name twice in one entry.
    RepeatedCall(String),
    /// No architecture has this name; the second string is the correct spelling of a similar name.
    UnknownArchitecture(String, &'static str),
    /// The profile lists architectures, and not this one.
    OtherArchitecture(Arch),
    /// No capability has this name.
    UnknownCapability(String),
    /// Not a version of the form MAJOR.MINOR.
    Kernel(String),
    /// SCMP_ACT_NOTIFY or SCMP_ACT_TRACE.
    NeedsSupervisor(&'static str),
    /// An errno for an action that returns none.
    ErrnoUnused,
    /// An errno above [`MAX_ERRNO`].
    Errno(u32),
    /// No errno has this name.
    UnknownErrno(String),
    /// An errno by a name and by another number.
    TwoErrnos {
        /// `errno`
        name: String,
        /// `errnoRet`
        number: u32,
    },
    /// An argument beyond 5.
    Argument(u32),
    /// `valueTwo` for a comparison with a single value.
    SecondValue,
    /// `argument & value == valueTwo` that never holds.
    Mask {
        /// The bits that are looked at.
        mask: u64,
        /// The expected value of the masked bits.
        value: u64,
    },
}

impl fmt::Display for ProfileErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a profile has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::TooManyRules(rules) => {
                write!(
                    f,
                    "the entries make {rules} rules; at most {MAX_RULES} are allowed"
                )
            }
            Self::Syntax(message) => write!(f, "no JSON: {message}"),
            Self::Shape(message) => write!(f, "{message}"),
            Self::Empty(key) => write!(
                f,
                "{key:?} is empty, which could mean all or none; list the values"
            ),
            Self::OneOf(a, b) => write!(f, "one of {a:?} and {b:?} is needed, and not both"),
            Self::UnknownCall(name) => {
                write!(f, "no system call is named {name:?}; see syscalls(2)")
            }
            Self::RepeatedCall(name) => write!(f, "{name:?} is listed twice in one entry"),
            Self::UnknownArchitecture(name, known) => {
                write!(
                    f,
                    "no architecture is named {name:?}; here they are written {known}"
                )
            }
            Self::OtherArchitecture(arch) => write!(
                f,
                "the profile is for other architectures; {} is not among them",
                arch.oci_name()
            ),
            Self::UnknownCapability(name) => write!(
                f,
                "no capability is named {name:?}; they are written CAP_CHOWN"
            ),
            Self::Kernel(version) => {
                write!(f, "{version:?} is not a kernel version; it is written 4.8")
            }
            Self::NeedsSupervisor(action) => write!(
                f,
                "{action} needs a process that answers, and there is none; \
                 use SCMP_ACT_ERRNO or SCMP_ACT_LOG"
            ),
            Self::ErrnoUnused => {
                write!(f, "only SCMP_ACT_ERRNO returns an errno; leave it out")
            }
            Self::Errno(errno) => write!(f, "errno {errno} is above {MAX_ERRNO}"),
            Self::UnknownErrno(name) => {
                write!(f, "no errno is named {name:?}; they are written EPERM")
            }
            Self::TwoErrnos { name, number } => {
                write!(f, "{name} is not {number}; leave one of the two out")
            }
            Self::Argument(index) => write!(f, "there is no argument {index}; they are 0 to 5"),
            Self::SecondValue => write!(
                f,
                "only SCMP_CMP_MASKED_EQ takes a \"valueTwo\"; leave it out"
            ),
            Self::Mask { mask, value } => write!(
                f,
                "no argument & {mask} can be {value}: valueTwo has bits that value lacks"
            ),
        }
    }
}
