//! Compares the console output of the helper's tests with the declarations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::kernels::Kernel;
use crate::test::Tally;

/// A row of `nsexec --features`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) since: String,
    pub(crate) is_there: bool,
}

/// The results on a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelResults {
    pub(crate) name: String,
    pub(crate) release: String,
    /// The security modules, as the kernel lists them.
    pub(crate) modules: String,
    pub(crate) features: Vec<Feature>,
    /// Those that ended with success.
    pub(crate) programs: BTreeMap<String, Program>,
}

/// The results of a test program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) passed: u32,
    /// Each skipped test, with the absent feature.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// The console, read so far.
#[derive(Debug)]
pub(super) struct Record {
    kernel: &'static Kernel,
    programs: Vec<String>,
    seen: KernelResults,
    rows: Vec<Row>,
    /// The console output is not as expected.
    faults: Vec<String>,
    is_done: bool,
}

/// A test program.
#[derive(Debug)]
struct Row {
    tally: Tally,
    began: Duration,
    lasted: Option<Duration>,
    left_out: BTreeSet<String>,
    tests: u32,
    failed: u32,
    /// It ended with success.
    is_good: bool,
}

impl Record {
    pub(super) fn new(kernel: &'static Kernel, programs: &[String]) -> Self {
        Self {
            kernel,
            programs: programs.to_vec(),
            seen: KernelResults {
                name: kernel.name.to_owned(),
                ..KernelResults::default()
            },
            rows: Vec::new(),
            faults: Vec::new(),
            is_done: false,
        }
    }

    /// Reads a console line, `now` after power-on; returns the text to print.
    pub(super) fn read(&mut self, line: &str, now: Duration) -> Option<String> {
        let Some(printed) = line.strip_prefix("vm: ") else {
            return Some(line.to_owned());
        };
        let (word, rest) = printed.split_once(' ').unwrap_or((printed, ""));
        match (word, self.rows.last_mut()) {
            ("release", _) => self.seen.release = rest.to_owned(),
            ("modules", _) => self.seen.modules = rest.to_owned(),
            ("feature", _) => {
                self.seen.features.extend(feature(rest));
                return None;
            }
            ("begins", _) => {
                self.rows.push(Row {
                    tally: Tally::default(),
                    began: now,
                    lasted: None,
                    left_out: BTreeSet::new(),
                    tests: 0,
                    failed: 0,
                    is_good: false,
                });
                return Some(format!("== {rest}"));
            }
            ("test", Some(row)) => {
                let (outcome, test) = rest.split_once(' ').unwrap_or_default();
                row.tests += 1;
                row.tally.read(&format!("test {test} ... {outcome}"));
                if outcome != "ok" {
                    row.failed += 1;
                    return Some(format!("{outcome} {test}"));
                }
                return None;
            }
            ("left", Some(row)) if rest.starts_with("out ") => {
                let line = rest.strip_prefix("out ").unwrap_or_default();
                row.left_out.insert(line.to_owned());
            }
            ("ended", Some(row)) => {
                let lasted = now.saturating_sub(row.began);
                row.lasted = Some(lasted);
                row.count();
                row.is_good = rest == "with 0" && row.failed == 0 && row.tests > 0;
                let is_good = row.is_good;
                let name = self.programs.get(self.rows.len() - 1);
                if !is_good {
                    let name = name.map_or("?", String::as_str);
                    self.faults.push(format!("{name}: {rest}"));
                }
                return Some(format!("   {:.1} s", lasted.as_secs_f64()));
            }
            ("done", _) => {
                self.is_done = true;
                return None;
            }
            _ => {}
        }
        Some(printed.to_owned())
    }

    pub(super) fn table(&self) -> Vec<[String; 5]> {
        let head = ["test program", "passed", "failed", "left out", "seconds"];
        let mut table = vec![head.map(str::to_owned)];
        for (name, row) in self.programs.iter().zip(&self.rows) {
            table.push([
                name.clone(),
                row.passed().to_string(),
                row.failed.to_string(),
                row.left_out.len().to_string(),
                row.lasted.map_or("did not end".to_owned(), |lasted| {
                    format!("{:7.1}", lasted.as_secs_f64())
                }),
            ]);
        }
        table
    }

    /// The results, their sum, and each error.
    pub(super) fn end(mut self) -> (KernelResults, Tally, Vec<String>) {
        let ended = self.rows.iter().filter(|row| row.lasted.is_some()).count();
        if !self.is_done || ended != self.programs.len() {
            self.faults.push(format!(
                "the machine stopped early: {ended} of {} test programs ended",
                self.programs.len()
            ));
        }
        self.compare_features();
        self.compare_left_out();
        let is_good = self.faults.is_empty();
        let tallies = self.rows.into_iter().map(|row| row.tally.ended(true));
        let sum = tallies.fold(Tally::default().ended(is_good), Tally::and);
        (self.seen, sum, self.faults)
    }

    /// Compares each row of `--features` with the declaration.
    fn compare_features(&mut self) {
        if self.seen.features.is_empty() {
            self.faults
                .push("nsexec --features printed no row".to_owned());
        }
        for Feature { name, is_there, .. } in &self.seen.features {
            let is_declared = self.kernel.lacks.contains(&name.as_str());
            match (is_there, is_declared) {
                (true, true) => self.faults.push(format!(
                    "{name:?} is declared absent, and this kernel has it"
                )),
                (false, false) => self
                    .faults
                    .push(format!("{name:?} is absent, and not declared")),
                _ => {}
            }
        }
    }

    /// The skipped tests are those that are declared.
    fn compare_left_out(&mut self) {
        let ended: Vec<String> = self
            .programs
            .iter()
            .zip(&self.rows)
            .filter(|(_, row)| row.lasted.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        let mut declared = self.kernel.left_out(&ended);
        for (program, row) in self.programs.iter().zip(&self.rows) {
            let mut left_out = BTreeMap::new();
            for line in &row.left_out {
                let (name, reason) = line.split_once(": ").unwrap_or((line, ""));
                let test = format!("{program}::{name}");
                match declared.remove(test.as_str()) {
                    Some(absence) => {
                        left_out.insert(name.to_owned(), absence.to_owned());
                    }
                    None if left_out.contains_key(name) => {}
                    None => self.faults.push(format!(
                        "{test} was left out, which is not declared: {reason}"
                    )),
                }
            }
            let passed = row.passed();
            if row.is_good {
                let result = Program { passed, left_out };
                self.seen.programs.insert(program.clone(), result);
            }
        }
        for (test, absence) in declared {
            // A case of a test that was skipped as a whole.
            let (program, name) = test.split_once("::").unwrap_or_default();
            let whole = name.split(", ").next().unwrap_or_default();
            let result = self.seen.programs.get(program);
            if result.is_some_and(|result| result.left_out.contains_key(whole)) {
                continue;
            }
            self.faults.push(format!(
                "{test} is declared to be left out ({absence}), and it ran"
            ));
        }
    }
}

impl Row {
    /// Adds to the tally, and subtracts the tests that left themselves out.
    fn count(&mut self) {
        let passed = self.tests - self.failed;
        let line = format!("test result: . {passed} passed; {} failed", self.failed);
        self.tally.read(&line);
        for line in &self.left_out {
            self.tally.leave_out(line);
        }
    }

    fn passed(&self) -> u32 {
        let whole = |line: &&String| !line.split(": ").next().unwrap_or_default().contains(", ");
        let left_out = self.left_out.iter().filter(whole).count();
        let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        (self.tests - self.failed).saturating_sub(left_out)
    }
}

/// `NAME  SINCE  yes  WITHOUT`, with at least two blanks between the columns. The shell of
/// the machine has merged blanks, so the columns are found from the end of NAME.
fn feature(row: &str) -> Option<Feature> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let at = words.iter().position(is_version)?;
    let name = words.get(..at)?.join(" ");
    let since = (*words.get(at)?).to_owned();
    let rest = words.get(at + 1..)?;
    let is_there = match rest {
        ["yes", ..] => true,
        ["no", ..] | ["not", "for", "you", ..] => false,
        _ => return None,
    };
    Some(Feature {
        name,
        since,
        is_there,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static KERNEL: Kernel = Kernel {
        name: "test",
        package: "",
        command_line: "",
        lacks: &["Landlock: log flags"],
    };

    const GOOD: &[&str] = &[
        "vm: release 6.1.0",
        "vm: modules capability,landlock",
        "vm: feature feature  since   here        without it",
        "vm: feature openat2 5.6 yes refused",
        "vm: feature Landlock: log flags  6.15    no   as the policy says, flag by flag",
        "vm: begins bad_input",
        "vm: test ok a",
        "vm: test ok b",
        "vm: ended with 0",
        "vm: done",
    ];

    fn record(lines: &[&str]) -> (KernelResults, Tally, Vec<String>) {
        let mut record = Record::new(&KERNEL, &["bad_input".to_owned()]);
        for (second, line) in (0..).zip(lines) {
            record.read(line, Duration::from_secs(second));
        }
        record.end()
    }

    fn with(line: &str, other: &str) -> Vec<String> {
        let lines: Vec<&str> = GOOD
            .iter()
            .map(|known| if *known == line { other } else { known })
            .filter(|line| !line.is_empty())
            .collect();
        record(&lines).2
    }

    #[test]
    fn a_good_run_is_counted() {
        let (seen, tally, faults) = record(GOOD);
        assert!(faults.is_empty(), "{faults:?}");
        let passed = seen.programs["bad_input"].passed;
        assert_eq!((seen.release.as_str(), passed), ("6.1.0", 2));
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 0 skipped");
        let [openat2, flags] = seen.features.as_slice() else {
            panic!("{seen:?}");
        };
        assert!(openat2.is_there);
        assert_eq!(
            (flags.name.as_str(), flags.since.as_str(), flags.is_there),
            ("Landlock: log flags", "6.15", false)
        );
    }

    #[test]
    fn each_deviation_is_a_fault() {
        for (line, other) in [
            ("vm: test ok b", "vm: test failed b"),
            ("vm: ended with 0", "vm: ended with 101"),
            ("vm: ended with 0", ""),
            ("vm: done", ""),
            // A test that leaves itself out without a declaration.
            ("vm: ended with 0", "vm: left out b: no reason"),
            // A feature that is absent but not declared, and the reverse.
            (
                "vm: feature openat2 5.6 yes refused",
                "vm: feature openat2 5.6 no refused",
            ),
            (GOOD[4], "vm: feature Landlock: log flags 6.15 yes -"),
        ] {
            assert!(!with(line, other).is_empty(), "{line} -> {other}");
        }
        assert!(!record(&[]).2.is_empty());
    }
}
