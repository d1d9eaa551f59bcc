//! The calls that are made: load.c, alone or beneath a tracer.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Which call, how often on each of the processors, and how many a second (0: as
/// many as there can be).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) call: &'static str,
    pub(crate) count: u32,
    pub(crate) rate: u32,
    pub(crate) processors: &'a [usize],
}

/// load.c, compiled.
#[derive(Debug)]
pub(crate) struct Load(PathBuf);

impl Load {
    pub(crate) fn compile(directory: &Path) -> io::Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/audit/load.c");
        let program = directory.join("load");
        let status = Command::new("gcc")
            .args(["-O2", "-static", "-Wall", "-o"])
            .args([&program, &source])
            .status()
            .map_err(|error| io::Error::other(format!("gcc: {error}")))?;
        if status.success() {
            Ok(Self(program))
        } else {
            Err(io::Error::other(format!(
                "gcc {}: {status}",
                source.display()
            )))
        }
    }

    /// Starts it, beneath `tracer` if there is one; it waits to be let go.
    pub(crate) fn ready(&self, tracer: &[&str], asked: Asked<'_>) -> io::Result<Ready> {
        let mut words: Vec<&OsStr> = tracer.iter().map(OsStr::new).collect();
        words.push(self.0.as_os_str());
        let (program, before) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(before)
            .args([
                asked.call,
                &asked.count.to_string(),
                &asked.rate.to_string(),
            ])
            .args(asked.processors.iter().map(usize::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut ready = Ready {
            child,
            output: BufReader::new(output),
            count: asked.count,
        };
        let mut line = String::new();
        ready.output.read_line(&mut line)?;
        if line == "ready\n" {
            Ok(ready)
        } else {
            let status = ready.child.wait()?;
            Err(io::Error::other(format!("{}: {status}", program.display())))
        }
    }
}

/// Waits to be let go.
#[derive(Debug)]
pub(crate) struct Ready {
    child: Child,
    output: BufReader<ChildStdout>,
    count: u32,
}

impl Ready {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From the first call to the last of all processors, and how many there were.
    pub(crate) fn go(mut self) -> io::Result<(Duration, u64)> {
        drop(self.child.stdin.take());
        let (mut first, mut last, mut calls) = (u64::MAX, 0, 0);
        for line in (&mut self.output).lines() {
            let line = line?;
            let times = line.split_once(' ').and_then(|(begin, end)| {
                Some((begin.parse::<u64>().ok()?, end.parse::<u64>().ok()?))
            });
            let Some((begin, end)) = times else {
                return Err(io::Error::other(format!("load said {line:?}")));
            };
            first = first.min(begin);
            last = last.max(end);
            calls += u64::from(self.count);
        }
        let status = self.child.wait()?;
        let taken = last.checked_sub(first).map(Duration::from_nanos);
        taken
            .filter(|_| status.success())
            .map(|taken| (taken, calls))
            .ok_or_else(|| io::Error::other(format!("load: {status}")))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // It ends by itself once it is let go; a tracer goes with it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
