//! Landlock rules in TOML or JSON: a strict subset of the landlockconfig format,
//! plus a separate table of log flags.
//!
//! The subset leaves out groups such as `abi.all` (a policy must show the rights
//! it grants) and multiple rulesets (they would be multiple domains).

mod json;
mod raw;
mod variables;

use std::fmt;
use std::ops::Range;
use std::path::{Component, Path};

use crate::policy::manifest::FileName;
use crate::policy::resolved::{BeneathRule, LogFlag, PortRule, Right};
use crate::policy::right::NEWEST_ABI;
use nsexec_text::Fault;
use raw::RawRules;

/// A rule file is written by hand; the longest shipped file has 1 kB.
pub const MAX_BYTES: usize = 64 * 1024;

/// PATH_MAX without its NUL: a longer path cannot be opened.
pub const MAX_PATH: usize = 4095;

/// The maximum number of paths with a rule, after expansion of the variables,
/// and of ports with a rule: each path is opened before an exec.
pub const MAX_PLACES: usize = 512;

/// landlockconfig's names for many rights at once.
const GROUPS: [&str; 3] = ["abi.all", "abi.read_execute", "abi.read_write"];

/// The form of a rule file. Both forms can express the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Keys in snake_case.
    Toml,
    /// Keys in camelCase.
    Json,
}

impl Form {
    /// The form of a file by the suffix of its name: `.toml` or `.json`.
    #[must_use]
    pub fn of(name: &FileName) -> Option<Self> {
        let extension = Path::new(name.as_str()).extension();
        match extension.and_then(|extension| extension.to_str()) {
            Some("toml") => Some(Self::Toml),
            Some("json") => Some(Self::Json),
            _ => None,
        }
    }

    /// A key of the TOML form in this one.
    fn key(self, toml: &'static str) -> &'static str {
        match (self, toml) {
            (Self::Json, "handled_access_fs") => "handledAccessFs",
            (Self::Json, "handled_access_net") => "handledAccessNet",
            (Self::Json, "path_beneath") => "pathBeneath",
            (Self::Json, "net_port") => "netPort",
            (Self::Json, "allowed_access") => "allowedAccess",
            (_, same) => same,
        }
    }
}

/// A parsed rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// The rights that are denied unless a rule grants them; not empty.
    pub handled: Vec<Right>,
    /// Grants beneath paths.
    pub beneath: Vec<BeneathRule>,
    /// Grants for ports.
    pub ports: Vec<PortRule>,
    /// The log flags for audit, each once.
    pub log: Vec<LogFlag>,
}

/// Why a rule file is invalid, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandlockFileErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// Not UTF-8.
    Utf8,
    /// Not TOML, or not of this shape: an unknown, repeated or missing key, a
    /// value of another type.
    Toml(String),
    /// The same of JSON.
    Json(String),
    /// An `abi` that is not known.
    Abi(i64),
    /// Not exactly one ruleset.
    Rulesets(usize),
    /// A list that must not be empty.
    Empty(&'static str),
    /// There is no right of this kind with this name.
    UnknownRight(String),
    /// The name of a group: its rights depend on the ABI.
    Group(String),
    /// No log flag has this name.
    UnknownFlag(String),
    /// The same log flag twice.
    RepeatedFlag(LogFlag),
    /// Log flags, and an `abi` before [`LogFlag::ABI`].
    NewerFlag {
        /// The flag.
        flag: LogFlag,
        /// The file's ABI.
        abi: u8,
    },
    /// The right is newer than the file's `abi`.
    NewerRight {
        /// The right.
        right: Right,
        /// The file's ABI.
        abi: u8,
    },
    /// A list contains the right twice.
    RepeatedRight(Right),
    /// The rules grant a right that no ruleset handles.
    NotHandled(Right),
    /// Not the name of a variable.
    VariableName(String),
    /// The variable is defined already.
    RepeatedVariable(String),
    /// A variable's value that is empty.
    EmptyValue,
    /// The same value twice in one variable.
    RepeatedValue(String),
    /// A variable's value with a `$` in it.
    Recursion(String),
    /// No variable has this name.
    Undefined(String),
    /// No path needs the variable.
    Unused(String),
    /// A path with a `$` that neither begins a variable nor is doubled.
    Dollar(String),
    /// A path with `${` and no `}` behind it.
    Unclosed(String),
    /// Longer than [`MAX_PATH`] after expansion of the variables.
    LongPath,
    /// Not absolute, or not in its plain form.
    Path(String),
    /// The path has rules already.
    RepeatedPath(String),
    /// Not a TCP port.
    Port(i64),
    /// The port has rules already.
    RepeatedPort(u16),
    /// More than [`MAX_PLACES`] paths, ports, or values of a variable.
    TooMany(&'static str),
}

/// Whether a path is absolute and in its plain form: no `.`, `..`, `//`, NUL or
/// slash at its end, at most [`MAX_PATH`] bytes.
#[must_use]
pub fn is_plain_absolute(path: &str) -> bool {
    let rebuilt = Path::new(path)
        .components()
        .all(|component| matches!(component, Component::RootDir | Component::Normal(_)));
    let plain = path == "/" || (path.starts_with('/') && !path.ends_with('/'));
    let bare = !path.contains("//") && !path.split('/').any(|part| part == ".");
    plain && bare && rebuilt && path.len() <= MAX_PATH && !path.contains('\0')
}

/// Parses rules.
///
/// # Errors
/// The first error in the text.
pub fn parse(text: &[u8], form: Form) -> Result<Landlock, Fault<LandlockFileErrorKind>> {
    parse_with_places(text, form).map(|(rules, _)| rules)
}

/// The positions of parts of a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Each right of [`Landlock::handled`], in the same order.
    pub handled: Vec<Range<usize>>,
    /// The path of each of [`Landlock::beneath`], in its order.
    pub beneath: Vec<Range<usize>>,
}

/// As [`parse`], and returns the positions of the parts.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_places(
    text: &[u8],
    form: Form,
) -> Result<(Landlock, Places), Fault<LandlockFileErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            LandlockFileErrorKind::TooLong(text.len()),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(at..at, LandlockFileErrorKind::Utf8)
    })?;
    match form {
        Form::Toml => RawRules::from_toml(text)?,
        Form::Json => json::read(text)?,
    }
    .resolve(form)
}

impl fmt::Display for LandlockFileErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a rule file has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::Utf8 => write!(f, "not UTF-8, which TOML and JSON are"),
            Self::Toml(message) | Self::Json(message) => write!(f, "{message}"),
            Self::Abi(abi) => write!(f, "Landlock ABI {abi} is not known; 1 to {NEWEST_ABI} are"),
            Self::Rulesets(count) => write!(
                f,
                "{count} elements in \"ruleset\", and a layer is one domain; \
                 write all that is handled in one"
            ),
            Self::Empty(key) => write!(
                f,
                "{key:?} is empty, which could mean all or none; list the values"
            ),
            Self::UnknownRight(name) => write!(
                f,
                "no right of this kind is named {name:?}; see landlock(7), \
                 written as execute or read_file"
            ),
            Self::Group(name) => write!(
                f,
                "{name:?} is a group whose rights depend on the Landlock ABI; name the rights"
            ),
            Self::UnknownFlag(name) => write!(
                f,
                "no log flag is named {name:?}; {} are",
                LogFlag::ALL.map(LogFlag::name).join(", ")
            ),
            Self::RepeatedFlag(flag) => write!(f, "{:?} is listed twice", flag.name()),
            Self::NewerFlag { flag, abi } => write!(
                f,
                "{:?} needs Landlock ABI {}, and the file is for abi = {abi}",
                flag.name(),
                LogFlag::ABI
            ),
            Self::NewerRight { right, abi } => write!(
                f,
                "{:?} needs Landlock ABI {}, and the file is for abi = {abi}",
                right.name(),
                right.abi()
            ),
            Self::RepeatedRight(right) => write!(f, "{:?} is listed twice", right.name()),
            Self::NotHandled(right) => write!(
                f,
                "{:?} is granted but not handled, so that it is never denied; \
                 list it in \"ruleset\"",
                right.name()
            ),
            Self::VariableName(name) => write!(
                f,
                "{name:?} is not the name of a variable; a name has a letter, then letters, digits and _"
            ),
            Self::RepeatedVariable(name) => {
                write!(
                    f,
                    "{name:?} is defined already; write its values in one list"
                )
            }
            Self::EmptyValue => write!(f, "an empty value adds nothing; leave it out"),
            Self::RepeatedValue(value) => write!(f, "{value:?} is listed twice"),
            Self::Recursion(value) => write!(
                f,
                "{value:?} has a $, and a value is plain text; variables, and a $ written $$, \
                 belong in paths"
            ),
            Self::Undefined(name) => {
                write!(
                    f,
                    "no variable is named {name:?}; define it in \"variable\""
                )
            }
            Self::Unused(name) => write!(
                f,
                "no path has ${{{name}}} in it; leave the variable out, or put it in one"
            ),
            Self::Dollar(path) => write!(
                f,
                "a $ in {path:?} begins no variable; those are written ${{name}}, \
                 a $ itself $$"
            ),
            Self::Unclosed(path) => {
                write!(
                    f,
                    "a variable in {path:?} has no end; it is written ${{name}}"
                )
            }
            Self::LongPath => write!(
                f,
                "a path has at most {MAX_PATH} bytes after expansion of its variables; name a \
                 directory above it"
            ),
            Self::Path(path) => write!(
                f,
                "{path:?} is not a plain absolute path; it starts with / and has no \
                 \"..\", \".\", \"//\" or slash at its end"
            ),
            Self::RepeatedPath(path) => {
                write!(f, "{path:?} has a rule already; write its rights in one")
            }
            Self::Port(port) => write!(f, "{port} is no TCP port; they are 0 to 65535"),
            Self::TooMany(key) => {
                write!(
                    f,
                    "more than {MAX_PLACES} in {key:?}; name a directory above them"
                )
            }
            Self::RepeatedPort(port) => {
                write!(f, "port {port} has a rule already; write its rights in one")
            }
        }
    }
}

#[cfg(test)]
mod tests;
