//! Runs commands whose output matters only if they fail.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo;

const TICK: Duration = Duration::from_millis(100);
/// The interval of progress lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(20);
/// The length of the log of a failed command in the error.
const SHOWN_LINES: usize = 40;

/// Runs `command` with its output in a log, and shows the elapsed time. If it
/// fails, the error contains the end of the log.
pub(crate) fn quietly(what: &str, command: &mut Command) -> io::Result<()> {
    let path = cargo::scratch()?.join("command.log");
    let log = File::create(&path)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let start = Instant::now();
    let mut child = command
        .spawn()
        .map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    let mut shown = Shown::new(what);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(TICK);
        shown.at(start.elapsed())?;
    };
    shown.end(start.elapsed(), status.success())?;
    if status.success() {
        return Ok(());
    }
    let log = std::fs::read(&path)?;
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let end = lines
        .get(lines.len().saturating_sub(SHOWN_LINES)..)
        .unwrap_or_default();
    Err(io::Error::other(format!(
        "{what}: {status}\n{}",
        end.join("\n")
    )))
}

struct Shown<'a> {
    what: &'a str,
    terminal: bool,
    line: Duration,
}

impl<'a> Shown<'a> {
    fn new(what: &'a str) -> Self {
        let terminal = io::stdout().is_terminal();
        if !terminal {
            println!("  {what} ...");
        }
        Self {
            what,
            terminal,
            line: LINE_EVERY,
        }
    }

    fn at(&mut self, elapsed: Duration) -> io::Result<()> {
        if self.terminal {
            print!("\r  {} ... {} s", self.what, elapsed.as_secs());
        } else if elapsed >= self.line {
            self.line += LINE_EVERY;
            println!("  {} ... {} s", self.what, elapsed.as_secs());
        }
        io::stdout().flush()
    }

    fn end(&self, elapsed: Duration, success: bool) -> io::Result<()> {
        let back = if self.terminal { "\r" } else { "" };
        let word = if success { "done" } else { "failed" };
        let seconds = elapsed.as_secs_f64();
        println!("{back}  {} ... {word} in {seconds:.1} s", self.what);
        io::stdout().flush()
    }
}
