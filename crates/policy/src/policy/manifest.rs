//! A policy's manifest, TOML: the files of its layers, and the attributes of the
//! program's process. docs/policy-format.md describes it for authors.

mod raw;

use std::fmt;
use std::ops::Range;

use crate::policy::layered::Layered;
use crate::policy::resolved::{LogFlag, Process, Right};
use nsexec_text::Fault;
use nsexec_text::json::plain_words;
use raw::RawManifest;

/// A manifest is written by hand; the longest shipped has 2 kB.
pub const MAX_BYTES: usize = 64 * 1024;

/// NAME_MAX: a longer name is no file's.
pub const MAX_FILE_NAME: usize = 255;

/// A reason is a sentence or two; it is repeated in every status report.
pub const MAX_REASON: usize = 1024;

/// The maximum number of passed names; environments have tens.
pub const MAX_PASS: usize = 256;

/// A valid manifest; its files are not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The program's layers.
    pub workload: Sources,
    /// The ceiling's.
    pub ceiling: Sources,
    /// The program's process.
    pub process: Process,
    /// Whether `--preserve-fds` is allowed.
    pub preserve_fds: bool,
    /// The optional parts: the policy also runs on a kernel without them.
    pub best_effort: Vec<BestEffort>,
}

/// The sources of the ceiling or of the workload.
pub type Sources = Layered<Source, Source>;

/// The source of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The span in the manifest.
    pub span: Range<usize>,
    /// The source.
    pub origin: Origin,
}

/// A file, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file next to the manifest.
    File(FileName),
    /// The layer is left out.
    None {
        /// Why.
        reason: String,
    },
}

/// A file in the manifest's directory or below: relative, each component plain,
/// at most [`MAX_FILE_NAME`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The name, when it is one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        (name.len() <= MAX_FILE_NAME && name.split('/').all(plain)).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The set that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerSet {
    /// The ceiling: restricts the helper and the program.
    Ceiling,
    /// The workload: restricts only the program.
    Workload,
}

/// An optional Landlock layer, or an optional part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestEffort {
    /// The bytes of the manifest that name it.
    pub span: Range<usize>,
    /// The set of the Landlock domain.
    pub layer_set: LayerSet,
    /// The optional part.
    pub part: Part,
    /// Why.
    pub reason: String,
}

/// An optional part of a Landlock layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Layer,
    /// A right that it handles.
    Right(Right),
    /// A log flag that it requests.
    Log(LogFlag),
    /// Not a part of a Landlock layer: the target's cgroups.
    Cgroup,
}

/// Why a manifest is invalid, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// Not UTF-8.
    Utf8,
    /// Not TOML, or not of this shape: an unknown, repeated or missing key, a
    /// value of another type.
    Toml(String),
    /// A list that must not be empty.
    Empty(&'static str),
    /// A layer is left out without the key that gives the reason.
    Unexplained(&'static str),
    /// A reason is given for a layer that is not left out.
    NothingToExplain(&'static str),
    /// A reason that is blank or longer than [`MAX_REASON`].
    Explanation(&'static str),
    /// Not a [`FileName`].
    FileName(String),
    /// No capability has this name.
    UnknownCapability(String),
    /// The list contains the capability twice.
    RepeatedCapability(String),
    /// Not a keyword for capabilities.
    CapabilityWord(String),
    /// No resource has this name.
    UnknownResource(String),
    /// The resource has two limits.
    RepeatedResource(String),
    /// A limit below 0.
    Limit(i64),
    /// A soft limit above the hard one.
    SoftAboveHard,
    /// Not a umask.
    Umask(i64),
    /// Not an OOM score adjustment.
    OomScoreAdj(i64),
    /// `pass` without `mode = "login"`.
    PassUnused,
    /// Neither the name of a variable nor the beginning of one.
    PassName(String),
    /// The list contains the name twice.
    RepeatedPass(String),
    /// More than [`MAX_PASS`] names.
    TooManyPassed,
    /// `mode = "login"` sets the variable itself.
    PassIsSet(String),
    /// No layer has this name.
    UnknownLayer(String),
    /// A layer that has no rights and no log flags.
    NoParts(&'static str),
    /// The policy does not request the layer.
    NotFollowed(&'static str),
    /// A filter cannot be put in force by halves.
    SeccompBestEffort,
    /// There is no right with this name.
    UnknownRight(String),
    /// No log flag has this name.
    UnknownFlag(String),
    /// A right and a log flag in one entry.
    TwoParts,
    /// Every kernel that enforces the layer has the right.
    OldRight(Right),
    /// Two entries for the same layer, right or log flag.
    RepeatedBestEffort,
}

/// Parses a manifest.
///
/// # Errors
/// The first error in the text.
pub fn parse(text: &[u8]) -> Result<Manifest, Fault<ManifestErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            ManifestErrorKind::TooLong(text.len()),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(at..at, ManifestErrorKind::Utf8)
    })?;
    let written: RawManifest = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Fault::new(span, ManifestErrorKind::Toml(plain_words(error.message())))
    })?;
    written.resolve()
}

/// Whether this is a valid pattern of variables: a name, or a prefix and `*`.
#[must_use]
pub fn is_pass_pattern(pattern: &str) -> bool {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
        && pattern.len() <= MAX_FILE_NAME
}

/// Whether a text is a valid reason for a part that is left out.
#[must_use]
pub fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_REASON
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ceiling => "ceiling",
            Self::Workload => "workload",
        })
    }
}

impl fmt::Display for ManifestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a manifest has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::Utf8 => write!(f, "not UTF-8, which TOML is"),
            Self::Toml(message) => write!(f, "{message}"),
            Self::Empty(key) => write!(
                f,
                "{key:?} is empty, which could mean all or none; leave the key out, \
                 write \"none\" where that is a word, or list the values"
            ),
            Self::Unexplained(key) => {
                write!(
                    f,
                    "a layer is left out without a reason; give it in {key:?}"
                )
            }
            Self::NothingToExplain(key) => {
                write!(
                    f,
                    "{key:?} belongs to a layer that is \"none\", and this one is not"
                )
            }
            Self::Explanation(key) => {
                write!(
                    f,
                    "{key:?} must give the reason in at most {MAX_REASON} bytes"
                )
            }
            Self::FileName(name) => write!(
                f,
                "{name:?} is not a file beside the manifest; it is a relative path without \
                 \"..\" of at most {MAX_FILE_NAME} bytes, or \"none\""
            ),
            Self::UnknownCapability(name) => {
                write!(
                    f,
                    "no capability is named {name:?}; they are written CAP_CHOWN"
                )
            }
            Self::RepeatedCapability(name) => write!(f, "{name:?} is listed twice"),
            Self::CapabilityWord(word) => write!(
                f,
                "{word:?} is not a capability setting; use \"none\", \"inherit\", \
                 \"initconfig\" or a list of names"
            ),
            Self::UnknownResource(name) => write!(
                f,
                "no resource is named {name:?}; they are written nofile, see getrlimit(2)"
            ),
            Self::RepeatedResource(name) => write!(f, "{name:?} has a limit already; write one"),
            Self::Limit(number) => {
                write!(
                    f,
                    "{number} is not a limit; give 0 or more, or \"unlimited\""
                )
            }
            Self::SoftAboveHard => write!(
                f,
                "the soft limit is above the hard limit; give at most the hard limit"
            ),
            Self::Umask(umask) => write!(f, "{umask:#o} is not a umask; give 0o000 to 0o777"),
            Self::OomScoreAdj(score) => {
                write!(
                    f,
                    "{score} is not an OOM score adjustment; give -1000 to 1000"
                )
            }
            Self::PassUnused => write!(f, "\"pass\" belongs to mode = \"login\""),
            Self::PassName(name) => write!(
                f,
                "{name:?} is not the name of a variable; a name has letters, digits and _; \
                 a * at its end matches all names with this prefix"
            ),
            Self::RepeatedPass(name) => write!(f, "{name:?} is listed twice"),
            Self::TooManyPassed => write!(
                f,
                "more than {MAX_PASS} names; pass several by their beginning and *"
            ),
            Self::PassIsSet(name) => write!(
                f,
                "{name:?} includes a variable that mode = \"login\" sets itself \
                 (PATH, HOME, USER, SHELL)"
            ),
            Self::UnknownLayer(name) => write!(
                f,
                "{name:?} is not an optional layer; use \"landlock\", \"ceiling.landlock\" \
                 or \"cgroup\""
            ),
            Self::NoParts(layer) => write!(
                f,
                "the layer {layer:?} has neither rights nor log flags; leave the key out"
            ),
            Self::NotFollowed(layer) => write!(
                f,
                "the policy does not request the layer {layer:?}; write {layer} = \"target\" \
                 in [process], or leave the entry out"
            ),
            Self::SeccompBestEffort => write!(
                f,
                "a filter is in force or nothing is executed; leave the entry out: \
                 every kernel since 5.10 has all that a filter needs"
            ),
            Self::UnknownRight(name) => write!(
                f,
                "no Landlock right is named {name:?}; see landlock(7), written as ioctl_dev"
            ),
            Self::UnknownFlag(name) => write!(
                f,
                "no Landlock log flag is named {name:?}; {} are",
                LogFlag::ALL.map(LogFlag::name).join(", ")
            ),
            Self::TwoParts => write!(
                f,
                "\"right\" and \"log\" in one entry; give each its own, with its reason"
            ),
            Self::OldRight(right) => write!(
                f,
                "{:?} cannot be optional: each kernel with the layer has it; leave \"right\" \
                 out to make the layer optional",
                right.name()
            ),
            Self::RepeatedBestEffort => {
                write!(f, "the same layer, right or log flag is named twice")
            }
        }
    }
}
