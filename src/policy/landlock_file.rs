//! Landlock rules in TOML: a strict subset of the landlockconfig format.
//!
//! Left out of it: variables, groups such as `abi.all` (what a right is named
//! after should be seen), more than one `[[ruleset]]`.

use std::fmt;
use std::path::{Component, Path};

use serde::Deserialize;
use toml::Spanned;

use crate::error::Fault;
use crate::policy::resolved::{BeneathRule, PortRule, Right};

/// A rule file names rights and paths by hand; the longest shipped has 1 kB.
pub const MAX_BYTES: usize = 64 * 1024;

/// PATH_MAX without its NUL: no longer path can be opened.
pub const MAX_PATH: usize = 4095;

/// How many paths and how many ports may have a rule: each path is opened
/// before an exec.
pub const MAX_PLACES: usize = 512;

/// The newest ABI whose rights can be named: 7 added flags, no right.
pub const NEWEST_ABI: u8 = 7;

/// The file-system rights by name.
const FS: [Right; 16] = [
    Right::Execute,
    Right::WriteFile,
    Right::ReadFile,
    Right::ReadDir,
    Right::RemoveDir,
    Right::RemoveFile,
    Right::MakeChar,
    Right::MakeDir,
    Right::MakeReg,
    Right::MakeSock,
    Right::MakeFifo,
    Right::MakeBlock,
    Right::MakeSym,
    Right::Refer,
    Right::Truncate,
    Right::IoctlDev,
];
const NET: [Right; 2] = [Right::BindTcp, Right::ConnectTcp];
const SCOPES: [Right; 2] = [Right::ScopeAbstractUnixSocket, Right::ScopeSignal];

/// What a rule file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// The rights that are denied where no rule grants them; not empty.
    pub handled: Vec<Right>,
    /// Grants beneath paths.
    pub beneath: Vec<BeneathRule>,
    /// Grants for ports.
    pub ports: Vec<PortRule>,
}

/// Why a rule file is none, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// Not UTF-8.
    Utf8,
    /// No TOML, or not of this shape: an unknown, repeated or missing key.
    Toml(String),
    /// An `abi` that is not known.
    Abi(i64),
    /// Not exactly one `[[ruleset]]`.
    Rulesets(usize),
    /// A list that must not be empty.
    Empty(&'static str),
    /// No right of this kind has this name.
    UnknownRight(String),
    /// The right is newer than the file's `abi`.
    NewerRight {
        /// The right.
        right: Right,
        /// The file's ABI.
        abi: u8,
    },
    /// The same right twice in one list.
    RepeatedRight(Right),
    /// A right is granted that no ruleset handles.
    NotHandled(Right),
    /// Not absolute, or not in its plain form.
    Path(String),
    /// The path has rules already.
    RepeatedPath(String),
    /// No TCP port.
    Port(i64),
    /// The port has rules already.
    RepeatedPort(u16),
    /// More than [`MAX_PLACES`] paths or ports.
    TooMany(&'static str),
}

impl Right {
    /// The name in a rule file, as landlockconfig has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::WriteFile => "write_file",
            Self::ReadFile => "read_file",
            Self::ReadDir => "read_dir",
            Self::RemoveDir => "remove_dir",
            Self::RemoveFile => "remove_file",
            Self::MakeChar => "make_char",
            Self::MakeDir => "make_dir",
            Self::MakeReg => "make_reg",
            Self::MakeSock => "make_sock",
            Self::MakeFifo => "make_fifo",
            Self::MakeBlock => "make_block",
            Self::MakeSym => "make_sym",
            Self::Refer => "refer",
            Self::Truncate => "truncate",
            Self::IoctlDev => "ioctl_dev",
            Self::BindTcp => "bind_tcp",
            Self::ConnectTcp => "connect_tcp",
            Self::ScopeAbstractUnixSocket => "abstract_unix_socket",
            Self::ScopeSignal => "signal",
        }
    }

    /// The first Landlock ABI that has it, landlock(7).
    #[must_use]
    pub fn abi(self) -> u8 {
        match self {
            Self::Refer => 2,
            Self::Truncate => 3,
            Self::BindTcp | Self::ConnectTcp => 4,
            Self::IoctlDev => 5,
            Self::ScopeAbstractUnixSocket | Self::ScopeSignal => 6,
            _ => 1,
        }
    }

    /// Whether a rule beneath a path can grant it.
    #[must_use]
    pub fn is_fs(self) -> bool {
        FS.contains(&self)
    }

    /// Whether a rule for a port can grant it.
    #[must_use]
    pub fn is_net(self) -> bool {
        NET.contains(&self)
    }

    /// The right of this name, among all.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        named(name, &FS)
            .or_else(|| named(name, &NET))
            .or_else(|| named(name, &SCOPES))
    }
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

/// The rules that `text` is.
///
/// # Errors
/// The first thing in it that has no meaning.
pub fn parse(text: &[u8]) -> Result<Landlock, Fault<Reason>> {
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

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Written {
    abi: Spanned<i64>,
    ruleset: Spanned<Vec<Spanned<WrittenRuleset>>>,
    path_beneath: Option<Vec<WrittenBeneath>>,
    net_port: Option<Vec<WrittenPort>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenRuleset {
    handled_access_fs: Option<Names>,
    handled_access_net: Option<Names>,
    scoped: Option<Names>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenBeneath {
    allowed_access: Names,
    parent: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenPort {
    allowed_access: Names,
    port: Spanned<Vec<Spanned<i64>>>,
}

/// Names of rights.
#[derive(Deserialize)]
#[serde(transparent)]
struct Names(Spanned<Vec<Spanned<String>>>);

impl Names {
    fn rights(
        &self,
        key: &'static str,
        known: &[Right],
        abi: u8,
    ) -> Result<Vec<(Right, std::ops::Range<usize>)>, Fault<Reason>> {
        if self.0.get_ref().is_empty() {
            return Err(Fault::new(self.0.span(), Reason::Empty(key)));
        }
        let mut rights: Vec<(Right, std::ops::Range<usize>)> = Vec::new();
        for name in self.0.get_ref() {
            let at = |reason| Fault::new(name.span(), reason);
            let Some(right) = named(name.get_ref(), known) else {
                return Err(at(Reason::UnknownRight(name.get_ref().clone())));
            };
            if right.abi() > abi {
                return Err(at(Reason::NewerRight { right, abi }));
            }
            if rights.iter().any(|(other, _)| *other == right) {
                return Err(at(Reason::RepeatedRight(right)));
            }
            rights.push((right, name.span()));
        }
        Ok(rights)
    }
}

impl Written {
    fn meaning(&self) -> Result<Landlock, Fault<Reason>> {
        let abi = match u8::try_from(*self.abi.get_ref()) {
            Ok(abi @ 1..=NEWEST_ABI) => abi,
            _ => {
                return Err(Fault::new(
                    self.abi.span(),
                    Reason::Abi(*self.abi.get_ref()),
                ));
            }
        };
        let [ruleset] = self.ruleset.get_ref().as_slice() else {
            let count = self.ruleset.get_ref().len();
            return Err(Fault::new(self.ruleset.span(), Reason::Rulesets(count)));
        };
        let handled = ruleset.get_ref().rights(abi)?;
        if handled.is_empty() {
            return Err(Fault::new(ruleset.span(), Reason::Empty("ruleset")));
        }
        Ok(Landlock {
            beneath: self.beneath(&handled, abi)?,
            ports: self.ports(&handled, abi)?,
            handled,
        })
    }

    fn beneath(&self, handled: &[Right], abi: u8) -> Result<Vec<BeneathRule>, Fault<Reason>> {
        let mut rules: Vec<BeneathRule> = Vec::new();
        for written in self.path_beneath.iter().flatten() {
            let rights = granted(&written.allowed_access, &FS, handled, abi)?;
            if written.parent.get_ref().is_empty() {
                return Err(Fault::new(written.parent.span(), Reason::Empty("parent")));
            }
            for parent in written.parent.get_ref() {
                let path = parent.get_ref();
                if !is_plain_absolute(path) {
                    return Err(Fault::new(parent.span(), Reason::Path(path.clone())));
                }
                if rules.iter().any(|rule| rule.path == Path::new(path)) {
                    return Err(Fault::new(
                        parent.span(),
                        Reason::RepeatedPath(path.clone()),
                    ));
                }
                if rules.len() == MAX_PLACES {
                    return Err(Fault::new(parent.span(), Reason::TooMany("parent")));
                }
                rules.push(BeneathRule {
                    path: path.into(),
                    rights: rights.clone(),
                });
            }
        }
        Ok(rules)
    }

    fn ports(&self, handled: &[Right], abi: u8) -> Result<Vec<PortRule>, Fault<Reason>> {
        let mut rules: Vec<PortRule> = Vec::new();
        for written in self.net_port.iter().flatten() {
            let rights = granted(&written.allowed_access, &NET, handled, abi)?;
            if written.port.get_ref().is_empty() {
                return Err(Fault::new(written.port.span(), Reason::Empty("port")));
            }
            for number in written.port.get_ref() {
                let Ok(port) = u16::try_from(*number.get_ref()) else {
                    return Err(Fault::new(number.span(), Reason::Port(*number.get_ref())));
                };
                if rules.iter().any(|rule| rule.port == port) {
                    return Err(Fault::new(number.span(), Reason::RepeatedPort(port)));
                }
                if rules.len() == MAX_PLACES {
                    return Err(Fault::new(number.span(), Reason::TooMany("port")));
                }
                rules.push(PortRule {
                    port,
                    rights: rights.clone(),
                });
            }
        }
        Ok(rules)
    }
}

impl WrittenRuleset {
    fn rights(&self, abi: u8) -> Result<Vec<Right>, Fault<Reason>> {
        let lists = [
            ("handled_access_fs", &self.handled_access_fs, FS.as_slice()),
            ("handled_access_net", &self.handled_access_net, &NET),
            ("scoped", &self.scoped, &SCOPES),
        ];
        let mut all = Vec::new();
        for (key, names, known) in lists {
            if let Some(names) = names {
                let rights = names.rights(key, known, abi)?;
                all.extend(rights.into_iter().map(|(right, _)| right));
            }
        }
        Ok(all)
    }
}

fn granted(
    names: &Names,
    known: &[Right],
    handled: &[Right],
    abi: u8,
) -> Result<Vec<Right>, Fault<Reason>> {
    let rights = names.rights("allowed_access", known, abi)?;
    for (right, span) in &rights {
        if !handled.contains(right) {
            return Err(Fault::new(span.clone(), Reason::NotHandled(*right)));
        }
    }
    Ok(rights.into_iter().map(|(right, _)| right).collect())
}

fn named(name: &str, known: &[Right]) -> Option<Right> {
    known.iter().copied().find(|right| right.name() == name)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a rule file has at most {MAX_BYTES} bytes, this one {length}"
                )
            }
            Self::Utf8 => write!(f, "not UTF-8, which TOML is"),
            Self::Toml(message) => write!(f, "{message}"),
            Self::Abi(abi) => write!(f, "Landlock ABI {abi} is not known; 1 to {NEWEST_ABI} are"),
            Self::Rulesets(count) => write!(f, "{count} [[ruleset]], where one is needed"),
            Self::Empty(key) => write!(
                f,
                "{key:?} is empty, which could mean all or none; name what is meant"
            ),
            Self::UnknownRight(name) => write!(
                f,
                "no right of this kind is named {name:?}; see landlock(7), \
                 written as execute or read_file"
            ),
            Self::NewerRight { right, abi } => write!(
                f,
                "{:?} came with Landlock ABI {}, and the file is for abi = {abi}",
                right.name(),
                right.abi()
            ),
            Self::RepeatedRight(right) => write!(f, "{:?} stands twice in the list", right.name()),
            Self::NotHandled(right) => write!(
                f,
                "{:?} is granted but not handled, so that it is never denied; \
                 list it in [[ruleset]]",
                right.name()
            ),
            Self::Path(path) => write!(
                f,
                "{path:?} is no plain absolute path; it starts with / and has no \
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
