//! The command lines as clap_complete knows them.

use clap::builder::{PossibleValuesParser, ValueHint};
use clap::{Arg, ArgAction, Command};
use clap_complete::{Generator, Shell};
use nsexec_policy::commands::{COMMANDS, Flag};

use crate::{bash, fish, zsh};

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
    match shell {
        // clap_complete supports neither a program followed by its own
        // arguments, nor values that must be attached. It would offer nsexec's
        // options after the program, and complete `/et` in `-m /et` as a file
        // although nsexec reads it as the program.
        Shell::Bash if name == "nsexec" => text = bash::script(),
        Shell::Zsh if name == "nsexec" => text = zsh::script(),
        Shell::Fish if name == "nsexec" => text = fish::script(),
        _ => clap_complete::generate(shell, command, &name, &mut text),
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
    [nsexec(), nsexec_policy(), nsexec_audit::cli::command()]
}

/// Its scripts are made from its table directly; here is its name.
fn nsexec() -> Command {
    plain("nsexec")
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

/// Removes clap's own help and version: the tables have their own.
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
