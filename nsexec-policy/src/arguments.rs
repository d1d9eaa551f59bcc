//! A command line, read by the table in [`crate::commands`].

use std::ffi::{OsStr, OsString};

use lexopt::Arg;

use crate::commands::{COMMANDS, Command};

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// `--help`, of a command or of all.
    Help(Option<&'static Command>),
    /// `--version`
    Version,
    /// A command.
    Run(Words),
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The command.
    pub command: &'static Command,
    /// Options by their long names, with their values.
    flags: Vec<(&'static str, Option<OsString>)>,
    /// Everything else.
    pub operands: Vec<OsString>,
}

impl Words {
    /// Whether the option is there.
    #[must_use]
    pub fn has(&self, long: &str) -> bool {
        self.flags.iter().any(|(known, _)| *known == long)
    }

    /// The option's value, unparsed.
    #[must_use]
    pub fn value_os(&self, long: &str) -> Option<&OsStr> {
        let found = self.flags.iter().find(|(known, _)| *known == long);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// The option's value.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn value(&self, long: &str) -> Result<Option<&str>, String> {
        let value = self.value_os(long).map(OsStr::to_str);
        match value {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(format!("--{long}: the value is not UTF-8")),
        }
    }
}

/// Reads a command line.
///
/// # Errors
/// The message of the first error, with the correct form.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    let names = || COMMANDS.map(|command| command.name).join(", ");
    let mut parser = lexopt::Parser::from_args(words);
    let command = match parser.next().map_err(|error| error.to_string())? {
        None => return Err(format!("a command is needed: {}", names())),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Invocation::Help(None)),
        Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Invocation::Version),
        Some(Arg::Value(name)) => name
            .to_str()
            .and_then(Command::by_name)
            .ok_or_else(|| format!("there is no command {name:?}; there are {}", names()))?,
        Some(other) => {
            return Err(format!(
                "{}: give a command first: {}",
                other.unexpected(),
                names()
            ));
        }
    };
    let mut options = Words {
        command,
        flags: Vec::new(),
        operands: Vec::new(),
    };
    while let Some(word) = parser.next().map_err(|error| error.to_string())? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help(Some(command))),
            Arg::Long(long) => {
                let Some(flag) = command.options.iter().find(|flag| flag.long == long) else {
                    return Err(format!(
                        "{} has no option --{long}; see nsexec-policy {} --help",
                        command.name, command.name
                    ));
                };
                if options.has(flag.long) {
                    return Err(format!("--{} is given twice", flag.long));
                }
                let value = match flag.value {
                    None => None,
                    Some(_) => Some(parser.value().map_err(|error| error.to_string())?),
                };
                options.flags.push((flag.long, value));
            }
            Arg::Value(word) => options.operands.push(word),
            Arg::Short(letter) => {
                return Err(format!(
                    "there is no option -{letter}; see nsexec-policy {} --help",
                    command.name
                ));
            }
        }
    }
    Ok(Invocation::Run(options))
}
