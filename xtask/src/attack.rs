//! `cargo xtask attack`: attacks on nsexec, each with a control that must succeed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use crate::{cargo, setup};

/// The path of an nsexec to attack instead of the built one.
const BINARY: &str = "NSEXEC_ATTACK_BINARY";

/// The parsed command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    names: Vec<OsString>,
    binary: Option<PathBuf>,
}

impl Arguments {
    fn read(arguments: &[OsString]) -> io::Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if word == "--binary" {
                let path = rest
                    .next()
                    .ok_or_else(|| io::Error::other("--binary requires a path"))?;
                options.binary = Some(std::path::absolute(path)?);
            } else if word.as_encoded_bytes().starts_with(b"-") {
                let wrong =
                    format!("unexpected argument {word:?}; usage: [--binary PATH] [NAME...]");
                return Err(io::Error::other(wrong));
            } else {
                options.names.push(word.clone());
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let options = Arguments::read(arguments)?;
    let every = OsStr::new("--all").to_owned();
    let words = if options.names.is_empty() {
        vec![every]
    } else {
        options.names
    };
    attack(&words, options.binary)
}

/// The attacks that every run of the tests includes.
pub(crate) fn bounded() -> io::Result<()> {
    attack(&[], None)
}

fn attack(words: &[OsString], binary: Option<PathBuf>) -> io::Result<()> {
    for tool in setup::tools(&[
        setup::BUSYBOX,
        setup::GCC,
        setup::NSENTER,
        setup::RUNC,
        setup::SETPRIV,
        setup::STRACE,
        setup::UNSHARE,
    ])? {
        println!("without {}: the attacks that need it fail", tool.program);
    }
    let mut command = cargo::cargo(&["test", "--quiet", "--test", "attacks", "--", "--table"]);
    command.args(words).envs(binary.map(|path| (BINARY, path)));
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(
            "an attack is not blocked, a control is not open, or one is broken",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn read(words: &[&str]) -> std::io::Result<Arguments> {
        Arguments::read(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn names_and_a_binary_are_read() {
        let options =
            read(&["tiocsti", "--binary", "/tmp/nsexec", "keys"]).expect("valid arguments");
        assert_eq!(options.names, ["tiocsti", "keys"]);
        assert_eq!(
            options.binary.as_deref(),
            Some(std::path::Path::new("/tmp/nsexec"))
        );
        assert!(read(&["--binary"]).is_err());
        assert!(read(&["--all"]).is_err());
        assert_eq!(read(&[]).expect("no words"), Arguments::default());
    }
}
