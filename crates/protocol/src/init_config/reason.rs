//! Why a message is no initConfig.

use std::fmt;

use super::{MAX_DEPTH, MAX_INIT_CONFIG, MAX_LABEL, MAX_PASSED_FILES, MAX_PATH};
use nsexec_kernel_text::userdb::spec;

/// Why a message is not a valid initConfig, and the correct form. Quotations are
/// printable and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitConfigErrorKind {
    /// The pipe was closed before the first byte.
    Nothing,
    /// More than [`MAX_INIT_CONFIG`] bytes.
    TooLong(usize),
    /// Not UTF-8.
    Utf8,
    /// More than [`MAX_DEPTH`] arrays and objects inside one another.
    TooDeep,
    /// The pipe was closed inside the value.
    Truncated,
    /// Something follows the value.
    Trailing,
    /// Not JSON; the parser's message.
    Syntax(String),
    /// JSON of another shape: a key that is unknown, repeated or missing, a
    /// value of another type; the decoder's words.
    Shape(String),
    /// A key of `config` that matches only in Go, which ignores case.
    KeyCase(&'static str),
    /// `args` is empty.
    NoProgram,
    /// A NUL in a string that the kernel ends with one.
    Nul,
    /// Too many elements.
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An entry of the environment without `=`.
    Environment(String),
    /// An entry of the environment that begins with `=`.
    EmptyKey,
    /// The working directory is not absolute, or longer than [`MAX_PATH`].
    Directory,
    /// No capability has this name.
    UnknownCapability(String),
    /// `user` is no specification of a user.
    User(spec::UserSpecErrorKind),
    /// An additional group is neither a number nor a name.
    Group(spec::UserSpecErrorKind),
    /// A resource outside 0 to 15.
    RlimitType,
    /// A soft limit above its hard limit.
    RlimitOrder,
    /// A duplicate resource.
    RlimitRepeated(u8),
    /// Outside -1000 to 1000.
    OomScoreAdj,
    /// A label with a NUL or a newline, or longer than [`MAX_LABEL`].
    Label,
    /// Outside 0 to [`MAX_PASSED_FILES`].
    PassedFiles,
}

impl fmt::Display for InitConfigErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str(
                "nothing was sent: the pipe was closed before the initConfig; libcontainer's \
                 parent writes it once it has read the pid",
            ),
            Self::TooLong(length) => write!(
                f,
                "an initConfig of {length} bytes; the limit is {MAX_INIT_CONFIG}"
            ),
            Self::Utf8 => f.write_str("bytes that are not UTF-8; JSON is"),
            Self::TooDeep => write!(
                f,
                "more than {MAX_DEPTH} arrays and objects inside one another"
            ),
            Self::Truncated => {
                f.write_str("the initConfig ends before its JSON value does; was it sent whole?")
            }
            Self::Trailing => {
                f.write_str("something follows the initConfig; one JSON value is sent")
            }
            Self::Syntax(words) => write!(f, "the initConfig is no JSON: {words}"),
            Self::Shape(words) => write!(f, "the initConfig has another shape: {words}"),
            Self::KeyCase(key) => write!(f, "a key that is almost {key:?}; write it like that"),
            Self::NoProgram => f.write_str("no program to execute; the first of args names it"),
            Self::Nul => f.write_str("a NUL, which no argument, variable or path can hold"),
            Self::TooMany { count, limit } => {
                write!(f, "{count} elements; the limit is {limit}")
            }
            Self::Environment(entry) => {
                write!(f, "invalid environment '{entry}'; KEY=VALUE is valid")
            }
            Self::EmptyKey => {
                f.write_str("an environment variable without a name; KEY=VALUE is valid")
            }
            Self::Directory => write!(
                f,
                "the working directory is not an absolute path of at most {MAX_PATH} bytes"
            ),
            Self::UnknownCapability(name) => write!(f, "unknown capability \"{name}\""),
            Self::User(reason) => write!(f, "the user is invalid: {reason}"),
            Self::Group(reason) => write!(f, "an additional group is invalid: {reason}"),
            Self::RlimitType => {
                f.write_str("a resource limit with an unknown resource; RLIMIT_* are 0 to 15")
            }
            Self::RlimitOrder => f.write_str("a soft limit that is above its hard limit"),
            Self::RlimitRepeated(resource) => {
                write!(f, "a second limit for resource {resource}; give one")
            }
            Self::OomScoreAdj => f.write_str("an oom_score_adj outside -1000 to 1000"),
            Self::Label => write!(
                f,
                "a label with a NUL or a newline, or of more than {MAX_LABEL} bytes"
            ),
            Self::PassedFiles => {
                write!(f, "a number of files outside 0 to {MAX_PASSED_FILES}")
            }
        }
    }
}
