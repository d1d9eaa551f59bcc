//! `cargo xtask vm`: runs the auditor's tests in an emulated machine, on a Debian kernel
//! other than this machine's. Linux 6.1 is the oldest kernel on which the tests run. It
//! also loads the probes that need a trampoline, which some kernels do not. So each test
//! runs with each backend.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::debian::Apt;
use crate::guest::{self, X86_64};
use crate::test::Tally;
use crate::{cargo, probes, text};

pub(crate) mod helper;
pub(crate) mod kernels;
pub(crate) mod record;
mod report;
pub(crate) mod results;
mod root;

use report::Report;

/// The backends of the probes: each test runs with both.
const BACKENDS: &[&str] = &["fentry", "tracepoint"];

/// The test files that depend on the kernel: the default.
const TESTS: &[&str] = &["begin", "churn", "compat", "loss", "matrix", "races"];

/// The kernel on which the auditor's tests run.
const KERNEL: &str = "linux-image-6.1.0-";

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let (kernels, rest) = match words.as_slice() {
        ["--all", rest @ ..] => (kernels::KERNELS.iter().collect(), rest),
        ["--kernel", name, rest @ ..] => (helper::named(&[name])?, rest),
        _ => return auditor(arguments),
    };
    let (is_saved, tests) = match rest {
        ["--save", tests @ ..] => (true, tests),
        tests => (false, tests),
    };
    let tests: Vec<OsString> = tests.iter().map(OsString::from).collect();
    let Some(ran) = helper::check(&kernels, &tests)? else {
        return Err(io::Error::other("the machine cannot be had here"));
    };
    if is_saved {
        results::save(&ran.seen)?;
    }
    ran.verdict()
}

fn auditor(arguments: &[OsString]) -> io::Result<()> {
    match check(arguments)? {
        Some(_) => Ok(()),
        None => Err(io::Error::other("the machine cannot be had here")),
    }
}

/// The results from the emulated machine; `None` if its requirements are missing
/// here, which was printed.
pub(crate) fn check(wanted: &[OsString]) -> io::Result<Option<Tally>> {
    if std::env::consts::ARCH != "x86_64" {
        println!("left out: the tests are built for another machine than x86_64");
        return Ok(None);
    }
    let tools = X86_64.emulator().and_then(|()| {
        let kernel = Apt::open()?.kernel(KERNEL)?;
        Ok((X86_64.with(kernel), root::busybox()?))
    });
    let (machine, busybox) = match tools {
        Ok(tools) => tools,
        Err(error) => {
            println!("left out: {error}");
            return Ok(None);
        }
    };
    probes::build()?;
    let default: Vec<OsString> = TESTS.iter().map(OsString::from).collect();
    let built = built(if wanted.is_empty() { &default } else { wanted })?;
    let runs = runs(&built);
    let scratch = cargo::scratch()?;
    let directory = guest::empty(&scratch)?;
    root::fill(&directory, &busybox, &built, &runs)?;
    let mut report = Report::new(runs);
    let started = Instant::now();
    let ran = machine.run(&directory, &scratch, |line| {
        if let Some(shown) = report.read(line, started.elapsed()) {
            println!("{shown}");
        }
    });
    println!("\n{}", text::aligned(&report.table()));
    for line in report.counts() {
        println!("{line}");
    }
    ran?;
    let tally = report.verdict()?;
    println!(
        "vm: {tally}, in {:.0} s of an emulated machine",
        started.elapsed().as_secs_f64()
    );
    Ok(Some(tally))
}

/// A test program, run once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    name: String,
    program: PathBuf,
    backend: &'static str,
}

/// Something that cargo built.
#[derive(Debug)]
struct Built {
    name: String,
    is_test: bool,
    program: PathBuf,
}

/// These files of the auditor's tests, and the program.
fn built(tests: &[OsString]) -> io::Result<Vec<Built>> {
    let mut cargo = cargo::cargo(&["test", "--package", "nsexec-audit", "--no-run", "--locked"]);
    cargo.arg("--message-format=json-render-diagnostics");
    for test in tests {
        cargo.arg("--test").arg(test);
    }
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo test: {}", output.status)));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(messages.filter_map(|message| artifact(&message)).collect())
}

/// The executable in a message of cargo.
fn artifact(message: &Value) -> Option<Built> {
    let text = |at: &str| Some(message.pointer(at)?.as_str()?.to_owned());
    Some(Built {
        program: PathBuf::from(text("/executable")?),
        name: text("/target/name")?,
        is_test: message.pointer("/profile/test")?.as_bool()?,
    })
}

/// Each file of tests with each backend.
fn runs(built: &[Built]) -> Vec<Run> {
    let mut tests: Vec<&Built> = built.iter().filter(|built| built.is_test).collect();
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    let with = |backend: &'static str| {
        tests.iter().map(move |one| Run {
            name: one.name.clone(),
            program: one.program.clone(),
            backend,
        })
    };
    BACKENDS.iter().copied().flat_map(with).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(name: &str, kind: &str, test: bool) -> Value {
        json!({
            "reason": "compiler-artifact",
            "target": { "name": name, "kind": [kind] },
            "profile": { "test": test },
            "executable": format!("/target/{name}-0"),
        })
    }

    #[test]
    fn every_built_test_runs_with_each_backend() {
        let messages = [
            message("nsexec-audit", "bin", false),
            message("races", "test", true),
            message("matrix", "test", true),
            json!({ "reason": "build-finished" }),
            json!({ "reason": "compiler-artifact", "executable": null }),
        ];
        let built: Vec<Built> = messages.iter().filter_map(artifact).collect();
        assert_eq!(built.len(), 3);
        let runs = runs(&built);
        let lines: Vec<_> = runs.iter().map(|run| (run.backend, &*run.name)).collect();
        let [first, second] = BACKENDS else {
            panic!("{BACKENDS:?}");
        };
        let right = [
            (*first, "matrix"),
            (*first, "races"),
            (*second, "matrix"),
            (*second, "races"),
        ];
        assert_eq!(lines, right);
        assert_eq!(runs[1].program, PathBuf::from("/target/races-0"));
    }
}
