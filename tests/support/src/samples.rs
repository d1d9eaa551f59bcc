//! The common parts of the benchmarks: they read the options, summarise samples, and store
//! them on request.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::REPOSITORY;

/// After these runs caches are filled and page tables of the files exist.
pub const WARM_UP: usize = 10;

/// The command line.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub rounds: usize,
    pub save: bool,
}

impl Options {
    pub fn parse(rounds: usize) -> io::Result<Self> {
        let mut options = Self {
            rounds,
            save: false,
        };
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--rounds") => {
                    let number = arguments.next().unwrap_or_default();
                    options.rounds = number
                        .to_str()
                        .and_then(|text| text.parse().ok())
                        .filter(|rounds| *rounds > 0)
                        .ok_or_else(|| {
                            io::Error::other(format!("--rounds {number:?}; give a number above 0"))
                        })?;
                }
                Some("--save") => options.save = true,
                // Cargo passes this option to every benchmark.
                Some("--bench") => {}
                _ => {
                    return Err(io::Error::other(format!(
                        "unexpected argument {argument:?}; it takes [--rounds N] [--save]"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// The percentile of the samples: 0 is the minimum, 50 the median. `parts` per second is
/// the unit: 1000 for milliseconds.
pub fn percentile(samples: &[Duration], percent: usize, parts: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let index = sorted.len().saturating_sub(1) * percent / 100;
    sorted
        .get(index)
        .map_or(f64::NAN, |taken| taken.as_secs_f64() * parts)
}

/// Stores the samples as `benches/runs/<date>-<host>/<bench>.csv`, and the information for
/// judging them as `<bench>.txt` beside it.
pub fn save(bench: &str, samples: &[(&str, &[Duration])], report: &str) -> io::Result<PathBuf> {
    let host = nix::unistd::gethostname()?;
    let name = format!(
        "{}-{}",
        first_line("date", &["-u", "+%Y-%m-%d"])?,
        host.display()
    );
    let directory = Path::new(REPOSITORY).join("benches/runs").join(name);
    fs::create_dir_all(&directory)?;
    let mut raw = String::from("name,round,nanoseconds\n");
    for (name, samples) in samples {
        for (round, taken) in samples.iter().enumerate() {
            let _ = writeln!(raw, "\"{name}\",{round},{}", taken.as_nanos());
        }
    }
    let file = directory.join(format!("{bench}.csv"));
    fs::write(&file, raw)?;
    let command: Vec<OsString> = std::env::args_os().collect();
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let model = processor
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or("model name unknown");
    let summary = format!(
        "command: {command:?}\nkernel: {}\n{model}\nrustc: {}\ngcc: {}\n\n{report}",
        first_line("uname", &["-srm"])?,
        first_line("rustc", &["--version"])?,
        first_line("gcc", &["--version"])?,
    );
    fs::write(directory.join(format!("{bench}.txt")), summary)?;
    Ok(file)
}

/// The first line of a command's output.
fn first_line(program: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
