//! Signals, job control, and who is left behind or waits for ever.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, STRICT, Seen, Way, bounded, broken, install, refused,
};
use crate::running::{Running, wait};
use crate::support::cgroup::Cgroup;
use crate::support::{Target, protocol_a, text};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "kill-own-group",
        tries: "end the caller's script by kill(0)",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: kill_own_group,
        quick: true,
    },
    Attack {
        name: "outlive-helper",
        tries: "live on when the helper is killed",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: outlive_helper,
        quick: true,
    },
    Attack {
        name: "stop-and-go",
        tries: "stop the helper for good: stop, and be continued from inside",
        control: Way::Nsenter,
        ways: &[DEFAULT, ADMIN],
        run: stop_and_go,
        quick: true,
    },
    Attack {
        name: "ignored-sigchld",
        tries: "have the status lost, where the caller ignores SIGCHLD",
        control: Way::BusyboxNsenter,
        ways: &[DEFAULT, ADMIN],
        run: ignored_sigchld,
        quick: true,
    },
    Attack {
        name: "reader-gone",
        tries: "have the status lost: whoever reads the message has gone",
        control: Way::Nsenter,
        ways: &[DEFAULT],
        run: reader_gone,
        quick: true,
    },
    Attack {
        name: "status-reader-gone",
        tries: "have the status lost: whoever reads the status lines has gone",
        control: Way::Nsenter,
        ways: &[DEFAULT],
        run: |way| match way {
            Way::Nsenter => reader_gone(way),
            _ => status_reader_gone(way),
        },
        quick: true,
    },
    Attack {
        name: "runtime-gone",
        tries: "leave a process in the target: the runtime dies before initConfig",
        control: Way::Nsenter,
        ways: &[Way::ProtocolA],
        run: runtime_gone,
        quick: true,
    },
    Attack {
        name: "hanging-program",
        tries: "hold an exec up: the program is on a FUSE that never answers",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| hanging_fuse(way, "", "/mnt", &["/mnt/program"]),
        quick: true,
    },
    Attack {
        name: "hanging-passwd",
        tries: "hold an exec up: passwd is on a FUSE that never answers",
        control: Way::Other("nsenter and su(1)"),
        ways: &[DEFAULT, ADMIN],
        run: |way| {
            let script = "rm /etc/passwd; ln -s /mnt/passwd /etc/passwd";
            let words = if way.is_nsexec() {
                &["true"][..]
            } else {
                &["su", "ann"]
            };
            hanging_fuse(way, script, "/mnt", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-dev",
        tries: "hold an exec up: /dev is a FUSE that never answers",
        control: Way::Other("nsenter and cat(1)"),
        ways: &[DEFAULT, STRICT],
        run: |way| {
            let words = if way.is_nsexec() {
                &["true"][..]
            } else {
                &["cat", "/dev/null"]
            };
            hanging_fuse(way, "", "/dev", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-terminals",
        tries: "hold an exec up: /dev/pts is a FUSE that never answers",
        control: Way::Other("nsenter and cat(1)"),
        ways: &[DEFAULT, STRICT],
        run: |way| {
            let words = if way.is_nsexec() {
                &["true"][..]
            } else {
                &["cat", "/dev/pts/0"]
            };
            hanging_fuse(way, "umount -l /dev/pts", "/dev/pts", words)
        },
        quick: true,
    },
    Attack {
        name: "hanging-directory",
        tries: "hold an exec up: -w=DIR is on a FUSE that never answers",
        control: Way::Other("nsenter and cd in the target"),
        ways: &[DEFAULT, ADMIN],
        run: |way| {
            let words = if way.is_nsexec() {
                &["true"][..]
            } else {
                &["sh", "-c", "cd /mnt/d"]
            };
            hanging_fuse(way, "", "/mnt", words)
        },
        quick: true,
    },
    Attack {
        name: "frozen-cgroup",
        tries: "hold an exec up: the target's cgroup is frozen",
        control: Way::Other("nsenter, from the target's cgroup"),
        ways: &[DEFAULT, ADMIN],
        run: frozen_cgroup,
        quick: true,
    },
];

/// The script that enters says that it lives, if it does.
fn kill_own_group(way: Way) -> Arm {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let enter = way.enter(target.pid(), &["-a"], &["/bin/hostile", "signal-group"]);
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
        return Ok(Seen::Harm("the caller's script was killed".to_owned()));
    }
    match text(&output.stdout).trim() {
        "status 137" => Ok(Seen::Blocked("the program killed itself alone".to_owned())),
        "denied kill: Operation not permitted\nstatus 0" => {
            Ok(Seen::Blocked("kill: Operation not permitted".to_owned()))
        }
        _ => broken(format!("{output:?}")),
    }
}

/// What is not held up ends within this time.
const SOON: Duration = Duration::from_secs(5);

/// What has not ended by then is held up.
const HELD_UP: Duration = Duration::from_millis(700);

fn outlive_helper(way: Way) -> Arm {
    let target = Target::with_script("mkfifo /tmp/end /tmp/begun");
    // strict writes no file: the FIFOs are opened for reading alone.
    let script = "exec sleep 987";
    let helper = Running::start(&mut way.enter(target.pid(), &["-a"], &["sh", "-c", script]));
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
        Some(()) => Ok(Seen::Blocked(
            "the program ended with the helper".to_owned(),
        )),
        None => Ok(Seen::Harm("the program lives in the target".to_owned())),
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

/// Ends with 7, after it has stopped and was continued.
fn stop_and_go(way: Way) -> Arm {
    let target = Target::new();
    let script = "(sleep 0.3; kill -CONT $$) & kill -STOP $$; wait; exit 7";
    let mut helper = Running::start(&mut way.enter(target.pid(), &["-a"], &["sh", "-c", script]));
    let ended = helper.end_within(SOON);
    match ended.and_then(|status| status.code()) {
        Some(7) => Ok(Seen::Blocked(
            "the helper waited, and ended with 7".to_owned(),
        )),
        None if ended.is_none() => {
            let left = processes(&target).len();
            Ok(Seen::Harm(format!(
                "the helper is stopped, {left} processes are left"
            )))
        }
        _ => broken(format!("{ended:?}")),
    }
}

fn ignored_sigchld(way: Way) -> Arm {
    let target = Target::new();
    let prefix = ["env", "--ignore-signal=CHLD"];
    let mut helper =
        Running::start(&mut way.enter_by(&prefix, target.pid(), &["-a"], &["sh", "-c", "exit 7"]));
    match helper.end_within(SOON).map(|status| status.code()) {
        Some(Some(7)) => Ok(Seen::Blocked("the status is 7".to_owned())),
        Some(code) => Ok(Seen::Harm(format!(
            "the status was lost: {code:?} instead of 7"
        ))),
        None => Ok(Seen::Harm("the helper waits for ever".to_owned())),
    }
}

/// A pipe that nobody reads.
fn unread() -> std::os::fd::OwnedFd {
    let (_, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    write
}

/// There is no such program, which status 127 says.
fn reader_gone(way: Way) -> Arm {
    let target = Target::new();
    let mut command = way.enter(target.pid(), &["-a"], &["/bin/nonexistent"]);
    // Rust's own start-up ignores SIGPIPE; a shell's does not.
    let status = command.stderr(unread()).status().expect("the command");
    match (status.code(), status.signal()) {
        (Some(127), _) => Ok(Seen::Blocked("the status is 127".to_owned())),
        (_, Some(_)) => Ok(Seen::Harm(format!("it was ended: {status}"))),
        _ => broken(format!("{status}")),
    }
}

fn status_reader_gone(way: Way) -> Arm {
    let target = Target::new();
    let mut command = way.enter(
        target.pid(),
        &["-a", "--status-fd", "3"],
        &["sh", "-c", "exit 7"],
    );
    protocol_a::hand_over(&mut command, vec![unread()]);
    let status = command.stderr(Stdio::null()).status().expect("the command");
    match status.code() {
        Some(7) => Ok(Seen::Blocked("the status is 7".to_owned())),
        Some(125) => Ok(Seen::Blocked("refused: nothing was started".to_owned())),
        _ => Ok(Seen::Harm(format!("the status was lost: {status}"))),
    }
}

/// Who sends initConfig never does.
fn runtime_gone(way: Way) -> Arm {
    let target = Target::new();
    if way == Way::Nsenter {
        // A program that waits for its input waits for ever, held open by another.
        let helper =
            Running::start(&mut way.enter(target.pid(), &["-a"], &["sh", "-c", "sleep 986"]));
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
        // The end of the message at once, as from a runtime that died.
        let outcome = exec.run(b"");
        if outcome.stdout.is_empty() && outcome.child.is_none() {
            return broken(format!("{outcome:?}"));
        }
    }
    let gone = || processes(&target).is_empty().then_some(());
    match wait(Duration::from_secs(2), gone) {
        Some(()) => Ok(Seen::Blocked("the child has ended".to_owned())),
        None => Ok(Seen::Harm("a process is left in the target".to_owned())),
    }
}

/// SIGTERM to a helper that is held up: it ends, and its child with it, or as soon
/// as the kernel lets go of it.
fn terminated(helper: &mut Running, target: &Target) -> Arm {
    if let Some(status) = helper.end_within(HELD_UP) {
        return broken(format!("it was not held up: {status}"));
    }
    kill(helper.pid(), Signal::SIGTERM).expect("kill");
    if helper.end_within(SOON).is_none() {
        return Ok(Seen::Harm("SIGTERM does not end it".to_owned()));
    }
    let ends = || {
        processes(target)
            .iter()
            .all(|(pid, _)| is_killed(*pid))
            .then_some(())
    };
    match wait(Duration::from_secs(2), ends) {
        Some(()) => Ok(Seen::Blocked("SIGTERM ended it and its child".to_owned())),
        None => Ok(Seen::Harm("a process is left in the target".to_owned())),
    }
}

/// Whether SIGKILL waits for it, or it has gone.
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

/// A target with a file system at `place` that answers nothing.
fn hanging_fuse(way: Way, script: &str, place: &str, words: &[&str]) -> Arm {
    if !Path::new("/dev/fuse").exists() {
        return Err(Fault::LeftOut("the kernel has no FUSE".to_owned()));
    }
    let target = Target::with_script(&format!("mkdir /mnt; mknod /dev/fuse c 10 229; {script}"));
    install(&target, "fuse");
    let enter = if way.is_nsexec() { way } else { Way::Nsenter };
    let options: &[&str] = match words {
        ["true"] if script.is_empty() && place == "/mnt" => &["-a", "-w=/mnt/d"],
        _ => &["-a"],
    };
    let enter = &mut enter.enter(target.pid(), options, words);
    let mut daemon = Way::BusyboxNsenter.enter(target.pid(), &["-m"], &["/bin/fuse", place]);
    let mut daemon = Running::start(&mut daemon);
    daemon.says("mounted")?;
    let mut helper = Running::start(enter);
    let seen = match helper.end_within(HELD_UP) {
        Some(status) if way.is_nsexec() && status.success() => {
            Ok(Seen::Blocked("the program ran".to_owned()))
        }
        // Refused, since the directory lies on a file system that may never answer.
        Some(status) if way.is_nsexec() && status.code() == Some(125) => {
            Ok(Seen::Blocked("refused at once".to_owned()))
        }
        _ => terminated(&mut helper, &target),
    };
    // What hangs ends when the daemon does; until then nobody can wait for it.
    daemon.kill();
    seen
}

/// Freezes a cgroup for as long as it lives.
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

fn frozen_cgroup(way: Way) -> Arm {
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
    let mut enter = if way.is_nsexec() {
        way.enter(target.pid(), &["-a", "-c"], &["true"])
    } else {
        let script = format!("echo $$ > {directory}/cgroup.procs; exec \"$@\"");
        let enter = Way::Nsenter.enter(target.pid(), &["-a"], &["true"]);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script, "sh"])
            .arg(enter.get_program())
            .args(enter.get_args());
        shell
    };
    if way.is_nsexec() {
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
        None => Ok(Seen::Harm("SIGTERM does not end it".to_owned())),
        Some(status) => Ok(Seen::Blocked(format!("SIGTERM ended it: {status}"))),
    }
}
