//! The options: the parser, `--help` and the manual use one table.

mod table;

use std::ffi::OsStr;

use crate::value::ValueErrorKind;
use nsexec_request::Request;

pub use table::{Name, OPTIONS, VERSION};

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Never.
    None,
    /// Optional, and attached: `-mFILE`, `-m=FILE`, `--mount=FILE`.
    Attached(&'static str),
    /// Always: attached, or the next word.
    Required(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Which one.
    pub name: Name,
    /// Its letter.
    pub letter: Option<char>,
    /// Its long name, without `--`.
    pub long: &'static str,
    /// Its value.
    pub value: Value,
    /// A short description for `--help`.
    pub help: &'static str,
    /// The full rule: where the program runs, as which user, with which
    /// environment, and which other options this one excludes.
    /// `tests/option_pairs.rs` tests each pair of options against it.
    pub rule: &'static str,
    /// Stores the value in the request. `None`: `resolve.rs` does, because the option
    /// depends on others.
    pub set: Option<Set>,
}

/// How an option that depends on no other changes the request.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// It sets this flag.
    Flag(fn(&mut Request) -> &mut bool),
    /// It stores its value.
    Value(SetValue),
}

/// Stores the value of an option in a request.
pub type SetValue = fn(&mut Request, Option<&OsStr>) -> Result<(), ValueErrorKind>;

impl Set {
    pub(crate) fn apply(
        self,
        request: &mut Request,
        value: Option<&OsStr>,
    ) -> Result<(), ValueErrorKind> {
        match self {
            Self::Flag(field) => *field(request) = true,
            Self::Value(set) => set(request, value)?,
        }
        Ok(())
    }
}

const fn option(
    name: Name,
    letter: char,
    long: &'static str,
    value: Value,
    help: &'static str,
    rule: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        letter: Some(letter),
        long,
        value,
        help,
        rule,
        set: None,
    }
}

const fn long_only(
    name: Name,
    long: &'static str,
    value: Value,
    help: &'static str,
    rule: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        letter: None,
        long,
        value,
        help,
        rule,
        set: None,
    }
}

impl OptionSpec {
    const fn sets(self, set: SetValue) -> Self {
        let set = Some(Set::Value(set));
        Self { set, ..self }
    }

    const fn flag(self, field: fn(&mut Request) -> &mut bool) -> Self {
        let set = Some(Set::Flag(field));
        Self { set, ..self }
    }
}

fn store<T>(field: &mut T, value: Result<T, ValueErrorKind>) -> Result<(), ValueErrorKind> {
    *field = value?;
    Ok(())
}

/// Every option, `-V` as well.
pub fn all() -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS.iter().chain([&VERSION])
}

/// The name decides: no two options share one.
impl PartialEq for OptionSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OptionSpec {}

impl OptionSpec {
    /// The option with this letter.
    #[must_use]
    pub fn by_letter(letter: char) -> Option<&'static Self> {
        all().find(|option| option.letter == Some(letter))
    }

    /// The option with this long name.
    #[must_use]
    pub fn by_long(long: &str) -> Option<&'static Self> {
        all().find(|option| option.long == long)
    }
}
