//! Implements libcontainer's side of protocol A.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::NSEXEC;

/// The number of the descriptor on which the helper receives the pipe, after `files`.
pub const FIRST: i32 = 3;

/// An exec through protocol A.
#[derive(Debug)]
pub struct Exec {
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    /// Passed from descriptor 3 on; the pipe is the next one.
    pub files: Vec<OwnedFd>,
    pub stdin: Stdio,
    /// The owner of the pipes of standard output and error.
    pub owner: Option<u32>,
}

/// The result.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status of the helper.
    pub helper: ExitStatus,
    /// The helper's output before it ended: the pid line, byte for byte.
    pub line: String,
    /// The child's output after initConfig: empty means success.
    pub answer: String,
    /// The exit status of the child; `None`: no pid was reported.
    pub child: Option<WaitStatus>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The message of the error JSON.
    pub fn message(&self) -> String {
        let error: Value = serde_json::from_str(&self.answer).unwrap_or_else(|fault| {
            panic!("{fault}: no error JSON in {self:?}");
        });
        assert_eq!(error["ECode"], 8, "{self:?}");
        error["Message"].as_str().expect("a message").to_owned()
    }
}

/// initConfig with these arguments, as libcontainer sends it.
pub fn config(arguments: &[&str]) -> Value {
    let sample = include_str!("../../data/proto_a_initConfig_setns.json");
    let mut config: Value = serde_json::from_str(sample).expect("the sample");
    config["args"] = json!(arguments);
    // Root on the reference machine lacks CAP_SYS_RESOURCE: no limit is raised.
    config["config"]["rlimits"] = json!([{ "type": 7, "hard": 1000, "soft": 900 }]);
    config
}

impl Exec {
    pub fn into(pid: i32) -> Self {
        let variables = [
            ("_LIBCONTAINER_INITPID", pid.to_string()),
            ("_LIBCONTAINER_INITPIPE", FIRST.to_string()),
            ("_LIBCONTAINER_INITTYPE", "setns".to_owned()),
        ];
        Self {
            program: NSEXEC.into(),
            environment: variables
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
            arguments: vec!["init".to_owned()],
            files: Vec::new(),
            stdin: Stdio::null(),
            owner: None,
        }
    }

    pub fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.unset(key);
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn unset(&mut self, key: &str) -> &mut Self {
        self.environment.retain(|(known, _)| known != key);
        self
    }

    /// Runs the exec to its end, with these bytes as initConfig.
    pub fn run(self, message: &[u8]) -> Outcome {
        self.run_meanwhile(message, |_| ())
    }

    /// The same; `meanwhile` runs with the child's pid while the child waits for
    /// initConfig.
    pub fn run_meanwhile(mut self, message: &[u8], meanwhile: impl FnOnce(i32)) -> Outcome {
        become_subreaper();
        let (ours, theirs) = UnixStream::pair().expect("a socketpair");
        ours.set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let pipe = FIRST + i32::try_from(self.files.len()).expect("few files");
        if !self.files.is_empty() {
            self.set("_LIBCONTAINER_INITPIPE", &pipe.to_string());
        }
        let (stdout, stdout_end) = output_pipe(self.owner);
        let (stderr, stderr_end) = output_pipe(self.owner);
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().cloned())
            .args(&self.arguments);
        command
            .stdin(self.stdin)
            .stdout(stdout_end)
            .stderr(stderr_end);
        let mut handed: Vec<OwnedFd> = self.files;
        handed.push(theirs.into());
        hand_over(&mut command, handed);
        let mut helper = command.spawn().expect("nsexec");
        drop(command);
        let (mut stdout, mut stderr) = (File::from(stdout), File::from(stderr));
        let status = helper.wait().expect("the helper's end");
        let mut outcome = Outcome {
            helper: status,
            line: String::new(),
            answer: String::new(),
            child: None,
            stdout: String::new(),
            stderr: String::new(),
        };
        if status.success() {
            outcome.line = read_line(&ours);
            let pid = pid_of(&outcome.line);
            meanwhile(pid);
            // A child that refuses early does not read all of a long message.
            let _ = (&ours).write_all(message);
            let _ = ours.shutdown(Shutdown::Write);
            let _ = (&ours).read_to_string(&mut outcome.answer);
            outcome.child = Some(waitpid(Pid::from_raw(pid), None).expect("the child is ours"));
        }
        stdout.read_to_string(&mut outcome.stdout).expect("stdout");
        stderr.read_to_string(&mut outcome.stderr).expect("stderr");
        outcome
    }

    pub fn run_config(self, config: &Value) -> Outcome {
        self.run(format!("{config}\n").as_bytes())
    }
}

/// Parses `{ "pid" : N }` and a newline, exactly.
pub fn pid_of(line: &str) -> i32 {
    let number = line
        .strip_prefix("{ \"pid\" : ")
        .and_then(|rest| rest.strip_suffix(" }\n"));
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{line:?}"))
}

pub fn read_line(mut stream: &UnixStream) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while !line.ends_with('\n') && stream.read(&mut byte).expect("the pid line") == 1 {
        line.push(char::from(byte[0]));
    }
    line
}

/// A pipe that this user owns.
fn output_pipe(owner: Option<u32>) -> (OwnedFd, OwnedFd) {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    if let Some(owner) = owner {
        nix::unistd::fchown(&write, Some(owner.into()), Some(owner.into())).expect("fchown");
    }
    (read, write)
}

/// Orphaned descendants become children of this process, which reaps them; children created
/// with CLONE_PARENT are its own.
pub fn become_subreaper() {
    nix::sys::prctl::set_child_subreaper(true).expect("PR_SET_CHILD_SUBREAPER");
}

/// Passes `files` as descriptors 3, 4, ... of the command, without CLOEXEC.
pub fn hand_over(command: &mut Command, files: Vec<OwnedFd>) {
    let mapping = |(parent_fd, child_fd)| FdMapping {
        parent_fd,
        child_fd,
    };
    let mappings = files.into_iter().zip(FIRST..).map(mapping).collect();
    command
        .fd_mappings(mappings)
        .expect("descriptors that do not collide");
}

/// An initConfig that runs a script.
pub fn shell(script: &str) -> serde_json::Value {
    config(&["sh", "-c", script])
}

#[track_caller]
pub fn assert_exited(outcome: &Outcome, status: i32) {
    assert!(
        matches!(outcome.child, Some(WaitStatus::Exited(_, found)) if found == status),
        "{outcome:?}"
    );
}

#[track_caller]
pub fn assert_success(outcome: &Outcome) {
    assert_eq!(outcome.answer, "", "{outcome:?}");
    assert_exited(outcome, 0);
}
