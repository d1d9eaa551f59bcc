//! The command line of `oracle`.

use std::ffi::OsString;
use std::fmt;

use lexopt::{Arg, Parser};
use nsexec_command_line::number::{self, number};

/// The default number of tuples: a minute on two cores.
pub const TUPLES: u64 = 100_000_000;

/// The parsed command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The number of tuples to test; rounded up to whole rounds.
    pub tuples: u64,
    /// The seed of the first round; without one, the clock's.
    pub seed: Option<u64>,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionFault {
    /// An unknown option.
    Unknown(String),
    /// The option is there twice.
    Twice(&'static str),
    /// The option has a value, which is missing.
    NoValue(&'static str),
    /// The option's value is not a valid number.
    Number {
        /// The option.
        option: &'static str,
        /// The value.
        value: String,
        /// Why it is invalid.
        reason: number::NumberErrorKind,
    },
}

/// Reads the words after the program's name.
///
/// # Errors
/// The first error.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Options, OptionFault> {
    let mut parser = Parser::from_args(words);
    let (mut tuples, mut seed) = (None, None);
    loop {
        let (option, place, least) = match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Long("tuples"))) => ("--tuples", &mut tuples, 1),
            Ok(Some(Arg::Long("seed"))) => ("--seed", &mut seed, 0),
            Ok(Some(Arg::Long(name))) => return Err(OptionFault::Unknown(format!("--{name}"))),
            Ok(Some(Arg::Short(letter))) => return Err(OptionFault::Unknown(format!("-{letter}"))),
            Ok(Some(Arg::Value(word))) => {
                return Err(OptionFault::Unknown(word.to_string_lossy().into_owned()));
            }
            Err(error) => return Err(OptionFault::Unknown(error.to_string())),
        };
        let value = parser.value().map_err(|_| OptionFault::NoValue(option))?;
        let read = number(value.as_encoded_bytes(), least, u64::MAX);
        let read = read.map_err(|fault| OptionFault::Number {
            option,
            value: value.to_string_lossy().into_owned(),
            reason: fault.reason,
        })?;
        if place.replace(read).is_some() {
            return Err(OptionFault::Twice(option));
        }
    }
    Ok(Options {
        tuples: tuples.unwrap_or(TUPLES),
        seed,
    })
}

impl fmt::Display for OptionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(
                f,
                "unexpected argument {word:?}; usage: [--tuples N] [--seed S]"
            ),
            Self::Twice(option) => write!(f, "{option} is there twice; give it once"),
            Self::NoValue(option) => write!(f, "{option}: its value is missing; give a number"),
            Self::Number {
                option,
                value,
                reason,
            } => write!(f, "{option} {value:?}: {reason}"),
        }
    }
}

impl std::error::Error for OptionFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, OptionFault> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn both_have_defaults_and_accept_any_order() {
        let options = |tuples, seed| Ok(Options { tuples, seed });
        assert_eq!(read(&[]), options(TUPLES, None));
        assert_eq!(read(&["--tuples", "5"]), options(5, None));
        assert_eq!(read(&["--seed=0", "--tuples=1"]), options(1, Some(0)));
        let most = u64::MAX.to_string();
        assert_eq!(read(&["--seed", &most]), options(TUPLES, Some(u64::MAX)));
    }

    #[test]
    fn anything_else_is_an_error() {
        let unknown = |words: &[&str]| matches!(read(words), Err(OptionFault::Unknown(_)));
        assert!(unknown(&["5"]) && unknown(&["-t"]) && unknown(&["--tuple=5"]));
        assert!(unknown(&["--", "x"]));
        for option in ["--tuples", "--seed"] {
            assert_eq!(read(&[option]), Err(OptionFault::NoValue(option)));
            let twice = [option, "1", option, "1"];
            assert_eq!(read(&twice), Err(OptionFault::Twice(option)));
            for wrong in ["", "x", "-1", "1e8", "100_000", "18446744073709551616"] {
                let read = read(&[&format!("{option}={wrong}")]);
                let is_number = matches!(read, Err(OptionFault::Number { .. }));
                assert!(is_number, "{option} {wrong}: {read:?}");
            }
        }
        let none = read(&["--tuples", "0"]).unwrap_err().to_string();
        assert_eq!(
            none,
            "--tuples \"0\": it has to be from 1 to 18446744073709551615"
        );
    }
}
