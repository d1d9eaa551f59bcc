use super::*;
use crate::cli::options::FLAGS;

/// What is said of an option without a value.
fn said(command: &str, long: &str) -> String {
    let words = [command.to_owned(), format!("--{long}")];
    crate::cli::options::read(words.map(Into::into)).expect_err(long)
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
    let events = format!("so many, a multiple of {SELFTEST_CALLS} (left out: {SELFTEST_EVENTS})");
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
