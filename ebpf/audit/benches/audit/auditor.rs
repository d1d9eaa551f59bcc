//! The running auditor and its output.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");
const ATTACHED: &str = "nsexec-audit: the probes are attached\n";

/// A running auditor.
#[derive(Debug)]
pub(crate) struct Auditor {
    child: Child,
    errors: BufReader<ChildStderr>,
    reader: Option<JoinHandle<io::Result<AuditorOutput>>>,
    /// From the spawn until the auditor reported that the probes are attached.
    pub(crate) attach_time: Duration,
    /// Its memory at that time.
    pub(crate) memory: Memory,
}

/// The memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The peak.
    pub(crate) peak: u64,
}

/// The lines of JSON.
#[derive(Debug, Default)]
struct AuditorOutput {
    /// The length of each line about a call that changes namespaces, in bytes.
    sizes: Vec<usize>,
    last: Vec<u8>,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Done {
    /// The length of each line about a call that changes namespaces, in bytes.
    pub(crate) sizes: Vec<usize>,
    /// Calls of all processes that the probes saw and that did not fit into the ring.
    pub(crate) seen: u64,
    pub(crate) lost: u64,
    pub(crate) memory: Memory,
}

impl Auditor {
    /// With the options that select the watched process.
    pub(crate) fn start(pid: u32, options: &[&str]) -> io::Result<Self> {
        let start = Instant::now();
        let mut child = Command::new(PROGRAM)
            .args(["--format", "json", "--pid", &pid.to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut errors = BufReader::new(errors);
        let mut first_line = String::new();
        errors.read_line(&mut first_line)?;
        let attach_time = start.elapsed();
        if first_line != ATTACHED {
            let status = child.wait()?;
            return Err(io::Error::other(format!("{status}: {first_line}")));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this process joins nothing, and its pipe must not fill"
        )]
        let reader = std::thread::spawn(|| read_lines(output));
        Ok(Self {
            memory: memory(child.id())?,
            reader: Some(reader),
            child,
            errors,
            attach_time,
        })
    }

    /// Ends the auditor, and summarises its output about `call`.
    pub(crate) fn stop(mut self, call: &str) -> io::Result<Done> {
        let memory = memory(self.child.id())?;
        kill(
            Pid::from_raw(self.child.id().try_into().map_err(io::Error::other)?),
            Signal::SIGTERM,
        )?;
        let reader = self.reader.take().ok_or(io::ErrorKind::InvalidInput)?;
        let output = reader
            .join()
            .map_err(|_| io::Error::other("the reader of its lines"))??;
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("{status}: {errors}")));
        }
        let health: Value = serde_json::from_slice(&output.last)?;
        let counted = |counter: &str| {
            let place = format!("/hooks/sys_exit_{call}/{counter}");
            let number = health.pointer(&place).and_then(Value::as_u64);
            number.ok_or_else(|| io::Error::other(format!("no {place} in the last line")))
        };
        Ok(Done {
            sizes: output.sizes,
            seen: counted("seen")?,
            lost: counted("ring_full")?,
            memory,
        })
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        // In case an error occurred before it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the auditor has ended. No line is parsed meanwhile, so that the auditor has
/// the processors for itself.
fn read_lines(stdout: ChildStdout) -> io::Result<AuditorOutput> {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    let mut output = AuditorOutput::default();
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"{\"kind\":\"ns_") && !line.starts_with(b"{\"kind\":\"ns_gap") {
            output.sizes.push(line.len());
        }
        std::mem::swap(&mut output.last, &mut line);
        line.clear();
    }
    Ok(output)
}

fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no {name} in /proc/{pid}/status")))
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}
