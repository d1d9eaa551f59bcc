//! The raw arguments: the options and their values, and the program.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::fault::UsageFault;
use super::options::{self, OptionSpec, Value};

/// A command line as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawArguments {
    /// The options, in their order.
    pub options: Vec<OptionArgument>,
    /// The program and its arguments.
    pub program: Vec<OsString>,
}

/// An option of a command line, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionArgument {
    /// Which one.
    pub option: &'static OptionSpec,
    /// Its value.
    pub value: Option<OsString>,
}

/// Splits the words as getopt(3) does with `+`: the program is the first word
/// that is not an option, or the word after `--`.
///
/// # Errors
/// An unknown option, a missing value, or a value for an option without one.
pub fn split(words: impl IntoIterator<Item = OsString>) -> Result<RawArguments, UsageFault> {
    let mut parser = Parser::from_args(words);
    let mut written = RawArguments {
        options: Vec::new(),
        program: Vec::new(),
    };
    loop {
        let option = match parser.next() {
            Ok(None) => return Ok(written),
            Ok(Some(Arg::Value(word))) => {
                written.program.push(word);
                let rest = parser.raw_args().map_err(|_| UsageFault::Word)?;
                written.program.extend(rest);
                return Ok(written);
            }
            Ok(Some(Arg::Short(letter))) => {
                OptionSpec::by_letter(letter).ok_or(UsageFault::UnknownLetter(letter))?
            }
            Ok(Some(Arg::Long(long))) => {
                OptionSpec::by_long(long).ok_or_else(|| UsageFault::UnknownLong(long.to_owned()))?
            }
            Err(error) => return Err(surplus(&error)),
        };
        let value = match option.value {
            Value::None => None,
            Value::Attached(_) => parser.optional_value(),
            Value::Required(_) => Some(parser.value().map_err(|_| UsageFault::NoValue(option))?),
        };
        written.options.push(OptionArgument { option, value });
    }
}

/// A value for an option that has none.
fn surplus(error: &lexopt::Error) -> UsageFault {
    let option = match error {
        lexopt::Error::UnexpectedValue { option, .. } => options::all().find(|known| {
            option.strip_prefix("--") == Some(known.long)
                || known
                    .letter
                    .is_some_and(|letter| *option == format!("-{letter}"))
        }),
        _ => None,
    };
    option.map_or(UsageFault::Word, UsageFault::UnexpectedValue)
}

impl RawArguments {
    /// Prints the arguments in a form that parses to the same.
    #[must_use]
    pub fn to_words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        for OptionArgument { option, value } in &self.options {
            let mut word = OsString::from(format!("--{}", option.long));
            if let Some(value) = value {
                word.push("=");
                word.push(value);
            }
            words.push(word);
        }
        words.push("--".into());
        words.extend(self.program.iter().cloned());
        words
    }
}
