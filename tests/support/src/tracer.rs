//! A ptrace tracer that stops nsexec and all its descendants at every system call.
//! strace(1) can neither select one process nor inspect anything but the call.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A traced process at a system call.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub pid: i32,
    /// The first process has the index 0; others are numbered in the order of their
    /// creation.
    pub place: usize,
    /// `None`: at the entry of the call.
    pub result: Option<i64>,
    /// The first argument.
    pub argument: u64,
    /// The number of the call, from <asm/unistd.h>.
    pub number: u64,
    /// How often this process made this call before.
    pub before: usize,
}

/// The effect of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The kernel executes the call.
    Go,
    /// The kernel does not execute it, and it returns this errno. x86_64 only.
    Fail(i32),
    /// The kernel does not execute it, and it returns 0. x86_64 only.
    Pretend,
}

/// The end of the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub status: i32,
}

/// The status of a process that a signal ended.
const KILLED: i32 = -1;

/// PTRACE_EVENT_STOP, linux/ptrace.h.
const EVENT_STOP: i32 = 128;

/// Runs a command to its end. `stop` is called at entry and exit of each system call of the
/// command and its descendants; its result applies at the entry. The command's standard
/// output goes to `stdout`.
pub fn run(
    words: &[&str],
    stdout: std::fs::File,
    stderr: std::fs::File,
    stop: impl FnMut(Stop) -> Action,
) -> Ended {
    run_prepared(words, |_| (), stdout, stderr, stop)
}

/// The same with a command that `prepare` changes before the start.
pub fn run_prepared(
    words: &[&str],
    prepare: impl FnOnce(&mut Command),
    stdout: std::fs::File,
    stderr: std::fs::File,
    mut stop: impl FnMut(Stop) -> Action,
) -> Ended {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"read go; exec "$@" </dev/null"#, "sh"]);
    prepare(&mut command);
    #[expect(clippy::zombie_processes, reason = "the loop below waits for it")]
    let mut shell = command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let first = Pid::from_raw(i32::try_from(shell.id()).unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).unwrap();
    ptrace::interrupt(first).unwrap();
    shell.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut traced: BTreeMap<Pid, Traced> = BTreeMap::from([(first, Traced::default())]);
    // The tracer may see the parent's stop after the end of the child.
    let mut known = BTreeSet::from([first]);
    let mut appear = |traced: &mut BTreeMap<Pid, Traced>, pid| {
        let place = known.len();
        if known.insert(pid) {
            let process = Traced {
                place,
                ..Traced::default()
            };
            traced.insert(pid, process);
        }
    };
    let mut status = None;
    let end = Instant::now() + Duration::from_secs(60);
    // Only for children of this thread: other tests of the program wait for theirs.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
    while !traced.is_empty() {
        assert!(Instant::now() < end, "{words:?}: no end after 60 seconds");
        let stopped = match waitpid(Pid::from_raw(-1), Some(flags)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            Err(Errno::ECHILD) => break,
            other => other.unwrap(),
        };
        match stopped {
            WaitStatus::Exited(pid, code) => {
                traced.remove(&pid);
                if pid == first {
                    status = Some(code);
                }
            }
            WaitStatus::Signaled(pid, ..) => {
                traced.remove(&pid);
                if pid == first {
                    status = Some(KILLED);
                }
            }
            WaitStatus::PtraceSyscall(pid) => {
                appear(&mut traced, pid);
                if let Some(process) = traced.get_mut(&pid) {
                    process.at_call(pid, &mut stop);
                }
                go_on(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, EVENT_STOP) => {
                appear(&mut traced, pid);
                go_on(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                // In the order of creation, not of the first stops.
                if event != libc::PTRACE_EVENT_EXEC
                    && let Ok(created) = ptrace::getevent(pid)
                {
                    appear(&mut traced, Pid::from_raw(created.try_into().unwrap()));
                }
                go_on(pid, None);
            }
            WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
            other => panic!("{other:?}"),
        }
    }
    Ended {
        status: status.unwrap(),
    }
}

/// A process that was killed meanwhile cannot continue.
fn go_on(pid: Pid, signal: Option<nix::sys::signal::Signal>) {
    match ptrace::syscall(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("{pid}: {errno}"),
    }
}

/// The tracer's memory of a process.
#[derive(Debug, Default)]
struct Traced {
    /// The process has stopped at a call before.
    synchronised: bool,
    place: usize,
    number: u64,
    argument: u64,
    /// The next stop is the exit of a call.
    inside: bool,
    /// The current call fails with this errno.
    fails: Option<i32>,
    counts: BTreeMap<u64, usize>,
}

impl Traced {
    fn at_call(&mut self, pid: Pid, stop: &mut impl FnMut(Stop) -> Action) {
        // The process may have been killed.
        let Ok(registers) = ptrace::getregs(pid) else {
            return;
        };
        // The tracer may attach to the first process inside a call.
        if !self.synchronised {
            self.synchronised = true;
            if !at_entry(&registers) {
                return;
            }
        }
        self.inside = !self.inside;
        if !self.inside {
            let mut result = result(&registers);
            if let Some(errno) = self.fails.take() {
                result = -i64::from(errno);
                set_result(pid, registers, errno);
            }
            let before = self.counts.get(&self.number).map_or(0, |count| count - 1);
            stop(self.stop(pid, before, Some(result)));
            return;
        }
        (self.number, self.argument) = call(&registers);
        let before = self.counts.entry(self.number).or_default();
        *before += 1;
        let before = *before - 1;
        let action = stop(self.stop(pid, before, None));
        let errno = match action {
            Action::Go => return,
            Action::Fail(errno) => errno,
            Action::Pretend => 0,
        };
        skip(pid, registers);
        self.fails = Some(errno);
    }

    fn stop(&self, pid: Pid, before: usize, result: Option<i64>) -> Stop {
        Stop {
            pid: pid.as_raw(),
            place: self.place,
            result,
            argument: self.argument,
            number: self.number,
            before,
        }
    }
}

/// On x86_64 the kernel sets the result to ENOSYS before it checks the number. On other
/// architectures an entry cannot be distinguished from an exit: injected results are
/// supported on x86_64 only, and inspections take place at both.
fn at_entry(registers: &libc::user_regs_struct) -> bool {
    cfg!(not(target_arch = "x86_64")) || result(registers) == -i64::from(libc::ENOSYS)
}

/// Number and first argument.
#[cfg(target_arch = "x86_64")]
fn call(registers: &libc::user_regs_struct) -> (u64, u64) {
    (registers.orig_rax, registers.rdi)
}

#[cfg(target_arch = "aarch64")]
fn call(registers: &libc::user_regs_struct) -> (u64, u64) {
    (registers.regs[8], registers.regs[0])
}

#[cfg(target_arch = "x86_64")]
fn result(registers: &libc::user_regs_struct) -> i64 {
    registers.rax.cast_signed()
}

#[cfg(target_arch = "aarch64")]
fn result(registers: &libc::user_regs_struct) -> i64 {
    registers.regs[0].cast_signed()
}

#[cfg(target_arch = "x86_64")]
fn skip(pid: Pid, registers: libc::user_regs_struct) {
    let none = libc::user_regs_struct {
        orig_rax: u64::MAX,
        ..registers
    };
    ptrace::setregs(pid, none).unwrap();
}

#[cfg(target_arch = "x86_64")]
fn set_result(pid: Pid, registers: libc::user_regs_struct, errno: i32) {
    let failed = libc::user_regs_struct {
        rax: (-i64::from(errno)).cast_unsigned(),
        ..registers
    };
    let _ = ptrace::setregs(pid, failed);
}

#[cfg(not(target_arch = "x86_64"))]
fn skip(_: Pid, _: libc::user_regs_struct) {
    panic!("calls are made to fail on x86_64 only");
}

#[cfg(not(target_arch = "x86_64"))]
fn set_result(_: Pid, _: libc::user_regs_struct, _: i32) {}
