//! The text of `--help`.

use std::fmt::Write as _;

use super::commands::{COMMANDS, Command};
use super::options::FLAGS;

/// What is printed for `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("nsexec-audit [OPTION...] [-- PROGRAM [ARGUMENT...]]\n");
    text.extend(COMMANDS.iter().map(Command::synopsis));
    text.push_str(
        "Tells every join, creation and refusal of namespaces on this machine, until ^C;\n\
         with a program, what it and all that comes from it do, until it ends. tree\n\
         draws which processes are in which namespaces and containers now. verify\n\
         says whether files of JSON lines are what was written: 0 they are, 1 they are\n\
         not, 2 they cannot be read. selftest makes events, finds each of them, and\n\
         measures: 0 what happened is what is reported, 1 it is not. report makes a\n\
         page of HTML from files of JSON lines, on standard output or as --output.\n\
         A program of such a name stands after --.\n\n",
    );
    for flag in &FLAGS {
        let letter = flag
            .letter
            .map_or_else(String::new, |letter| format!("-{letter}, "));
        let synopsis = format!("{letter}{}", flag.synopsis());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {synopsis:<18} {}", flag.help);
        for words in flag.words.chunks(4) {
            let _ = writeln!(text, "  {:<18}   {}", "", words.join(" "));
        }
    }
    text.push_str("\nOptions of commands:\n");
    for command in COMMANDS {
        for flag in command.options {
            let synopsis = format!("{} {}", command.name, flag.synopsis());
            let _ = writeln!(text, "  {synopsis:<26} {}", flag.help);
        }
    }
    text.push_str(
        "\nExit status: the program's own; without one, 3 after an alert (--alert-status),\n\
         4 after a loss (--on-loss alert). With --on-loss fail, 4 after a loss, and the\n\
         program goes on. 125 nsexec-audit failed, 126 the program cannot be executed,\n\
         127 it was not found.\n",
    );
    text
}
