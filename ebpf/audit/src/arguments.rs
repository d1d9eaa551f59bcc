//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

/// What is printed for `--help`.
pub const HELP: &str = "\
nsexec-audit [--probes FILE] [--snapshot]

Prints every join, clone and exec on this machine as lines of JSON, until it is
interrupted; then what was counted.

  --probes FILE  load these probes, not those that were built in
  --snapshot     print every task that there is, and end
  --help, --version
";

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// To watch.
    Run {
        /// Where the probes are; none: those that were built in.
        probes: Option<PathBuf>,
        /// Only the tasks that are there.
        snapshot: bool,
    },
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut probes = None;
    let mut snapshot = false;
    while let Some(word) = parser.next().map_err(|error| error.to_string())? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
            Arg::Long("probes") if probes.is_none() => {
                let file = parser.value().map_err(|error| error.to_string())?;
                probes = Some(PathBuf::from(file));
            }
            Arg::Long("snapshot") if !snapshot => snapshot = true,
            Arg::Long(name @ ("probes" | "snapshot")) => {
                return Err(format!("--{name} is given twice; give it once"));
            }
            other => {
                return Err(format!(
                    "{}; --help names what there is",
                    other.unexpected()
                ));
            }
        }
    }
    Ok(Asked::Run { probes, snapshot })
}

#[cfg(test)]
mod tests {
    use super::{Asked, read};

    fn asked(words: &[&str]) -> Result<Asked, String> {
        read(words.iter().map(Into::into))
    }

    #[test]
    fn options_are_taken_once() {
        let run = |probes: Option<&str>, snapshot| {
            Ok(Asked::Run {
                probes: probes.map(Into::into),
                snapshot,
            })
        };
        assert_eq!(asked(&[]), run(None, false));
        assert_eq!(asked(&["--probes", "f"]), run(Some("f"), false));
        assert_eq!(asked(&["--snapshot", "--probes=f"]), run(Some("f"), true));
        assert_eq!(asked(&["--help"]), Ok(Asked::Help));
        assert_eq!(asked(&["-V"]), Ok(Asked::Version));
    }

    #[test]
    fn anything_else_is_an_error() {
        for wrong in [
            &["f"][..],
            &["--probes"],
            &["--probes", "f", "--probes", "f"],
            &["--snapshot", "--snapshot"],
            &["--snapshot=yes"],
            &["-x"],
            &[""],
        ] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
