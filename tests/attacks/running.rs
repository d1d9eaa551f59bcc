//! A process that runs during an attack, and its output.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use crate::arm::{Fault, broken};
use crate::support::text;

/// The timeout of a command.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The process is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Files in memory, which can be read even if another process keeps them open.
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

    /// The exit status, if the process ends within this time.
    pub(crate) fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        wait(patience, || self.child.try_wait().expect("wait"))
    }

    /// Waits until the first line of output is this one.
    pub(crate) fn expect_line(&mut self, line: &str) -> Result<(), Fault> {
        let printed = || {
            let now = text(&read_back(&self.stdout));
            now.lines()
                .next()
                .is_some_and(|first| first == line)
                .then_some(())
        };
        match wait(Duration::from_secs(10), printed) {
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
        match self.end_within(TIMEOUT) {
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

/// All output so far; the writer's offset does not change.
fn read_back(file: &File) -> Vec<u8> {
    let length = file.metadata().expect("a memfd").len();
    let mut bytes = vec![0; usize::try_from(length).expect("a length")];
    let read = file.read_at(&mut bytes, 0).expect("a memfd");
    bytes.truncate(read);
    bytes
}

/// Repeats until there is a result or `patience` has passed.
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
