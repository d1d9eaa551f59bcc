//! `cargo xtask oracle`: compares all oracles that need no process on many
//! calls.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to people: nothing here ends up in the helper"
)]

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oracle::libseccomp::{HEADER, Libseccomp};
use oracle::options::{self, Options};
use oracle::profiles::{CONTAINERS, shipped};
use oracle::rounds::{Rounds, Total};

/// The interval of progress lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Options { tuples, seed } =
        options::parse(std::env::args_os().skip(1)).map_err(|fault| fault.to_string())?;
    let seed = seed.unwrap_or_else(clock);
    let libseccomp = if Path::new(HEADER).exists() {
        Some(Libseccomp::new().map_err(|error| error.to_string())?)
    } else {
        println!("left out: libseccomp: {HEADER} is missing; install libseccomp-dev");
        None
    };
    let mut files = shipped();
    if Path::new(CONTAINERS).exists() {
        files.push(PathBuf::from(CONTAINERS));
    } else {
        println!(
            "left out: Debian's profile: {CONTAINERS} is missing; \
             install golang-github-containers-common"
        );
    }
    let start = Instant::now();
    let mut shown = Shown::new(tuples, start);
    let options = Rounds::new(&files, libseccomp)
        .and_then(|rounds| {
            rounds
                .ask(tuples, seed, |count| shown.at(count))
                .map_err(|found| found.to_string())
        })
        .inspect_err(|_| shown.clear())?;
    shown.clear();
    print!("{}", table(&options, seed, start.elapsed()));
    Ok(())
}

/// Rounds go on from here, so that two runs of one second have none in common.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.map_or(1, |since| since.as_nanos());
    u64::try_from(nanoseconds).unwrap_or(1)
}

fn table(total: &Total, seed: u64, taken: Duration) -> String {
    let Total { count, profiles } = total;
    let rows = [
        ("tuples", count.tuples.to_string()),
        ("of 32-bit", count.of_32_bit.to_string()),
        ("stacked", count.stacked.to_string()),
        ("libseccomp", count.libseccomp.to_string()),
        ("profiles", profiles.to_string()),
        ("mismatches", "0".to_owned()),
        ("seed", seed.to_string()),
        ("seconds", format!("{:.1}", taken.as_secs_f64())),
    ];
    rows.iter()
        .map(|(name, value)| format!("  {name:<12}{value:>20}\n"))
        .collect()
}

/// Prints the progress.
struct Shown {
    tuples: u64,
    start: Instant,
    terminal: bool,
    line: Duration,
}

impl Shown {
    fn new(tuples: u64, start: Instant) -> Self {
        Self {
            tuples,
            start,
            terminal: io::stdout().is_terminal(),
            line: LINE_EVERY,
        }
    }

    fn at(&mut self, options: u64) {
        let elapsed = self.start.elapsed();
        let words = format!(
            "  {options} of {} tuples ... {} s",
            self.tuples,
            elapsed.as_secs()
        );
        if self.terminal {
            print!("\r{words}");
        } else if elapsed >= self.line {
            self.line += LINE_EVERY;
            println!("{words}");
        }
        // A failed write of the progress does not stop the run.
        let _ = io::stdout().flush();
    }

    fn clear(&self) {
        if self.terminal {
            print!("\r\x1b[K");
        }
    }
}
