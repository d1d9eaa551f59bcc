//! A process that runs beside an attack, and what it prints.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use crate::arm::{Fault, broken};
use crate::support::text;

/// How long a command may take before it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends with its value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Files in memory: whatever holds them open, they can be read.
    stdout: File,
    stderr: File,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| {
            File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).expect("memfd_create"))
        });
        command.stdout(stdout.try_clone().expect("a descriptor"));
        command.stderr(stderr.try_clone().expect("a descriptor"));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// How it ended, if it does within this time.
    pub(crate) fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        wait(patience, || self.child.try_wait().expect("wait"))
    }

    /// Waits until it has printed this line first.
    pub(crate) fn says(&mut self, line: &str) -> Result<(), Fault> {
        let said = || {
            let now = text(&read_back(&self.stdout));
            now.lines()
                .next()
                .is_some_and(|first| first == line)
                .then_some(())
        };
        match wait(Duration::from_secs(10), said) {
            Some(()) => Ok(()),
            None => broken(format!(
                "{line:?} was not printed: {}",
                text(&read_back(&self.stderr))
            )),
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
    }

    /// Waits for its end.
    pub(crate) fn output(mut self) -> Result<Output, Fault> {
        match self.end_within(PATIENCE) {
            Some(status) => Ok(Output {
                status,
                stdout: read_back(&self.stdout),
                stderr: read_back(&self.stderr),
            }),
            None => broken(format!(
                "it did not end: {}",
                text(&read_back(&self.stderr))
            )),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that was written so far; whoever writes goes on where it was.
fn read_back(file: &File) -> Vec<u8> {
    let length = file.metadata().expect("a memfd").len();
    let mut bytes = vec![0; usize::try_from(length).expect("a length")];
    let read = file.read_at(&mut bytes, 0).expect("a memfd");
    bytes.truncate(read);
    bytes
}

/// Asks until there is an answer, or `patience` is over.
pub(crate) fn wait<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() > end {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
