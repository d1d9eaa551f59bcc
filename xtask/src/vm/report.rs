//! Prints the machine's console output as a table.

use std::io;
use std::time::Duration;

use super::Run;
use crate::test::Tally;

/// The tests of every call with every type, which report their completeness.
const MATRIX: &str = "matrix";
/// Five calls with eight types and three outcomes.
const CELLS: u32 = 120;

/// The planned tests, and their results so far.
#[derive(Debug)]
pub(super) struct Report {
    runs: Vec<Run>,
    /// Finished tests, one each.
    rows: Vec<Row>,
    current: Option<Current>,
    /// The other counts, with their backend.
    counts: Vec<String>,
    /// The machine reported its end.
    done: bool,
}

/// The running test.
#[derive(Debug)]
struct Current {
    tally: Tally,
    since: Duration,
    /// It reported its result.
    has_result: bool,
    /// It is not the matrix, or it reported that no cell is missing.
    is_complete: bool,
}

#[derive(Debug)]
struct Row {
    tally: Tally,
    lasted: Duration,
}

impl Report {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        Self {
            runs,
            rows: Vec::new(),
            current: None,
            counts: Vec::new(),
            done: false,
        }
    }

    /// Reads a console line, `now` after power-on; returns the text to print.
    pub(super) fn read(&mut self, line: &str, now: Duration) -> Option<String> {
        let Some(printed) = line.strip_prefix("vm: ") else {
            if let (Some(current), Some(run)) = (&mut self.current, self.runs.get(self.rows.len()))
            {
                current.tally.read(line);
                current.has_result |= line.starts_with("test result: ");
                if is_count(line) {
                    current.is_complete |= is_whole(line);
                    self.counts.push(format!("{}: {line}", run.backend));
                }
            }
            return Some(line.to_owned());
        };
        if printed == "begins" {
            let run = self.runs.get(self.rows.len())?;
            self.current = Some(Current {
                tally: Tally::default(),
                since: now,
                has_result: false,
                is_complete: run.name != MATRIX,
            });
            return Some(format!("== {}, {}", run.name, run.backend));
        }
        if let Some(status) = printed.strip_prefix("ended with ") {
            let ran = self.current.take()?;
            let is_good = status == "0" && ran.has_result && ran.is_complete;
            self.rows.push(Row {
                tally: ran.tally.ended(is_good),
                lasted: now.saturating_sub(ran.since),
            });
            return None;
        }
        if let (Some(left_out), Some(current)) =
            (printed.strip_prefix("left out "), &mut self.current)
        {
            current.tally.leave_out(left_out);
            return Some(format!("left out: {left_out}"));
        }
        if let Some(cost) = printed.strip_prefix("cost ") {
            self.counts.push(cost.to_owned());
        }
        self.done |= printed == "done";
        Some(printed.to_owned())
    }

    /// Each line with a count.
    pub(super) fn counts(&self) -> &[String] {
        &self.counts
    }

    pub(super) fn table(&self) -> Vec<[String; 6]> {
        let head = [
            "test program",
            "backend",
            "passed",
            "failed",
            "left out",
            "seconds",
        ];
        let mut table = vec![head.map(str::to_owned)];
        for (at, run) in self.runs.iter().enumerate() {
            let [passed, failed, left_out, seconds] = match self.rows.get(at) {
                Some(Row { tally, lasted }) => [
                    tally.passed().to_string(),
                    tally.failures().to_string(),
                    tally.skipped().to_string(),
                    format!("{:7.1}", lasted.as_secs_f64()),
                ],
                None => ["-", "-", "-", "did not end"].map(str::to_owned),
            };
            let (name, backend) = (run.name.clone(), run.backend.to_owned());
            table.push([name, backend, passed, failed, left_out, seconds]);
        }
        table
    }

    /// The sum of all.
    ///
    /// # Errors
    /// A test failed, or the machine did not report its end.
    pub(super) fn verdict(self) -> io::Result<Tally> {
        for (run, row) in self.runs.iter().zip(&self.rows) {
            let why = match &row.tally {
                tally if tally.failures() > 0 => "there were failures",
                tally if tally.passed() == 0 && tally.skipped() == 0 => "no test ran",
                _ => continue,
            };
            return Err(io::Error::other(format!(
                "{}, {}: {why}",
                run.name, run.backend
            )));
        }
        if !self.done || self.rows.len() != self.runs.len() {
            return Err(io::Error::other(format!(
                "the machine stopped early: {} of {} test programs ended",
                self.rows.len(),
                self.runs.len()
            )));
        }
        let tallies = self.rows.into_iter().map(|row| row.tally);
        let sum = tallies.fold(Tally::default().ended(true), Tally::and);
        sum.verdict().map(|()| sum)
    }
}

/// `matrix: 1 cells seen`, for one.
fn is_count(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(": ") else {
        return false;
    };
    super::TESTS.contains(&name) && rest.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether no cell of the matrix is missing: `matrix: 117 cells seen, 3 cannot exist`.
fn is_whole(line: &str) -> bool {
    let cells = || {
        let rest = line.strip_prefix(MATRIX)?.strip_prefix(": ")?;
        let (seen, rest) = rest.split_once(" cells seen, ")?;
        let cannot = rest.strip_suffix(" cannot exist")?;
        Some(seen.parse::<u32>().ok()? + cannot.parse::<u32>().ok()?)
    };
    cells() == Some(CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS_LINE: &str = "matrix: 117 cells seen, 3 cannot exist";
    const RESULT: &str = "test result: ok. 3 passed; 0 failed; 0 ignored";

    const GOOD: &[&str] = &[
        "vm: Linux 6.1",
        "vm: begins",
        "test a ... ok",
        "test b ... ok",
        "test result: ok. 2 passed; 0 failed; 0 ignored",
        "vm: left out b: no perl",
        "vm: ended with 0",
        "vm: begins",
        CELLS_LINE,
        RESULT,
        "vm: ended with 0",
        "vm: cost tracepoint: getppid 1.50",
        "vm: done",
    ];

    fn report(lines: &[&str]) -> Report {
        let run = |name: &str| Run {
            name: name.to_owned(),
            program: name.into(),
            backend: "tracepoint",
        };
        let mut report = Report::new(vec![run("loss"), run(MATRIX)]);
        for (second, line) in (0..).zip(lines) {
            report.read(line, Duration::from_secs(second));
        }
        report
    }

    #[test]
    fn passed_and_skipped_tests_are_counted() {
        let report = report(GOOD);
        let [_, loss, matrix] = &report.table()[..] else {
            panic!("{report:?}");
        };
        assert_eq!(loss, &["loss", "tracepoint", "1", "0", "1", "    5.0"]);
        assert_eq!(matrix, &["matrix", "tracepoint", "3", "0", "0", "    3.0"]);
        let counts = [
            "tracepoint: matrix: 117 cells seen, 3 cannot exist",
            "tracepoint: getppid 1.50",
        ];
        assert_eq!(report.counts(), counts);
        let sum = report.verdict().unwrap().to_string();
        assert_eq!(sum, "left out: b: no perl\n4 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_machine_that_fails_or_stops_early_is_no_success() {
        assert!(report(&[]).verdict().is_err());
        for missing in GOOD {
            // Lines that are not results: the kernel, a skip without a name, and
            // names.
            let printed = ["vm: Linux", "test a", "test b", "vm: left out", "vm: cost"];
            if printed.iter().any(|printed| missing.starts_with(printed)) {
                continue;
            }
            let lines: Vec<&str> = GOOD
                .iter()
                .copied()
                .filter(|line| line != missing)
                .collect();
            assert!(report(&lines).verdict().is_err(), "{missing}");
        }
        for (right, wrong) in [
            ("vm: ended with 0", "vm: ended with 101"),
            (RESULT, "test result: FAILED. 2 passed; 1 failed; 0 ignored"),
            (CELLS_LINE, "matrix: 116 cells seen, 3 cannot exist"),
            (CELLS_LINE, "matrix: 120 cells seen"),
            (RESULT, "test result: ok. 0 passed; 0 failed; 0 ignored"),
        ] {
            let lines: Vec<&str> = GOOD
                .iter()
                .map(|line| if *line == right { wrong } else { line })
                .collect();
            assert!(report(&lines).verdict().is_err(), "{wrong}");
        }
    }
}
