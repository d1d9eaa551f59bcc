//! `cargo xtask test`: runs every test, and counts results and skipped cases.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::process::Stdio;

use crate::{cargo, leftovers, probes, setup};

/// Names the file to which a test adds a line `name: reason` for each case
/// that this machine or this user does not allow.
const LEFT_OUT: &str = "NSEXEC_LEFT_OUT";

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let tally = all(arguments)?;
    println!("\n{tally}");
    tally.verdict()
}

/// Runs the tests and prints their output.
pub(crate) fn all(arguments: &[OsString]) -> io::Result<Tally> {
    for tool in setup::tools(&[
        setup::BUSYBOX,
        setup::CHROMIUM,
        setup::CONTAINERS,
        setup::FISH,
        setup::GCC,
        setup::GCCGO,
        setup::GROFF,
        setup::LIBSECCOMP,
        setup::NSENTER,
        setup::OBJCOPY,
        setup::PKG_CONFIG,
        setup::RUNC,
        setup::STRACE,
        setup::UNSHARE,
        setup::ZSH,
    ])? {
        println!("without {}: the tests that need it leave out", tool.program);
    }
    let go = setup::go()?;
    // The auditor's tests need the embedded probes.
    if let Err(error) = probes::build() {
        println!("without the probes, the tests that need them leave out: {error}");
    }
    let list = cargo::scratch()?.join("left-out");
    std::fs::write(&list, "")?;
    let mut child = cargo::cargo(&["test", "--workspace", "--no-fail-fast"])
        .args(arguments)
        .env(LEFT_OUT, &list)
        .envs([leftovers::runner()?])
        .envs(go.map(|go| ("NSEXEC_GO", go)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(&line);
        }
    }
    tally.all_ran = child.wait()?.success();
    for line in std::fs::read_to_string(&list)?.lines() {
        tally.leave_out(line);
    }
    Ok(tally)
}

/// The results that test programs reported.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
    /// Tests that passed, by name, without tests that were skipped as a whole.
    names: BTreeSet<String>,
    /// `name: reason`.
    left_out: Vec<String>,
    /// Cargo built every test program, and each program succeeded.
    all_ran: bool,
}

impl Tally {
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... ok"))
        {
            self.names.insert(name.to_owned());
        }
        // test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    pub(crate) fn leave_out(&mut self, line: &str) {
        let name = line.split_once(": ").map_or(line, |(name, _)| name);
        if self.names.remove(name) {
            self.passed = self.passed.saturating_sub(1);
        }
        self.left_out.push(line.to_owned());
    }

    /// Whether the programs that reported it exited with success.
    pub(crate) fn ended(self, all_ran: bool) -> Self {
        Self { all_ran, ..self }
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.names.extend(other.names);
        self.left_out.extend(other.left_out);
        self.all_ran &= other.all_ran;
        self
    }

    pub(crate) fn passed(&self) -> u32 {
        self.passed
    }

    /// Each skipped case: `name: reason`.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    pub(crate) fn skipped(&self) -> usize {
        self.left_out.len() + usize::try_from(self.ignored).unwrap_or(usize::MAX)
    }

    /// A test program that cannot be built or that crashes reports nothing: it
    /// counts as at least one failure.
    pub(crate) fn failures(&self) -> u32 {
        if self.all_ran {
            self.failed
        } else {
            self.failed.max(1)
        }
    }

    pub(crate) fn verdict(&self) -> io::Result<()> {
        if self.failures() > 0 {
            let why = if self.failed == 0 {
                "a test program was not built, or died"
            } else {
                "there were failures"
            };
            return Err(io::Error::other(why));
        }
        if self.passed == 0 {
            return Err(io::Error::other("no test ran"));
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.left_out {
            writeln!(f, "left out: {line}")?;
        }
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failures(),
            self.skipped()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(lines: &[&str], left_out: &[&str], all_ran: bool) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line);
        }
        for line in left_out {
            tally.leave_out(line);
        }
        tally.all_ran = all_ran;
        tally
    }

    const GOOD: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s";
    const BAD: &str = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn counts_are_added_up() {
        let sum = tally(&[GOOD, "3 passed; 9 failed", GOOD, BAD], &[], false);
        assert_eq!(sum.to_string(), "7 passed, 2 failed, 2 skipped");
        assert!(sum.verdict().is_err());
        assert!(tally(&[GOOD], &[], true).verdict().is_ok());
    }

    #[test]
    fn a_program_without_a_result_is_a_failure() {
        let silent = tally(&[GOOD], &[], false);
        assert_eq!(silent.to_string(), "3 passed, 1 failed, 1 skipped");
        assert!(silent.verdict().is_err());
        assert!(tally(&[], &[], true).verdict().is_err());
    }

    #[test]
    fn a_skipped_case_does_not_count_as_passed() {
        let lines = ["test join::all ... ok", "test join::none ... ok", GOOD];
        let whole = tally(&lines, &["join::all: not root"], true);
        assert_eq!(
            whole.to_string(),
            "left out: join::all: not root\n2 passed, 0 failed, 2 skipped"
        );
        let case = tally(&lines, &["join::all, time: no CONFIG_TIME_NS"], true);
        assert_eq!(
            case.to_string(),
            "left out: join::all, time: no CONFIG_TIME_NS\n3 passed, 0 failed, 2 skipped"
        );
    }
}
