//! Errors of a command line.

use std::fmt;

use super::number;
use super::options::{self, OptionSpec, Value};
use nsexec_text::Fault;

/// One error of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageFault {
    /// No option has this letter.
    UnknownLetter(char),
    /// No option has this long name.
    UnknownLong(String),
    /// The option has a value, which is missing.
    NoValue(&'static OptionSpec),
    /// A value for an option that accepts none.
    UnexpectedValue(&'static OptionSpec),
    /// The option is given twice.
    Twice(&'static OptionSpec),
    /// The value is not a valid number.
    Number {
        /// The option.
        option: &'static OptionSpec,
        /// The value in printable form.
        value: String,
        /// Why it is invalid.
        fault: Fault<number::NumberErrorKind>,
    },
    /// The value is empty, contains a NUL, or is not a valid name.
    Text {
        /// The option.
        option: &'static OptionSpec,
        /// The value in printable form.
        value: String,
    },
    /// The two options exclude each other.
    Both(&'static OptionSpec, &'static OptionSpec),
    /// A descriptor with two uses.
    Descriptor {
        /// The option that names the descriptor.
        option: &'static OptionSpec,
        /// Its number.
        number: u32,
        /// The option whose value it is.
        owner: &'static OptionSpec,
    },
    /// The first has no effect without the second.
    Requires(&'static OptionSpec, &'static str),
    /// The option requires a target.
    NoTarget(&'static OptionSpec),
    /// There is nothing to join: neither a target nor a namespace.
    NothingToJoin,
    /// `--env K=V`: the value is not attached.
    DetachedVariable(String),
    /// An argument that is neither an option nor a program.
    Word,
}

impl UsageFault {
    /// A hint: the correct form.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownLetter(_) => "see --help".to_owned(),
            Self::UnknownLong(name) => match nearest(name) {
                Some(option) => format!("did you mean --{}?", option.long),
                None => "see --help".to_owned(),
            },
            Self::NoValue(option) => format!("give --{}={}", option.long, metavar(option)),
            Self::UnexpectedValue(option) => format!("give --{} alone", option.long),
            Self::Twice(_) => "give it once".to_owned(),
            Self::Number { option, .. } => format!("give {}", metavar(option)),
            Self::Text { option, .. } => match option.name {
                options::Name::Policy => {
                    "give a name in a-z, 0-9 and -, or a file with a / in its path".to_owned()
                }
                options::Name::Explain => "give --explain or --explain=audit".to_owned(),
                options::Name::Environment => "give --env=NAME or --env=NAME=VALUE".to_owned(),
                _ => format!("give {}", metavar(option)),
            },
            Self::Both(..) => "give one of the two".to_owned(),
            Self::Descriptor { .. } => "give each option a separate descriptor".to_owned(),
            Self::Requires(_, with) => format!("give {with} as well"),
            Self::NoTarget(_) => "give -t PID".to_owned(),
            Self::NothingToJoin => "give -t PID, or a namespace as a file (--net=FILE)".to_owned(),
            Self::DetachedVariable(word) => format!("give --env={word}, or ./{word} for a program"),
            Self::Word => return None,
        })
    }
}

fn metavar(option: &OptionSpec) -> &'static str {
    match option.value {
        Value::None => "",
        Value::Attached(metavar) | Value::Required(metavar) => metavar,
    }
}

/// The option whose name differs by at most two letters and at most a third of
/// its length: a larger difference matches by chance.
fn nearest(name: &str) -> Option<&'static OptionSpec> {
    let distance = |option: &&'static OptionSpec| distance(name.as_bytes(), option.long.as_bytes());
    let option = options::all().min_by_key(distance)?;
    (distance(&option) <= (name.len() / 3).min(2)).then_some(option)
}

/// The number of letters to insert, remove or change (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(usize::MAX);
            next.push(
                (diagonal + usize::from(x != y))
                    .min(above + 1)
                    .min(left + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

impl fmt::Display for UsageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLetter(letter) => write!(f, "unknown option -{letter}"),
            Self::UnknownLong(name) => write!(f, "unknown option --{name}"),
            Self::NoValue(option) => write!(f, "--{} requires a value", option.long),
            Self::UnexpectedValue(option) => write!(f, "--{} accepts no value", option.long),
            Self::Twice(option) => write!(f, "--{} is given twice", option.long),
            Self::Number {
                option,
                value,
                fault,
            } => {
                write!(f, "--{} {value:?}: {}", option.long, fault.reason)
            }
            Self::Text { option, value } => write!(f, "--{} {value:?}: invalid value", option.long),
            Self::Both(one, other) => {
                write!(f, "--{} and --{} exclude each other", one.long, other.long)
            }
            Self::Descriptor {
                option,
                number,
                owner,
            } => write!(
                f,
                "--{} {number}: --{} uses that descriptor already",
                option.long, owner.long
            ),
            Self::Requires(option, with) => {
                write!(f, "--{} requires {with}", option.long)
            }
            Self::NoTarget(option) => write!(f, "--{} requires a target", option.long),
            Self::NothingToJoin => f.write_str("no namespace to join"),
            Self::DetachedVariable(word) => write!(f, "--env {word}: the value must be attached"),
            Self::Word => f.write_str("an argument that is neither an option nor a program"),
        }
    }
}

impl std::error::Error for UsageFault {}
