//! Runs a process with a time limit.

use std::fs::File;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Fixture, fresh};

/// No step needs a tenth of this.
const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// The output of a process, and its exit status.
pub(crate) struct Ended {
    pub(crate) pid: u32,
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// The exit status and the first line on standard error.
    pub(crate) fn summary(&self) -> String {
        let line = self.errors.lines().next().unwrap_or("nothing on stderr");
        format!("{}, {line}", self.status)
    }
}

/// Runs a command to its end. Output goes to files: reading a pipe to its end
/// would block on a program that hangs.
pub(crate) fn run(fixture: &Fixture, command: &mut Command) -> io::Result<Ended> {
    let (output, stdout) = fresh(fixture, "stdout")?;
    let (errors, stderr) = fresh(fixture, "stderr")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()?;
    Ok(Ended {
        pid: child.id(),
        status: wait(&mut child)?,
        output: std::fs::read_to_string(output)?,
        errors: std::fs::read_to_string(errors)?,
    })
}

/// Waits for a child of this program's making.
pub(crate) fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Err(too_long())
}

/// Waits for a child that nsexec made for this program (CLONE_PARENT).
pub(crate) fn wait_for_pid(pid: i32) -> io::Result<WaitStatus> {
    let pid = Pid::from_raw(pid);
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => std::thread::sleep(POLL),
            ended => return Ok(ended),
        }
    }
    // The child is not reaped yet, so the pid is still its own.
    kill(pid, Signal::SIGKILL)?;
    waitpid(pid, None)?;
    Err(too_long())
}

/// Lets the next process inherit `file` under its number.
pub(crate) fn inherit(file: impl std::os::fd::AsFd) -> io::Result<()> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// A file whose descriptor the next process inherits.
pub(crate) fn inherited_file(
    fixture: &Fixture,
    name: &str,
) -> io::Result<(std::path::PathBuf, File)> {
    let (path, file) = fresh(fixture, name)?;
    inherit(&file)?;
    Ok((path, file))
}

fn too_long() -> io::Error {
    io::Error::other(format!(
        "still running after {} s: killed",
        TIMEOUT.as_secs()
    ))
}
