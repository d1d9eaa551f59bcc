//! `--help`, on one screen.

use std::fmt::Write as _;

use super::options::{OPTIONS, OptionSpec, Value};

/// The text of `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "nsexec [OPTION...] [--] [PROGRAM [ARGUMENT...]]\n\
         Run a program (the user's shell) in another process's namespaces, locked down.\n\n",
    );
    for option in &OPTIONS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<29} {}", synopsis(option), option.help);
    }
    text.push_str(
        "\nNamespaces accept =FILE or =:NSID. Exit status: the program's; 125 if nsexec\n\
         failed, 126 not executable, 127 not found. The default policy refuses mounts and\n\
         ptrace; --policy admin allows them. -V: the version.\n",
    );
    text
}

fn synopsis(option: &OptionSpec) -> String {
    let letter = match option.letter {
        Some(letter) => format!("-{letter}, "),
        None => "    ".to_owned(),
    };
    let value = match option.value {
        Value::None => String::new(),
        Value::Attached(metavar) => format!("[={metavar}]"),
        Value::Required(metavar) => format!(" {metavar}"),
    };
    format!("{letter}--{}{value}", option.long)
}

#[cfg(test)]
mod tests {
    use super::super::options;
    use super::*;

    #[test]
    fn help_has_every_option_and_fits_a_screen() {
        let text = help();
        for option in options::all() {
            let shown = match option.letter {
                Some(letter) => text.contains(&format!("-{letter}")),
                None => text.contains(&format!("--{}", option.long)),
            };
            assert!(shown, "--{}", option.long);
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.lines().count() <= 40, "{}", text.lines().count());
    }
}
