//! Signals, job control, and processes that stay behind or wait forever.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, STRICT, Tool, bounded, broken, install, refused,
};
use crate::running::{Running, wait};
use crate::support::cgroup::Cgroup;
use crate::support::{Target, protocol_a, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "kill-own-group",
        tries: "end the caller's script by kill(0)",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: kill_own_group,
        quick: true,
    },
    Attack {
        name: "outlive-helper",
        tries: "live on when the helper is killed",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: outlive_helper,
        quick: true,
    },
    Attack {
        name: "stop-and-go",
        tries: "stop the helper for good: stop, and be continued from inside",
        control: Tool::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: stop_and_go,
        quick: true,
    },
    Attack {
        name: "ignored-sigchld",
        tries: "have the status lost, where the caller ignores SIGCHLD",
        control: Tool::BusyboxNsenter,
        ways: &[DEFAULT, ADMIN],
        run: ignored_sigchld,
        quick: true,
    },
    Attack {
        name: "reader-gone",
        tries: "lose the exit status: the reader of the message has ended",
        control: Tool::Nsenter,
        ways: &[DEFAULT],
        run: reader_gone,
        quick: true,
    },
    Attack {
        name: "status-reader-gone",
        tries: "lose the exit status: the reader of the status lines has ended",
        control: Tool::Nsenter,
        ways: &[DEFAULT],
        run: |tool| match tool {
            Tool::Nsenter => reader_gone(tool),
            _ => status_reader_gone(tool),
        },
        quick: true,
    },
    Attack {
        name: "runtime-gone",
        tries: "leave a process in the target: the runtime dies before initConfig",
        control: Tool::Nsenter,
        ways: &[Tool::ProtocolA],
        run: runtime_gone,
        quick: true,
    },
    Attack {
        name: "hanging-program",
        tries: "hold an exec up: the program is on a FUSE that never answers",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| hanging_fuse(tool, "", "/mnt", &["/mnt/program"]),
        quick: true,
    },
    Attack {
        name: "hanging-passwd",
        tries: "hold an exec up: passwd is on a FUSE that never answers",
        control: Tool::Other("nsenter and su(1)"),
        ways: &[DEFAULT, ADMIN],
        run: |tool| {
            let script = "rm /etc/passwd; ln -s /mnt/passwd /etc/passwd";
            let words = if tool.is_nsexec() {
                &["true"][..]
            } else {
                &["su", "ann"]
            };
            hanging_fuse(tool, script, "/mnt", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-dev",
        tries: "hold an exec up: /dev is a FUSE that never answers",
        control: Tool::Other("nsenter and cat(1)"),
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let words = if tool.is_nsexec() {
                &["true"][..]
            } else {
                &["cat", "/dev/null"]
            };
            hanging_fuse(tool, "", "/dev", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-terminals",
        tries: "hold an exec up: /dev/pts is a FUSE that never answers",
        control: Tool::Other("nsenter and cat(1)"),
        ways: &[DEFAULT, STRICT],
        run: |tool| {
            let words = if tool.is_nsexec() {
                &["true"][..]
            } else {
                &["cat", "/dev/pts/0"]
            };
            hanging_fuse(tool, "umount -l /dev/pts", "/dev/pts", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-directory",
        tries: "hold an exec up: -w=DIR is on a FUSE that never answers",
        control: Tool::Other("nsenter and cd in the target"),
        ways: &[DEFAULT, ADMIN],
        run: |tool| {
            let words = if tool.is_nsexec() {
                &["true"][..]
            } else {
                &["sh", "-c", "cd /mnt/d"]
            };
            hanging_fuse(tool, "", "/mnt", words)
        },
        quick: true,
    },
    Attack {
        name: "frozen-cgroup",
        tries: "hold an exec up: the target's cgroup is frozen",
        control: Tool::Other("nsenter, from the target's cgroup"),
        ways: &[DEFAULT, ADMIN],
        run: frozen_cgroup,
        quick: true,
    },
];

/// The calling script prints a line if it is still alive at the end.
fn kill_own_group(tool: Tool) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let enter = tool.enter(target.pid(), &["-a"], &["/bin/hostile", "signal-group"]);
    let script = format!(
        "\"$@\"; echo status $?; echo lives > {}",
        host.path("marker")
    );
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", &script, "sh"]);
    command
        .arg(enter.get_program())
        .args(enter.get_args())
        .stdin(Stdio::null());
    let output = bounded(&mut command)?;
    if !Path::new(&host.path("marker")).exists() {
        return Ok(Outcome::Harm("the caller's script was killed".to_owned()));
    }
    match text(&output.stdout).trim() {
        "status 137" => Ok(Outcome::Blocked(
            "the program killed itself alone".to_owned(),
        )),
        "denied kill: Operation not permitted\nstatus 0" => {
            Ok(Outcome::Blocked("kill: Operation not permitted".to_owned()))
        }
        _ => broken(format!("{output:?}")),
    }
}

/// The time within which an undelayed process ends.
const SOON: Duration = Duration::from_secs(5);

/// A process that runs longer is considered blocked.
const HELD_UP: Duration = Duration::from_millis(700);

fn outlive_helper(tool: Tool) -> Arm {
    let target = Target::with_script("mkfifo /tmp/end /tmp/begun");
    // strict does not allow writing: the FIFOs are opened for reading only.
    let script = "exec sleep 987";
    let helper = Running::start(&mut tool.enter(target.pid(), &["-a"], &["sh", "-c", script]));
    let find = || {
        processes(&target)
            .into_iter()
            .find(|(_, command)| command.contains("sleep\0987"))
    };
    if wait(Duration::from_secs(10), find).is_none() {
        return broken("the program did not begin");
    }
    drop(helper);
    let gone = || find().is_none().then_some(());
    match wait(Duration::from_secs(2), gone) {
        Some(()) => Ok(Outcome::Blocked(
            "the program ended with the helper".to_owned(),
        )),
        None => Ok(Outcome::Harm("the program lives in the target".to_owned())),
    }
}

/// Pid and command line of every process in the target's pid namespace.
fn processes(target: &Target) -> Vec<(i32, String)> {
    let theirs = target.namespace("pid");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let own = fs::read_link(entry.path().join("ns/pid")).ok()?;
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            (own.to_string_lossy() == theirs && pid != target.pid()).then_some((pid, command))
        })
        .collect()
}

/// The program stops, is continued, and exits with 7.
fn stop_and_go(tool: Tool) -> Arm {
    let target = Target::new();
    let script = "(sleep 0.3; kill -CONT $$) & kill -STOP $$; wait; exit 7";
    let mut helper = Running::start(&mut tool.enter(target.pid(), &["-a"], &["sh", "-c", script]));
    let ended = helper.end_within(SOON);
    match ended.and_then(|status| status.code()) {
        Some(7) => Ok(Outcome::Blocked(
            "the helper waited, and ended with 7".to_owned(),
        )),
        None if ended.is_none() => {
            let left = processes(&target).len();
            Ok(Outcome::Harm(format!(
                "the helper is stopped, {left} processes are left"
            )))
        }
        _ => broken(format!("{ended:?}")),
    }
}

fn ignored_sigchld(tool: Tool) -> Arm {
    let target = Target::new();
    let prefix = ["env", "--ignore-signal=CHLD"];
    let mut helper =
        Running::start(&mut tool.enter_by(&prefix, target.pid(), &["-a"], &["sh", "-c", "exit 7"]));
    match helper.end_within(SOON).map(|status| status.code()) {
        Some(Some(7)) => Ok(Outcome::Blocked("the status is 7".to_owned())),
        Some(code) => Ok(Outcome::Harm(format!(
            "the status was lost: {code:?} instead of 7"
        ))),
        None => Ok(Outcome::Harm("the helper waits for ever".to_owned())),
    }
}

/// A pipe without a reader.
fn unread() -> std::os::fd::OwnedFd {
    let (_, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    write
}

/// The program does not exist: status 127.
fn reader_gone(tool: Tool) -> Arm {
    let target = Target::new();
    let mut command = tool.enter(target.pid(), &["-a"], &["/bin/nonexistent"]);
    // Rust's start-up code ignores SIGPIPE; a shell does not.
    let status = command.stderr(unread()).status().expect("the command");
    match (status.code(), status.signal()) {
        (Some(127), _) => Ok(Outcome::Blocked("the status is 127".to_owned())),
        (_, Some(_)) => Ok(Outcome::Harm(format!("it was ended: {status}"))),
        _ => broken(format!("{status}")),
    }
}

fn status_reader_gone(tool: Tool) -> Arm {
    let target = Target::new();
    let mut command = tool.enter(
        target.pid(),
        &["-a", "--status-fd", "3"],
        &["sh", "-c", "exit 7"],
    );
    protocol_a::hand_over(&mut command, vec![unread()]);
    let status = command.stderr(Stdio::null()).status().expect("the command");
    match status.code() {
        Some(7) => Ok(Outcome::Blocked("the status is 7".to_owned())),
        Some(125) => Ok(Outcome::Blocked("refused: nothing was started".to_owned())),
        _ => Ok(Outcome::Harm(format!("the status was lost: {status}"))),
    }
}

/// The runtime never sends initConfig.
fn runtime_gone(tool: Tool) -> Arm {
    let target = Target::new();
    if tool == Tool::Nsenter {
        // A program that reads its input waits forever if another process keeps the pipe
        // open.
        let helper =
            Running::start(&mut tool.enter(target.pid(), &["-a"], &["sh", "-c", "sleep 986"]));
        let begun = || {
            processes(&target)
                .iter()
                .any(|(_, c)| c.contains("986"))
                .then_some(())
        };
        if wait(Duration::from_secs(10), begun).is_none() {
            return broken("the program did not begin");
        }
        drop(helper);
    } else {
        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = crate::arm::nsexec();
        // The message ends at once, as if the runtime had died.
        let outcome = exec.run(b"");
        if outcome.stdout.is_empty() && outcome.child.is_none() {
            return broken(format!("{outcome:?}"));
        }
    }
    let gone = || processes(&target).is_empty().then_some(());
    match wait(Duration::from_secs(2), gone) {
        Some(()) => Ok(Outcome::Blocked("the child has ended".to_owned())),
        None => Ok(Outcome::Harm("a process is left in the target".to_owned())),
    }
}

/// SIGTERM to a blocked helper: helper and child end, at the latest when the kernel ends
/// the wait.
fn terminated(helper: &mut Running, target: &Target) -> Arm {
    if let Some(status) = helper.end_within(HELD_UP) {
        return broken(format!("it was not held up: {status}"));
    }
    kill(helper.pid(), Signal::SIGTERM).expect("kill");
    if helper.end_within(SOON).is_none() {
        return Ok(Outcome::Harm("SIGTERM does not end it".to_owned()));
    }
    let ends = || {
        processes(target)
            .iter()
            .all(|(pid, _)| is_killed(*pid))
            .then_some(())
    };
    match wait(Duration::from_secs(2), ends) {
        Some(()) => Ok(Outcome::Blocked(
            "SIGTERM ended it and its child".to_owned(),
        )),
        None => Ok(Outcome::Harm("a process is left in the target".to_owned())),
    }
}

/// Whether the process has a pending SIGKILL or has ended.
fn is_killed(pid: i32) -> bool {
    const SIGKILL: u64 = 1 << 8;
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    let pending = status.lines().filter_map(|line| {
        let line = line
            .strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    });
    status.contains("State:\tZ") || pending.fold(0, |all, set| all | set) & SIGKILL != 0
}

/// A target with a file system at `place` that never answers a request.
fn hanging_fuse(tool: Tool, script: &str, place: &str, words: &[&str]) -> Arm {
    if !Path::new("/dev/fuse").exists() {
        return Err(Fault::LeftOut("the kernel has no FUSE".to_owned()));
    }
    let target = Target::with_script(&format!("mkdir /mnt; mknod /dev/fuse c 10 229; {script}"));
    install(&target, "fuse");
    let enter = if tool.is_nsexec() {
        tool
    } else {
        Tool::Nsenter
    };
    let options: &[&str] = match words {
        ["true"] if script.is_empty() && place == "/mnt" => &["-a", "-w=/mnt/d"],
        _ => &["-a"],
    };
    let enter = &mut enter.enter(target.pid(), options, words);
    let mut daemon = Tool::BusyboxNsenter.enter(target.pid(), &["-m"], &["/bin/fuse", place]);
    let mut daemon = Running::start(&mut daemon);
    daemon.expect_line("mounted")?;
    let mut helper = Running::start(enter);
    let seen = match helper.end_within(HELD_UP) {
        Some(status) if tool.is_nsexec() && status.success() => {
            Ok(Outcome::Blocked("the program ran".to_owned()))
        }
        // nsexec refuses, because the directory is on a file system that may never answer.
        Some(status) if tool.is_nsexec() && status.code() == Some(125) => {
            Ok(Outcome::Blocked("refused at once".to_owned()))
        }
        _ => terminated(&mut helper, &target),
    };
    // The blocked process ends when the daemon ends, and cannot be reaped before.
    daemon.kill();
    seen
}

/// Freezes a cgroup until the value is dropped.
struct Frozen(String);

impl Frozen {
    fn new(directory: &str) -> Option<Self> {
        let state = format!("{directory}/freezer.state");
        fs::write(&state, "FROZEN").ok()?;
        Some(Self(state))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let file = fs::File::options().write(true).open(&self.0);
        let _ = file.and_then(|mut file| file.write_all(b"THAWED"));
    }
}

fn frozen_cgroup(tool: Tool) -> Arm {
    const HIERARCHY: &str = "/sys/fs/cgroup/freezer";
    let Some(cgroup) = Cgroup::beneath(HIERARCHY) else {
        return Err(Fault::LeftOut("no freezer hierarchy is mounted".to_owned()));
    };
    let target = Target::new();
    cgroup.add(target.pid());
    let directory = format!("{HIERARCHY}/{}", cgroup.name());
    let Some(frozen) = Frozen::new(&directory) else {
        return Err(Fault::LeftOut("a cgroup cannot be frozen".to_owned()));
    };
    let mut enter = if tool.is_nsexec() {
        tool.enter(target.pid(), &["-a", "-c"], &["true"])
    } else {
        let script = format!("echo $$ > {directory}/cgroup.procs; exec \"$@\"");
        let enter = Tool::Nsenter.enter(target.pid(), &["-a"], &["true"]);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script, "sh"])
            .arg(enter.get_program())
            .args(enter.get_args());
        shell
    };
    if tool.is_nsexec() {
        let mut helper = Running::start(&mut enter);
        if helper.end_within(HELD_UP).is_some() {
            return refused(&helper.output()?, &["frozen"]);
        }
        let seen = terminated(&mut helper, &target);
        drop(frozen);
        return seen;
    }
    let helper = Running::start(enter.stdin(Stdio::null()));
    std::thread::sleep(Duration::from_millis(300));
    kill(helper.pid(), Signal::SIGTERM).expect("kill");
    let mut helper = helper;
    let ended = helper.end_within(SOON);
    drop(frozen);
    match ended {
        None => Ok(Outcome::Harm("SIGTERM does not end it".to_owned())),
        Some(status) => Ok(Outcome::Blocked(format!("SIGTERM ended it: {status}"))),
    }
}
