//! A policy's manifest, TOML: which files make its layers, and what process the
//! program is. docs/policy-format.md describes it for authors.

use std::fmt;
use std::ops::Range;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::error::Fault;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::resolved::{Capabilities, Environment, Process, Right, Rlimit};

/// A manifest is written by hand; the longest shipped has 2 kB.
pub const MAX_BYTES: usize = 64 * 1024;

/// NAME_MAX: a longer name is no file's.
pub const MAX_FILE_NAME: usize = 255;

/// A reason is a sentence or two; it is repeated in every status report.
pub const MAX_REASON: usize = 1024;

/// The names of RLIMIT_*, by number, getrlimit(2).
const RESOURCES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// What `mode = "login"` takes from the passwd file.
const LOGIN_VARIABLES: [&str; 4] = ["PATH", "HOME", "USER", "SHELL"];

/// A manifest that makes sense by itself: its files are not read yet.
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
    /// What may be missing.
    pub best_effort: Vec<BestEffort>,
}

/// Where the layers of a stage come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The filter.
    pub seccomp: Source,
    /// The Landlock domain.
    pub landlock: Source,
}

/// Where a layer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The bytes of the manifest that say so.
    pub span: Range<usize>,
    /// What they say.
    pub origin: Origin,
}

/// A file, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This file beside the manifest.
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

/// The stage that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What binds helper and program.
    Ceiling,
    /// What binds the program.
    Workload,
}

/// A Landlock layer or right that a kernel may lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestEffort {
    /// The bytes of the manifest that say so.
    pub span: Range<usize>,
    /// Whose Landlock domain.
    pub stage: Stage,
    /// The right; `None`: the layer.
    pub right: Option<Right>,
    /// Why.
    pub reason: String,
}

/// Why a manifest is none, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// Not UTF-8.
    Utf8,
    /// No TOML, or not of this shape: an unknown, repeated or missing key, a
    /// value of another type.
    Toml(String),
    /// A list that must not be empty.
    Empty(&'static str),
    /// A layer is left out, and the key with the reason is not there.
    Unexplained(&'static str),
    /// A layer is not left out, and there is a reason why it is.
    NothingToExplain(&'static str),
    /// A reason that is blank or longer than [`MAX_REASON`].
    Explanation(&'static str),
    /// No [`FileName`].
    FileName(String),
    /// No capability has this name.
    UnknownCapability(String),
    /// The capability stands twice.
    RepeatedCapability(String),
    /// No word for capabilities.
    CapabilityWord(String),
    /// No resource has this name.
    UnknownResource(String),
    /// The resource stands twice.
    RepeatedResource(String),
    /// A limit below 0.
    Limit(i64),
    /// A soft limit above the hard one.
    SoftAboveHard,
    /// No umask.
    Umask(i64),
    /// No OOM score adjustment.
    OomScoreAdj(i64),
    /// `pass` without `mode = "login"`.
    PassUnused,
    /// No name of a variable, nor the beginning of one.
    PassName(String),
    /// The name stands twice.
    RepeatedPass(String),
    /// The variable is taken from the passwd file.
    PassIsSet(String),
    /// A filter cannot be put in force by halves.
    SeccompBestEffort,
    /// No right has this name.
    UnknownRight(String),
    /// Every kernel on which the layer is put in force has the right.
    OldRight(Right),
    /// The same layer or right twice.
    RepeatedBestEffort,
}

/// The manifest that `text` is.
///
/// # Errors
/// The first thing in it that has no meaning.
pub fn parse(text: &[u8]) -> Result<Manifest, Fault<Reason>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            Reason::TooLong(text.len()),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(at..at, Reason::Utf8)
    })?;
    let written: Written = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Fault::new(span, Reason::Toml(error.message().to_owned()))
    })?;
    written.meaning()
}

/// Whether a policy can pass variables by this: a name, or its beginning and `*`.
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

/// Whether a text can stand as the reason for something left out.
#[must_use]
pub fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_REASON
}

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Written {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
    ceiling: WrittenCeiling,
    process: WrittenProcess,
    #[serde(rename = "tty")]
    _tty: WrittenTty,
    fds: WrittenFds,
    best_effort: Option<Vec<Spanned<WrittenBestEffort>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenCeiling {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenProcess {
    capabilities: Spanned<WrittenCapabilities>,
    no_new_privs: bool,
    keep_groups: bool,
    rlimits: Option<Spanned<Vec<Spanned<WrittenRlimit>>>>,
    umask: Option<Spanned<i64>>,
    oom_score_adj: Option<Spanned<i64>>,
    environment: WrittenEnvironment,
}

/// A word, or a list of names.
enum WrittenCapabilities {
    Word(String),
    Names(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenRlimit {
    resource: String,
    soft: WrittenLimit,
    hard: WrittenLimit,
}

/// A number, or `"unlimited"`.
enum WrittenLimit {
    Number(i64),
    Unlimited,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenEnvironment {
    mode: WrittenMode,
    pass: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(
    rename_all = "lowercase",
    expecting = "\"login\", \"inherit\" or \"initconfig\""
)]
enum WrittenMode {
    Login,
    Inherit,
    Initconfig,
}

/// The only session there is yet; spelled out, so that files keep their meaning
/// when there is another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenTty {
    #[serde(rename = "session")]
    _session: WrittenSession,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"caller\"")]
enum WrittenSession {
    Caller,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenFds {
    preserve: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenBestEffort {
    layer: WrittenLayer,
    right: Option<Spanned<String>>,
    reason: Spanned<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(expecting = "the name of a layer")]
enum WrittenLayer {
    #[serde(rename = "landlock")]
    Landlock,
    #[serde(rename = "ceiling.landlock")]
    CeilingLandlock,
    #[serde(rename = "seccomp", alias = "ceiling.seccomp")]
    Seccomp,
}

impl Written {
    fn meaning(&self) -> Result<Manifest, Fault<Reason>> {
        let ceiling = &self.ceiling;
        Ok(Manifest {
            workload: Sources {
                seccomp: source(
                    &self.seccomp,
                    self.seccomp_reason.as_ref(),
                    "seccomp_reason",
                )?,
                landlock: source(
                    &self.landlock,
                    self.landlock_reason.as_ref(),
                    "landlock_reason",
                )?,
            },
            ceiling: Sources {
                seccomp: source(
                    &ceiling.seccomp,
                    ceiling.seccomp_reason.as_ref(),
                    "seccomp_reason",
                )?,
                landlock: source(
                    &ceiling.landlock,
                    ceiling.landlock_reason.as_ref(),
                    "landlock_reason",
                )?,
            },
            process: self.process.meaning()?,
            preserve_fds: self.fds.preserve,
            best_effort: best_effort(self.best_effort.as_deref().unwrap_or_default())?,
        })
    }
}

fn source(
    written: &Spanned<String>,
    reason: Option<&Spanned<String>>,
    key: &'static str,
) -> Result<Source, Fault<Reason>> {
    let at = |why| Fault::new(written.span(), why);
    let origin = match (written.get_ref().as_str(), reason) {
        ("none", None) => return Err(at(Reason::Unexplained(key))),
        ("none", Some(reason)) => Origin::None {
            reason: reason_text(reason, key)?,
        },
        (_, Some(reason)) => return Err(Fault::new(reason.span(), Reason::NothingToExplain(key))),
        (name, None) => {
            let wrong = || at(Reason::FileName(name.to_owned()));
            Origin::File(FileName::new(name).ok_or_else(wrong)?)
        }
    };
    Ok(Source {
        span: written.span(),
        origin,
    })
}

fn reason_text(reason: &Spanned<String>, key: &'static str) -> Result<String, Fault<Reason>> {
    if is_reason(reason.get_ref()) {
        Ok(reason.get_ref().clone())
    } else {
        Err(Fault::new(reason.span(), Reason::Explanation(key)))
    }
}

fn best_effort(all: &[Spanned<WrittenBestEffort>]) -> Result<Vec<BestEffort>, Fault<Reason>> {
    let mut meant: Vec<BestEffort> = Vec::with_capacity(all.len());
    for written in all {
        let WrittenBestEffort {
            layer,
            right,
            reason,
        } = written.get_ref();
        let at = |why| Fault::new(written.span(), why);
        let stage = match layer {
            WrittenLayer::Landlock => Stage::Workload,
            WrittenLayer::CeilingLandlock => Stage::Ceiling,
            WrittenLayer::Seccomp => return Err(at(Reason::SeccompBestEffort)),
        };
        let right = match right {
            None => None,
            Some(name) => match Right::from_name(name.get_ref()) {
                // Below ABI 2 the layer as a whole is in question.
                Some(right) if right.abi() <= 2 => {
                    return Err(Fault::new(name.span(), Reason::OldRight(right)));
                }
                Some(right) => Some(right),
                None => {
                    let unknown = Reason::UnknownRight(name.get_ref().clone());
                    return Err(Fault::new(name.span(), unknown));
                }
            },
        };
        if meant.iter().any(|b| b.stage == stage && b.right == right) {
            return Err(at(Reason::RepeatedBestEffort));
        }
        meant.push(BestEffort {
            span: written.span(),
            stage,
            right,
            reason: reason_text(reason, "reason")?,
        });
    }
    Ok(meant)
}

impl WrittenProcess {
    fn meaning(&self) -> Result<Process, Fault<Reason>> {
        Ok(Process {
            capabilities: capabilities(&self.capabilities)?,
            no_new_privs: self.no_new_privs,
            keep_groups: self.keep_groups,
            rlimits: self.rlimits()?,
            umask: match &self.umask {
                None => None,
                Some(umask) => match u32::try_from(*umask.get_ref()) {
                    Ok(bits @ 0..=0o777) => Some(bits),
                    _ => {
                        let wrong = Reason::Umask(*umask.get_ref());
                        return Err(Fault::new(umask.span(), wrong));
                    }
                },
            },
            oom_score_adj: match &self.oom_score_adj {
                None => None,
                Some(score) => match i16::try_from(*score.get_ref()) {
                    Ok(score @ -1000..=1000) => Some(score),
                    _ => {
                        let wrong = Reason::OomScoreAdj(*score.get_ref());
                        return Err(Fault::new(score.span(), wrong));
                    }
                },
            },
            environment: self.environment.meaning()?,
        })
    }

    fn rlimits(&self) -> Result<Vec<Rlimit>, Fault<Reason>> {
        let Some(list) = &self.rlimits else {
            return Ok(Vec::new());
        };
        if list.get_ref().is_empty() {
            return Err(Fault::new(list.span(), Reason::Empty("rlimits")));
        }
        let mut rlimits: Vec<Rlimit> = Vec::new();
        for written in list.get_ref() {
            let at = |reason| Fault::new(written.span(), reason);
            let WrittenRlimit {
                resource: name,
                soft,
                hard,
            } = written.get_ref();
            let number = RESOURCES
                .iter()
                .zip(0_u8..)
                .find(|(known, _)| *known == name);
            let Some((_, resource)) = number else {
                return Err(at(Reason::UnknownResource(name.clone())));
            };
            if rlimits.iter().any(|other| other.resource == resource) {
                return Err(at(Reason::RepeatedResource(name.clone())));
            }
            let (soft, hard) = (soft.value().map_err(at)?, hard.value().map_err(at)?);
            if soft > hard {
                return Err(at(Reason::SoftAboveHard));
            }
            rlimits.push(Rlimit {
                resource,
                soft,
                hard,
            });
        }
        Ok(rlimits)
    }
}

fn capabilities(written: &Spanned<WrittenCapabilities>) -> Result<Capabilities, Fault<Reason>> {
    let at = |reason| Fault::new(written.span(), reason);
    let names = match written.get_ref() {
        WrittenCapabilities::Word(word) => {
            return match word.as_str() {
                "none" => Ok(Capabilities::Keep(CapabilitySet::EMPTY)),
                "inherit" => Ok(Capabilities::Inherit),
                "initconfig" => Ok(Capabilities::InitConfig),
                _ => Err(at(Reason::CapabilityWord(word.clone()))),
            };
        }
        WrittenCapabilities::Names(names) => names,
    };
    if names.is_empty() {
        return Err(at(Reason::Empty("capabilities")));
    }
    let mut set = CapabilitySet::EMPTY;
    for name in names {
        let Some(capability) = Capability::from_name(name) else {
            return Err(at(Reason::UnknownCapability(name.clone())));
        };
        if set.contains(capability) {
            return Err(at(Reason::RepeatedCapability(name.clone())));
        }
        set = set.with(capability);
    }
    Ok(Capabilities::Keep(set))
}

impl WrittenEnvironment {
    fn meaning(&self) -> Result<Environment, Fault<Reason>> {
        match (self.mode, &self.pass) {
            (WrittenMode::Inherit, None) => Ok(Environment::Inherit),
            (WrittenMode::Initconfig, None) => Ok(Environment::InitConfig),
            (WrittenMode::Login, None) => Ok(Environment::Login { pass: Vec::new() }),
            (WrittenMode::Login, Some(pass)) => Ok(Environment::Login {
                pass: passed(pass)?,
            }),
            (WrittenMode::Inherit | WrittenMode::Initconfig, Some(pass)) => {
                Err(Fault::new(pass.span(), Reason::PassUnused))
            }
        }
    }
}

fn passed(list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Fault<Reason>> {
    if list.get_ref().is_empty() {
        return Err(Fault::new(list.span(), Reason::Empty("pass")));
    }
    let mut pass: Vec<String> = Vec::new();
    for written in list.get_ref() {
        let pattern = written.get_ref();
        let at = |reason| Fault::new(written.span(), reason);
        if !is_pass_pattern(pattern) {
            return Err(at(Reason::PassName(pattern.clone())));
        }
        if LOGIN_VARIABLES.iter().any(|name| covers(pattern, name)) {
            return Err(at(Reason::PassIsSet(pattern.clone())));
        }
        if pass.contains(pattern) {
            return Err(at(Reason::RepeatedPass(pattern.clone())));
        }
        pass.push(pattern.clone());
    }
    Ok(pass)
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

impl WrittenLimit {
    fn value(&self) -> Result<u64, Reason> {
        match self {
            Self::Unlimited => Ok(u64::MAX),
            Self::Number(number) => u64::try_from(*number).map_err(|_| Reason::Limit(*number)),
        }
    }
}

impl<'de> Deserialize<'de> for WrittenCapabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNames;

        impl<'de> Visitor<'de> for WordOrNames {
            type Value = WrittenCapabilities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"inherit\", \"initconfig\" or a list of capabilities")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WrittenCapabilities::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(WrittenCapabilities::Names(names))
            }
        }

        deserializer.deserialize_any(WordOrNames)
    }
}

impl<'de> Deserialize<'de> for WrittenLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWord;

        impl Visitor<'_> for NumberOrWord {
            type Value = WrittenLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"unlimited\"")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(WrittenLimit::Number(number))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    "unlimited" => Ok(WrittenLimit::Unlimited),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(NumberOrWord)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ceiling => "ceiling",
            Self::Workload => "workload",
        })
    }
}

impl fmt::Display for Reason {
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
                 write \"none\" where that is a word, or name what is meant"
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
                write!(f, "{key:?} has to say why, in at most {MAX_REASON} bytes")
            }
            Self::FileName(name) => write!(
                f,
                "{name:?} is no file beside the manifest; it is a relative path without \
                 \"..\" of at most {MAX_FILE_NAME} bytes, or \"none\""
            ),
            Self::UnknownCapability(name) => {
                write!(
                    f,
                    "no capability is named {name:?}; they are written CAP_CHOWN"
                )
            }
            Self::RepeatedCapability(name) => write!(f, "{name:?} stands twice in the list"),
            Self::CapabilityWord(word) => write!(
                f,
                "{word:?} says nothing of capabilities; \"none\", \"inherit\", \
                 \"initconfig\" or a list of names do"
            ),
            Self::UnknownResource(name) => write!(
                f,
                "no resource is named {name:?}; they are written nofile, see getrlimit(2)"
            ),
            Self::RepeatedResource(name) => write!(f, "{name:?} has a limit already"),
            Self::Limit(number) => write!(f, "{number} is no limit; 0 or more, or \"unlimited\""),
            Self::SoftAboveHard => write!(f, "the soft limit is above the hard one"),
            Self::Umask(umask) => write!(f, "{umask:#o} is no umask; 0o000 to 0o777 are"),
            Self::OomScoreAdj(score) => {
                write!(f, "{score} is no OOM score adjustment; -1000 to 1000 are")
            }
            Self::PassUnused => write!(f, "\"pass\" belongs to mode = \"login\""),
            Self::PassName(name) => write!(
                f,
                "{name:?} is no name of a variable; letters, digits and _, \
                 and a * at the end for all that begin so"
            ),
            Self::RepeatedPass(name) => write!(f, "{name:?} stands twice in the list"),
            Self::PassIsSet(name) => write!(
                f,
                "{name:?} takes in what mode = \"login\" sets from the passwd file \
                 (PATH, HOME, USER, SHELL)"
            ),
            Self::SeccompBestEffort => write!(
                f,
                "a filter is in force or it is not; every kernel since 5.10 has all that it needs"
            ),
            Self::UnknownRight(name) => write!(
                f,
                "no Landlock right is named {name:?}; see landlock(7), written as ioctl_dev"
            ),
            Self::OldRight(right) => write!(
                f,
                "{:?} is as old as the layer that it stands in; leave \"right\" out to \
                 let the layer be missing",
                right.name()
            ),
            Self::RepeatedBestEffort => write!(f, "the same layer or right is named twice"),
        }
    }
}
