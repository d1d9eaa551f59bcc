//! What else it does than watch: a word each, before all options.

use std::fmt::Write as _;

use crate::arguments::{Flag, flag};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What stands behind its options; empty: nothing.
    pub operands: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    /// Its options, but for `--help`.
    pub options: &'static [Flag],
}

const FORMATS: &[&str] = &["text", "json"];
const BACKENDS: &[&str] = &["fentry", "tracepoint"];
const PROBES: Flag = flag("probes", Some("FILE"), &[], "load these probes");

/// Every command, in the order of `--help`: the help, the manual and the completions
/// come from it.
pub const COMMANDS: [Command; 4] = [
    Command {
        name: "tree",
        operands: "",
        help: "draw which processes are in which namespaces and containers now",
        options: &[
            flag(
                "format",
                Some("FORMAT"),
                FORMATS,
                "for people (left out), or one JSON object",
            ),
            PROBES,
        ],
    },
    Command {
        name: "verify",
        operands: "FILE...",
        help: "say whether files of JSON lines are what was written",
        options: &[flag(
            "after",
            Some("VALUE"),
            &[],
            "the chain value that the first one continues",
        )],
    },
    Command {
        name: "selftest",
        operands: "",
        help: "make events, find each of them, and measure what that costs",
        options: &[
            flag(
                "events",
                Some("N"),
                &[],
                "so many, a multiple of 4 (left out: 1000)",
            ),
            flag(
                "ring",
                Some("SIZE"),
                &[],
                "kernel memory for them (left out: 2M)",
            ),
            flag(
                "backend",
                Some("NAME"),
                BACKENDS,
                "see calls with this one (left out: the best)",
            ),
            flag(
                "format",
                Some("FORMAT"),
                FORMATS,
                "for people (left out), or one JSON object",
            ),
            PROBES,
        ],
    },
    Command {
        name: "report",
        operands: "FILE...",
        help: "make a page of HTML from files of JSON lines",
        options: &[flag(
            "output",
            Some("FILE"),
            &[],
            "write there, not to standard output",
        )],
    },
];

/// Longest line of help, in characters.
pub(crate) const COLUMNS: usize = 80;

impl Command {
    /// How it is called, a line or more with their ends.
    pub(crate) fn synopsis(&self) -> String {
        let mut text = format!("nsexec-audit {}", self.name);
        let options = self.options.iter();
        let mut words: Vec<String> = options
            .map(|flag| format!("[{}]", flag.synopsis()))
            .collect();
        words.extend((!self.operands.is_empty()).then(|| self.operands.to_owned()));
        let mut width = text.len();
        for word in words {
            if width + 1 + word.len() > COLUMNS {
                text.push_str("\n   ");
                width = 3;
            }
            // Writing to a String cannot fail.
            let _ = write!(text, " {word}");
            width += 1 + word.len();
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{FLAGS, read};
    use crate::selftest::{EVENTS, TOGETHER};

    /// What is said of an option without a value.
    fn said(command: &str, long: &str) -> String {
        let words = [command.to_owned(), format!("--{long}")];
        read(words.map(Into::into)).expect_err(long)
    }

    #[test]
    fn a_command_has_the_options_of_its_table_and_no_others() {
        for command in COMMANDS {
            let refused = said(command.name, "nonsense");
            let (_, listed) = refused.split_once("; it has ").expect("a list");
            for flag in command.options {
                assert!(listed.contains(&format!("--{}", flag.long)), "{refused}");
                let taken = said(command.name, flag.long);
                assert!(!taken.contains("; it has "), "{taken}");
            }
            assert_eq!(
                listed.matches("--").count(),
                command.options.len(),
                "{listed}"
            );
            let own = |long| command.options.iter().any(|flag| flag.long == long);
            for flag in FLAGS
                .iter()
                .filter(|flag| !own(flag.long) && flag.long != "help")
            {
                let refused = said(command.name, flag.long);
                assert!(refused.contains("; it has "), "{refused}");
            }
        }
    }

    #[test]
    fn what_is_said_to_be_left_out_is() {
        let help = |long| {
            let mut all = COMMANDS.iter().flat_map(|command| command.options);
            all.find(|flag| flag.long == long).map(|flag| flag.help)
        };
        let events = format!("so many, a multiple of {TOGETHER} (left out: {EVENTS})");
        assert_eq!(help("events"), Some(events.as_str()));
    }

    #[test]
    fn a_long_synopsis_has_more_lines() {
        for command in COMMANDS {
            let synopsis = command.synopsis();
            assert!(
                synopsis.lines().all(|line| line.len() <= COLUMNS),
                "{synopsis}"
            );
            assert_eq!(synopsis.contains("FILE..."), !command.operands.is_empty());
        }
    }
}
