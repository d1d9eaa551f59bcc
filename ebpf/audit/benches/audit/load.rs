//! The load: load.c, alone or under a tracer.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The call, the number of calls per processor, and the rate per second (0: unlimited).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
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

    /// Starts the load, under `tracer` if there is one; the load waits until it is
    /// released.
    pub(crate) fn ready(&self, tracer: &[&str], options: Options<'_>) -> io::Result<Ready> {
        let mut words: Vec<&OsStr> = tracer.iter().map(OsStr::new).collect();
        words.push(self.0.as_os_str());
        let (program, before) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(before)
            .args([
                options.call,
                &options.count.to_string(),
                &options.rate.to_string(),
            ])
            .args(options.processors.iter().map(usize::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut ready = Ready {
            child,
            output: BufReader::new(output),
            count: options.count,
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

/// Waits until it is released.
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

    /// The time from the first to the last call of all processors, and the number of calls.
    pub(crate) fn go(mut self) -> io::Result<(Duration, u64)> {
        drop(self.child.stdin.take());
        let (mut first, mut last, mut calls) = (u64::MAX, 0, 0);
        for line in (&mut self.output).lines() {
            let line = line?;
            let times = line.split_once(' ').and_then(|(begin, end)| {
                Some((begin.parse::<u64>().ok()?, end.parse::<u64>().ok()?))
            });
            let Some((begin, end)) = times else {
                return Err(io::Error::other(format!(
                    "unexpected output of load.c: {line:?}"
                )));
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
        // The load ends by itself after its release; a tracer ends with it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
