//! The arms of an attack, and the tools by which each arm enters a target.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::running::Running;
use crate::support::{NSEXEC, Target, temporary_directory, text};

/// The observed result of an attack.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The attack did harm; the text describes the harm.
    Harm(String),
    /// The attack did no harm; the text names the defence.
    Blocked(String),
}

/// The result of this arm is inconclusive.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The set-up failed, and so does the run.
    Broken(String),
    /// This machine lacks a feature that the attack requires.
    LeftOut(String),
}

/// The result of an arm.
pub(crate) type Arm = Result<Outcome, Fault>;

pub(crate) fn broken<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Broken(why.into()))
}

/// A tool that enters a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// nsenter(1).
    Nsenter,
    /// The nsenter of busybox, a single static file.
    BusyboxNsenter,
    /// nsexec, under this policy.
    Nsexec(&'static str),
    /// nsexec as a runtime starts it (protocol A).
    ProtocolA,
    /// Debian's runc.
    Runc,
    /// Another control, with its name in the table.
    Other(&'static str),
}

pub(crate) const DEFAULT: Tool = Tool::Nsexec("default");
pub(crate) const STRICT: Tool = Tool::Nsexec("strict");
pub(crate) const ADMIN: Tool = Tool::Nsexec("admin");

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nsenter => "nsenter",
            Self::BusyboxNsenter => "busybox nsenter",
            Self::Nsexec(policy) => policy,
            Self::ProtocolA => "protocol A",
            Self::Runc => "runc",
            Self::Other(name) => name,
        })
    }
}

/// The nsexec under attack: `NSEXEC_ATTACK_BINARY`, or the built one.
pub(crate) fn nsexec() -> PathBuf {
    std::env::var_os("NSEXEC_ATTACK_BINARY").map_or_else(|| NSEXEC.into(), PathBuf::from)
}

impl Tool {
    /// Whether the tool is nsexec; all others are controls.
    pub(crate) fn is_nsexec(self) -> bool {
        matches!(self, Self::Nsexec(_) | Self::ProtocolA)
    }

    /// The command line that enters a target, up to the target's pid.
    pub(crate) fn words(self) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Nsenter => owned(&["nsenter"]),
            Self::BusyboxNsenter => owned(&["/bin/busybox", "nsenter"]),
            Self::Nsexec(policy) => {
                vec![
                    nsexec().display().to_string(),
                    "--policy".to_owned(),
                    policy.to_owned(),
                ]
            }
            Self::ProtocolA | Self::Runc | Self::Other(_) => {
                panic!("{self} has no command line of its own")
            }
        }
    }

    /// `nsenter -t PID OPTIONS -- WORDS`, or the same with nsexec.
    pub(crate) fn enter(self, pid: i32, options: &[&str], words: &[&str]) -> Command {
        self.enter_by(&[], pid, options, words)
    }

    /// The same, started by the command `prefix`.
    pub(crate) fn enter_by(
        self,
        prefix: &[&str],
        pid: i32,
        options: &[&str],
        words: &[&str],
    ) -> Command {
        let own = self.words();
        let mut all = prefix.iter().copied().chain(own.iter().map(String::as_str));
        let mut command = Command::new(all.next().unwrap_or_default());
        command.args(all).args(["-t", &pid.to_string()]);
        command.args(options).arg("--").args(words);
        command.stdin(Stdio::null());
        command
    }
}

/// Runs a command until it ends, even if another process keeps its output open.
pub(crate) fn bounded(command: &mut Command) -> Result<Output, Fault> {
    Running::start(command).output()
}

/// The content of the file `secret`.
const SECRET: &str = "of-the-host";

/// Files of the host to which no target has a right.
#[derive(Debug)]
pub(crate) struct Host {
    directory: PathBuf,
}

impl Host {
    /// Creates a readable file `secret`, and no file `marker`.
    pub(crate) fn new() -> Self {
        let directory = temporary_directory("host");
        fs::write(directory.join("secret"), format!("{SECRET}\n")).expect("a file");
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// A script that, on the host, writes to the host's marker and prints its secret. In a
    /// target it prints `in target`.
    pub(crate) fn script(&self) -> String {
        let [marker, secret] = ["marker", "secret"].map(|name| self.path(name));
        format!(
            "echo reached 2>/dev/null > {marker}; cat {secret} 2>/dev/null; echo in $(hostname)"
        )
    }

    /// Whether [`Self::script`] ran on the host. `reasons` are the accepted reasons of a
    /// refusal by nsexec.
    pub(crate) fn evaluate(&self, output: &Output, reasons: &[&str]) -> Arm {
        let stdout = text(&output.stdout);
        let written = self.directory.join("marker").exists();
        if written || stdout.contains(SECRET) {
            let how = if written { "wrote" } else { "read" };
            let status = output.status;
            return Ok(Outcome::Harm(format!(
                "the program ran on the host and {how} a file ({status})"
            )));
        }
        let own = nix::unistd::gethostname().expect("a host name");
        if stdout == format!("in {}\n", own.to_string_lossy()) {
            return Ok(Outcome::Harm(
                "the program is not in the target's namespaces".to_owned(),
            ));
        }
        if stdout == "in target\n" {
            return Ok(Outcome::Blocked("the program ran in the target".to_owned()));
        }
        refused(output, reasons)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Checks that nsexec refused for one of these reasons and started nothing.
pub(crate) fn refused(output: &Output, reasons: &[&str]) -> Arm {
    let stderr = text(&output.stderr);
    let message = stderr
        .lines()
        .find_map(|line| line.strip_prefix("nsexec: "));
    match (output.status.code(), message) {
        (Some(125..=127), Some(message))
            if output.stdout.is_empty()
                && reasons.iter().any(|reason| message.contains(reason)) =>
        {
            Ok(Outcome::Blocked(format!("refused: {}", short(message))))
        }
        _ => broken(format!("{output:?}")),
    }
}

/// The first clause of a message.
fn short(message: &str) -> &str {
    message.split_once(';').map_or(message, |(first, _)| first)
}

/// The result that `hostile.c` prints.
pub(crate) fn answer(output: &Output) -> Arm {
    let stdout = text(&output.stdout);
    let line = stdout.lines().last().unwrap_or_default();
    if let Some(how) = line.strip_prefix("harm ") {
        return Ok(Outcome::Harm(how.to_owned()));
    }
    if let Some(why) = line.strip_prefix("denied ") {
        return Ok(Outcome::Blocked(why.to_owned()));
    }
    broken(format!("{output:?}"))
}

/// A program of `tests/attacks/data`, compiled once.
pub(crate) fn program(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attacks");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/attacks/data")
        .join(name)
        .with_extension("c");
    let output = directory.join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    if changed(&output) <= changed(&source) {
        fs::create_dir_all(&directory).expect("a directory");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-static", "-Wall", "-Wextra", "-Werror", "-o"]);
        gcc.arg(&output).arg(&source);
        crate::support::succeed(gcc);
    }
    output
}

/// Puts a program into a target's `/bin`.
pub(crate) fn install(target: &Target, name: &str) {
    // rename(2): a process that waits for the program finds it complete.
    let bin = target.root().join("bin");
    let new = bin.join("new");
    fs::copy(program(name), &new).expect("the target's /bin");
    fs::rename(new, bin.join(name)).expect("the target's /bin");
}

/// `hostile WORDS` in a target, by this way.
pub(crate) fn hostile(tool: Tool, target: &Target, options: &[&str], words: &[&str]) -> Arm {
    install(target, "hostile");
    let words = [&["/bin/hostile"], words].concat();
    answer(&bounded(&mut tool.enter(target.pid(), options, &words))?)
}

/// A command whose caller has `directory` open as descriptor `number`.
pub(crate) fn with_open(number: u8, directory: &str, mut command: Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec {number}<{directory}; exec \"$@\""))
        .arg("sh");
    shell.arg(command.get_program()).args(command.get_args());
    command.stdin(Stdio::null());
    shell.stdin(Stdio::null());
    shell
}
