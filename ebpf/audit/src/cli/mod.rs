//! The command line: parser, help, completions and man page come from one description.

pub mod options;
mod values;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args as _, Command, CommandFactory as _, FromArgMatches as _};

use self::options::{AuditOptions, Cli, CommandOptions};

/// The request of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To monitor the host or a program.
    Audit(Box<AuditOptions>),
    /// To run a command.
    Command(CommandOptions),
}

/// The command line with all commands, as help, completions and man page describe it.
#[must_use]
pub fn command() -> Command {
    Cli::command()
}

/// Parses a command line without the program's name.
///
/// # Errors
/// It is wrong; or `--help` or `--version` was given, which [`clap::Error::use_stderr`]
/// distinguishes.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let name = |command: &Command| command.get_name().to_owned();
    let mut commands = command();
    let names: Vec<String> = commands.get_subcommands().map(name).collect();
    let is_command = words
        .first()
        .is_some_and(|first| names.iter().any(|name| first == name.as_str()));
    if is_command {
        let matches = parsed(&mut commands, words)?;
        let options = CommandOptions::from_arg_matches(&matches);
        let options = options.map_err(|error| error.format(&mut commands))?;
        return Ok(Request::Command(options));
    }
    // A program can have the name of a command, if it is not the first word.
    let mut alone = AuditOptions::augment_args(Cli::without_commands());
    let matches = match parsed(&mut alone, words) {
        // The help of the program with its commands.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            parsed(&mut commands, vec!["--help".into()])?
        }
        other => other?,
    };
    let options = AuditOptions::from_arg_matches(&matches);
    let options = options.map_err(|error| error.format(&mut alone))?;
    Ok(Request::Audit(Box::new(options)))
}

fn parsed(command: &mut Command, words: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
    let name = OsString::from(command.get_name());
    command.try_get_matches_from_mut(std::iter::once(name).chain(words))
}

#[cfg(test)]
mod tests;
