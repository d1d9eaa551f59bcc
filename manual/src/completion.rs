//! The command lines as clap_complete knows them.

use clap::builder::{PossibleValuesParser, ValueHint};
use clap::{Arg, ArgAction, Command};
use clap_complete::{Generator, Shell};
use nsexec_audit::arguments as audit;
use nsexec_audit::commands as audit_commands;
use nsexec_command_line::options::{self, Name, Option as Known, Value};
use nsexec_policy::commands::{COMMANDS, Flag};
use nsexec_shipped_policies::BUILTIN_NAMES;

use crate::bash;

/// The shells, and where beneath `share/` each looks.
pub(crate) const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// The file's name and its text.
pub(crate) fn script(shell: Shell, command: &mut Command) -> (String, Vec<u8>) {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    if shell == Shell::Bash && name == "nsexec" {
        text = bash::script();
    } else {
        clap_complete::generate(shell, command, &name, &mut text);
    }
    let file = match shell {
        // bash-completion loads the file that is named like the command.
        Shell::Bash => name,
        _ => shell.file_name(&name),
    };
    (file, text)
}

/// Every program.
pub(crate) fn all() -> [Command; 3] {
    [nsexec(), nsexec_policy(), nsexec_audit()]
}

fn nsexec() -> Command {
    program(plain("nsexec").args(options::all().map(option)))
}

fn option(known: &Known) -> Arg {
    let arg = Arg::new(known.long)
        .long(known.long)
        .short(known.letter)
        .help(known.help);
    let arg = match known.value {
        Value::None => return arg.action(ArgAction::SetTrue),
        Value::Attached(metavar) => arg.value_name(metavar).num_args(0..=1).require_equals(true),
        Value::Required(metavar) => arg.value_name(metavar),
    };
    match known.name {
        Name::Namespace(_) => arg.value_hint(ValueHint::FilePath),
        Name::Root | Name::WorkDir | Name::WorkDirInside => arg.value_hint(ValueHint::DirPath),
        // A manifest's name is still completed by shells that fall back to files.
        Name::Policy => arg.value_parser(PossibleValuesParser::new(BUILTIN_NAMES)),
        _ => arg.value_hint(ValueHint::Other),
    }
}

fn nsexec_policy() -> Command {
    let mut program =
        plain("nsexec-policy")
            .arg(help())
            .arg(switch("version", 'V', "print the version"));
    for command in &COMMANDS {
        let mut known = plain(command.name)
            .about(command.help)
            .args(command.options.iter().map(flag))
            .arg(help());
        for operand in command.operands.split(' ') {
            let several = operand.ends_with("...");
            let arg = Arg::new(operand).value_hint(ValueHint::FilePath);
            known = known.arg(if several {
                arg.action(ArgAction::Append).num_args(1..)
            } else {
                arg
            });
        }
        program = program.subcommand(known);
    }
    program
}

fn nsexec_audit() -> Command {
    let mut audit = program(plain("nsexec-audit").args(audit::FLAGS.iter().map(audit_option)));
    for command in &audit_commands::COMMANDS {
        let mut known = plain(command.name)
            .about(command.help)
            .args(command.options.iter().map(audit_option))
            .arg(help());
        if !command.operands.is_empty() {
            let files = Arg::new(command.operands).value_hint(ValueHint::FilePath);
            known = known.arg(files.action(ArgAction::Append).num_args(1..));
        }
        audit = audit.subcommand(known);
    }
    audit
}

fn audit_option(known: &audit::Flag) -> Arg {
    let arg = Arg::new(known.long)
        .long(known.long)
        .short(known.letter)
        .help(known.help);
    match known.value {
        None => arg.action(ArgAction::SetTrue),
        Some(metavar) if known.words.is_empty() => {
            let hint = match metavar {
                "FILE" | "PATH" | "PATH|ID" => ValueHint::FilePath,
                _ => ValueHint::Other,
            };
            arg.value_name(metavar).value_hint(hint)
        }
        Some(metavar) => arg
            .value_name(metavar)
            .value_parser(PossibleValuesParser::new(known.words)),
    }
}

/// With a program to run and its arguments.
fn program(command: Command) -> Command {
    command
        .arg(
            Arg::new("PROGRAM")
                .help("program")
                .value_hint(ValueHint::CommandName),
        )
        .arg(
            Arg::new("ARGUMENT")
                .help("argument")
                .action(ArgAction::Append)
                .trailing_var_arg(true)
                .value_hint(ValueHint::AnyPath),
        )
}

/// clap's own help and version would be there besides those of the tables.
fn plain(name: &'static str) -> Command {
    Command::new(name)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
}

fn help() -> Arg {
    switch("help", 'h', "print help")
}

fn switch(long: &'static str, letter: char, help: &'static str) -> Arg {
    Arg::new(long)
        .long(long)
        .short(letter)
        .help(help)
        .action(ArgAction::SetTrue)
}

fn flag(flag: &Flag) -> Arg {
    let arg = Arg::new(flag.long).long(flag.long).help(flag.help);
    match flag.value {
        None => arg.action(ArgAction::SetTrue),
        Some(metavar) if flag.words.is_empty() => {
            let hint = match metavar {
                "FILE" => ValueHint::FilePath,
                _ => ValueHint::Other,
            };
            arg.value_name(metavar).value_hint(hint)
        }
        Some(metavar) => arg
            .value_name(metavar)
            .value_parser(PossibleValuesParser::new(flag.words)),
    }
}
