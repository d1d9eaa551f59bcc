//! Implements runc's side of protocol B.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use nsexec_protocol::netlink::{Bootstrap, encode};
use nsexec_protocol::ns_paths;
use serde_json::Value;

use super::protocol_a::{become_subreaper, hand_over, read_line};
use super::runtime::State;
use super::tracer::{self, Action, Stop};

/// The data after the message on the pipe.
pub const REST: &str = "{\"the configuration\"}";

/// An exec through protocol B.
#[derive(Debug)]
pub struct Exec {
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
    pub message: Vec<u8>,
    pub uid: Option<u32>,
    pub with_log: bool,
    /// The command that executes the program, such as setpriv(1). Only under a tracer.
    pub prefix: Vec<&'static str>,
}

/// The result.
#[derive(Debug)]
pub struct Outcome {
    pub stage0: ExitStatus,
    /// The output of stage 0, byte for byte.
    pub report: String,
    pub stage1: Option<WaitStatus>,
    pub stage2: Option<WaitStatus>,
    pub state: State,
    /// Level and message of every line.
    pub log: Vec<(String, String)>,
    pub stderr: String,
}

/// A message of runc that joins and creates nothing.
pub fn nothing() -> Bootstrap {
    Bootstrap::default()
}

/// The message of `runc exec`: joins these namespaces of a process.
pub fn joining(pid: i32, namespaces: &[&str]) -> Bootstrap {
    let paths: Vec<String> = namespaces
        .iter()
        .map(|name| format!("{name}:/proc/{pid}/ns/{name}"))
        .collect();
    Bootstrap {
        join: ns_paths::parse(paths.join(",").as_bytes()).expect("paths"),
        ..nothing()
    }
}

impl Exec {
    pub fn new(program: PathBuf, bootstrap: &Bootstrap) -> Self {
        Self::raw(program, encode(bootstrap, 1).expect("a message"))
    }

    pub fn raw(program: PathBuf, message: Vec<u8>) -> Self {
        let variables = [
            ("GOMAXPROCS", "1"),
            ("_LIBCONTAINER_INITPIPE", "3"),
            ("_LIBCONTAINER_SYNCPIPE", "4"),
            ("_LIBCONTAINER_LOGPIPE", "5"),
            ("_LIBCONTAINER_LOGLEVEL", "5"),
            ("_LIBCONTAINER_INITTYPE", "setns"),
        ];
        Self {
            program,
            environment: variables
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            message,
            uid: None,
            with_log: true,
            prefix: Vec::new(),
        }
    }

    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != key);
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Without a log pipe.
    pub fn unlogged(mut self) -> Self {
        self.environment
            .retain(|(known, _)| !known.starts_with("_LIBCONTAINER_LOG"));
        self.with_log = false;
        self
    }

    /// Runs it until all stages have ended.
    pub fn run(self) -> Outcome {
        self.run_to_end(false)
    }

    /// Like [`Self::run`], without data after the message.
    pub fn run_closing(self) -> Outcome {
        self.run_to_end(true)
    }

    /// Runs it under a tracer until all processes have ended; `stop` is called as by
    /// [`tracer::run`]. Only the tracer knows the exit statuses of stages 1 and 2.
    pub fn run_traced(self, stop: impl FnMut(Stop) -> Action) -> Outcome {
        let (ours, theirs) = UnixStream::pair().expect("a socketpair");
        let (sync, _sync_end) = UnixStream::pair().expect("a socketpair");
        let (log, log_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let (stdout, stdout_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let (stderr, stderr_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        // The runtime reads exactly its bytes: it has nothing to wait for.
        (&ours).write_all(&self.message).expect("the message");
        (&ours).write_all(REST.as_bytes()).expect("the rest");
        ours.shutdown(Shutdown::Write).expect("shutdown");
        let mut words = self.prefix.clone();
        words.push(self.program.to_str().expect("a path"));
        let prepare = |command: &mut Command| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            command.env_clear().env("PATH", path).envs(self.environment);
            hand_over(command, vec![theirs.into(), sync.into(), log_end]);
        };
        let (out, err) = (File::from(stdout_end), File::from(stderr_end));
        let ended = tracer::run_prepared(&words, prepare, out, err, stop);
        let mut report = String::new();
        // If a stage refused, it closed the other side with unread data.
        let _ = (&ours).read_to_string(&mut report);
        Outcome {
            stage0: ExitStatus::from_raw(ended.status << 8),
            report,
            stage1: None,
            stage2: None,
            state: State::read(&rest_of(stdout)),
            log: rest_of(log).lines().map(parse_line).collect(),
            stderr: rest_of(stderr),
        }
    }

    fn run_to_end(self, closing: bool) -> Outcome {
        become_subreaper();
        let (ours, theirs) = UnixStream::pair().expect("a socketpair");
        let (sync, _sync_end) = UnixStream::pair().expect("a socketpair");
        ours.set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let (log, log_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let (stdout, stdout_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let (stderr, stderr_end) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.environment);
        command.stdin(Stdio::null());
        command.stdout(stdout_end).stderr(stderr_end);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        let mut files: Vec<OwnedFd> = vec![theirs.into(), sync.into()];
        if self.with_log {
            files.push(log_end);
        } else {
            drop(log_end);
        }
        hand_over(&mut command, files);
        let mut helper = command.spawn().expect("the runtime");
        drop(command);
        // A process that refuses early does not read all of a long message.
        let _ = (&ours).write_all(&self.message);
        if closing {
            let _ = ours.shutdown(Shutdown::Write);
        }
        // runc's exec waits for stage 0 before it reads.
        let stage0 = helper.wait().expect("stage 0");
        let mut outcome = Outcome {
            stage0,
            report: String::new(),
            stage1: None,
            stage2: None,
            state: State::default(),
            log: Vec::new(),
            stderr: String::new(),
        };
        if stage0.success() {
            outcome.report = read_line(&ours);
            let [stage1, stage2] = pids(outcome.report.trim_start_matches('\0'));
            let _ = (&ours).write_all(REST.as_bytes());
            let _ = ours.shutdown(Shutdown::Write);
            outcome.stage1 = Some(waitpid(Pid::from_raw(stage1), None).expect("stage 1"));
            outcome.stage2 = Some(waitpid(Pid::from_raw(stage2), None).expect("stage 2"));
        }
        outcome.state = State::read(&rest_of(stdout));
        outcome.log = rest_of(log).lines().map(parse_line).collect();
        outcome.stderr = rest_of(stderr);
        outcome
    }
}

/// All data in a pipe without writers. The runtime's output fits into it.
fn rest_of(pipe: OwnedFd) -> String {
    let mut text = Vec::new();
    File::from(pipe).read_to_end(&mut text).expect("a pipe");
    String::from_utf8_lossy(&text).into_owned()
}

/// Parses `{"stage1_pid":N,"stage2_pid":N}` and a newline, exactly.
#[track_caller]
pub fn pids(report: &str) -> [i32; 2] {
    let value: Value =
        serde_json::from_str(report).unwrap_or_else(|fault| panic!("{fault}: {report:?}"));
    let pid = |key: &str| i32::try_from(value[key].as_i64().expect(key)).expect(key);
    let pids = [pid("stage1_pid"), pid("stage2_pid")];
    let [one, two] = pids;
    assert_eq!(
        report,
        format!("{{\"stage1_pid\":{one},\"stage2_pid\":{two}}}\n")
    );
    pids
}

/// Like runc's own test: two keys and no others.
#[track_caller]
fn parse_line(line: &str) -> (String, String) {
    let value: Value =
        serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line:?}"));
    let object = value.as_object().expect("an object");
    assert_eq!(object.len(), 2, "{line}");
    let text = |key: &str| object[key].as_str().expect(key).to_owned();
    (text("level"), text("msg"))
}

impl Outcome {
    /// The fatal lines, without their prefix.
    pub fn fatal(&self) -> Vec<&str> {
        let fatal = self.log.iter().filter(|(level, _)| level == "fatal");
        fatal
            .filter_map(|(_, message)| message.split_once("]: "))
            .map(|(_, text)| text)
            .collect()
    }
}
