//! `cargo xtask fuzz`: libFuzzer on the parsers.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{cargo, setup, text};

/// The default time for each target.
const SECONDS: u32 = 60;
/// A parser of bounded inputs that needs more than this has a bug.
const MEMORY_MIB: u32 = 1024;

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let options = Arguments::parse(arguments)?;
    setup::cargo_subcommand("fuzz")?;
    let toolchain = Toolchain::find();
    let all = targets(&toolchain)?;
    let chosen: Vec<&String> = match &options.target {
        None => all.iter().collect(),
        Some(name) => all.iter().filter(|target| *target == name).collect(),
    };
    if chosen.is_empty() {
        return Err(io::Error::other(match &options.target {
            Some(name) => format!("no target {name}; there are {}", all.join(", ")),
            None => "fuzz/Cargo.toml names no target".to_owned(),
        }));
    }
    for target in chosen {
        println!(
            "{}",
            text::bold(&format!("== {target}, {} s", options.seconds))
        );
        let status = toolchain
            .fuzz(&["run", target])
            .args(corpora(target)?)
            .arg("--")
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{target}: {status}")));
        }
    }
    Ok(())
}

/// The directories of inputs. The fuzzer writes new inputs to the first, which
/// git ignores: the corpus in git is small and chosen by hand.
fn corpora(target: &str) -> io::Result<Vec<PathBuf>> {
    let fuzz = cargo::root().join("fuzz");
    let found = fuzz.join("target/corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let kept = ["corpus", "regressions"]
        .map(|name| fuzz.join(name).join(target))
        .into_iter()
        .filter(|directory| directory.is_dir());
    Ok(std::iter::once(found).chain(kept).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    target: Option<String>,
    seconds: u32,
}

impl Arguments {
    fn parse(arguments: &[OsString]) -> io::Result<Self> {
        let mut options = Self {
            target: None,
            seconds: SECONDS,
        };
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let number = arguments.next().unwrap_or_default();
                options.seconds = number.parse().map_err(|_| {
                    io::Error::other(format!("--seconds {number:?}; give a whole number"))
                })?;
            } else if argument.starts_with('-') || options.target.is_some() {
                return Err(io::Error::other(format!(
                    "unexpected argument {argument:?}; usage: [TARGET] [--seconds N]"
                )));
            } else {
                options.target = Some(argument.into_owned());
            }
        }
        Ok(options)
    }
}

/// Sanitizers are unstable options: a nightly accepts them, and so does a stable
/// toolchain with RUSTC_BOOTSTRAP.
enum Toolchain {
    Nightly,
    Bootstrap,
}

impl Toolchain {
    fn find() -> Self {
        let nightly = Command::new("cargo")
            .args(["+nightly", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if nightly.is_ok_and(|status| status.success()) {
            Self::Nightly
        } else {
            Self::Bootstrap
        }
    }

    /// `cargo fuzz`, which sets RUSTFLAGS: these replace the crt-static of
    /// .cargo/config.toml, which a sanitizer cannot be linked with.
    fn fuzz(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        match self {
            Self::Nightly => command.arg("+nightly"),
            Self::Bootstrap => command.env("RUSTC_BOOTSTRAP", "1"),
        };
        command
            .arg("fuzz")
            .args(arguments)
            .current_dir(cargo::root())
            .env("CARGO_TARGET_DIR", cargo::root().join("fuzz/target"))
            // The release's profile is made for a small file; here, quick
            // builds and names in the stack of a finding matter.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_STRIP", "none")
            .stdin(Stdio::null());
        command
    }
}

fn targets(toolchain: &Toolchain) -> io::Result<Vec<String>> {
    let output = toolchain
        .fuzz(&["list"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "cargo fuzz list: {}",
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Arguments, SECONDS};

    fn parse(arguments: &[&str]) -> Option<Arguments> {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        Arguments::parse(&arguments).ok()
    }

    #[test]
    fn target_and_seconds_accept_any_order() {
        let options = |target: Option<&str>, seconds| {
            Some(Arguments {
                target: target.map(str::to_owned),
                seconds,
            })
        };
        assert_eq!(parse(&[]), options(None, SECONDS));
        assert_eq!(parse(&["a"]), options(Some("a"), SECONDS));
        assert_eq!(parse(&["--seconds", "5", "a"]), options(Some("a"), 5));
        assert_eq!(parse(&["a", "--seconds", "5"]), options(Some("a"), 5));
    }

    #[test]
    fn anything_else_is_an_error() {
        for wrong in [
            &["a", "b"][..],
            &["--seconds"],
            &["--seconds", "x"],
            &["--seconds", "-1"],
            &["--jobs"],
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
