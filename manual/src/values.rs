//! The values of the options of nsexec, for the completions of every shell.

use nsexec_command_line::options::{Name, OptionSpec};

/// The kind of an option's value.
pub(crate) enum Values {
    Pids,
    Files,
    Directories,
    /// A policy that ships, or a file.
    Policies,
    /// This word, or text that cannot be completed.
    Word(&'static str),
    /// A variable of the caller's.
    Variables,
    Unknown,
}

/// The kind of the value of an nsexec option.
pub(crate) fn of(option: &OptionSpec) -> Values {
    match option.name {
        Name::Target => Values::Pids,
        Name::Namespace(_) => Values::Files,
        Name::Root | Name::WorkDir | Name::WorkDirInside => Values::Directories,
        Name::Policy => Values::Policies,
        Name::SetUid | Name::SetGid => Values::Word("follow"),
        Name::Explain => Values::Word("audit"),
        Name::Environment => Values::Variables,
        _ => Values::Unknown,
    }
}

/// `-t` and `--target`.
pub(crate) fn spellings(option: &OptionSpec) -> Vec<String> {
    let letter = option.letter.map(|letter| format!("-{letter}"));
    letter
        .into_iter()
        .chain([format!("--{}", option.long)])
        .collect()
}
