//! `cargo xtask leftovers PROGRAM`: runs a test program, and fails when it leaves
//! something behind: a process, a mount, a cgroup, a file.
//!
//! `cargo xtask test` makes cargo start each test program through it. It reaps all
//! descendants of the program, so that it finds every process that was not waited for; it
//! finds other objects by their names, which contain the program's pid.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The environment variable that makes cargo start test programs through this.
pub(crate) fn runner() -> io::Result<(String, String)> {
    let arch = std::env::consts::ARCH.to_uppercase();
    let own = std::env::current_exe()?;
    Ok((
        format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_GNU_RUNNER"),
        format!("{} leftovers", own.display()),
    ))
}

pub(crate) fn run(arguments: &[OsString]) -> io::Result<()> {
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(io::Error::other("which program is not given"));
    };
    nix::sys::prctl::set_child_subreaper(true)?;
    // Tests of signals begin as in a terminal, also under nohup(1) or a build service
    // that ignores some. env(1) executes the program, which has its pid.
    let child = Command::new("env")
        .arg("--default-signal=HUP,INT,QUIT,TERM,CHLD,TSTP,TTIN,TTOU")
        .arg(program)
        .args(arguments)
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let ended = wait_for(pid)?;
    let mut left = processes()?;
    left.extend(named(&format!("nsexec-test-{pid}-"))?);
    let program = Path::new(program).file_name().unwrap_or_default();
    let program = program.to_string_lossy();
    if !left.is_empty() {
        let list = left.join("\n  ");
        return Err(io::Error::other(format!(
            "{program} leaves behind:\n  {list}"
        )));
    }
    match ended {
        WaitStatus::Exited(_, 0) => Ok(()),
        ended => Err(io::Error::other(format!("{program}: {ended:?}"))),
    }
}

/// Reaps the program, and all orphaned processes meanwhile.
fn wait_for(program: Pid) -> io::Result<WaitStatus> {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(program) => return Ok(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Ends the processes that do not end by themselves, and returns them.
fn processes() -> io::Result<Vec<String>> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Ok(Vec::new()),
            Ok(WaitStatus::StillAlive) if Instant::now() > end => break,
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(10)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let own = std::process::id();
    let mut left = Vec::new();
    // Grandchildren become children once their parent has ended.
    loop {
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let Some(child) = children.split_whitespace().next() else {
            return Ok(left);
        };
        let words = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        left.push(format!("process {child}: {}", words.trim_end()));
        let child = Pid::from_raw(child.parse().map_err(io::Error::other)?);
        kill(child, Signal::SIGKILL)?;
        waitpid(child, None)?;
    }
}

/// Files, cgroups and mounts with this in their name.
fn named(name: &str) -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    let temporary = std::env::temp_dir();
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    let directories = hierarchies
        .map(|entry| entry.path())
        .chain([temporary, "/sys/fs/cgroup".into()]);
    for directory in directories {
        // A regular file among the hierarchies, or a removed one.
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(name) {
                left.push(entry.path().display().to_string());
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mounts = mounts.lines().filter(|line| line.contains(name));
    left.extend(mounts.map(|line| format!("mount {line}")));
    Ok(left)
}
