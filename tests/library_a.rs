//! Protocol A: libnsexec in a runtime that reads initConfig itself.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, ttyname};
use support::Target;
use support::protocol_a::{Exec, Outcome, assert_exited};
use support::runtime::{Link, State, runtime};

const JOINED: [&str; 5] = ["ipc", "uts", "net", "pid", "mnt"];
const REST: &str = "{\"the configuration\"}";

fn exec(target: &Target, link: Link) -> Exec {
    let mut exec = Exec::into(target.pid());
    exec.program = runtime(link);
    exec
}

#[track_caller]
fn state(outcome: &Outcome) -> State {
    assert!(outcome.helper.success(), "{outcome:?}");
    assert_exited(outcome, 7);
    assert_eq!((outcome.answer.as_str(), outcome.stderr.as_str()), ("", ""));
    State::read(&outcome.stdout)
}

#[test]
fn the_runtime_takes_over_in_the_targets_namespaces() {
    support::needs!(root);
    let target = Target::new();
    for link in Link::ALL {
        let outcome = exec(&target, link).run(REST.as_bytes());
        let state = state(&outcome);
        for name in JOINED {
            assert_eq!(state.get(name), target.namespace(name), "{link:?} {name}");
        }
        assert_ne!(state.get("cgroup"), target.namespace("cgroup"));
        assert_eq!(state.get("rest"), REST);
        assert_eq!(state.get("sid"), state.get("process"));
        assert_eq!(
            state.get("cached_tid"),
            state.get("process"),
            "glibc's thread id"
        );
        assert_eq!(state.get("Threads"), "1");
        // The protocol requires this: the runtime of 2015 opens its own /proc/self files.
        assert_eq!(state.get("dumpable"), "1");
        assert_eq!(state.get("cwd"), "/");
        assert_eq!(state.get("Seccomp"), "0");
        assert_eq!(state.get("unshare"), "allowed");
    }
}

#[test]
fn a_user_namespace_is_joined_as_its_root() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    let state = state(&exec(&target, Link::Static).run(b""));
    assert_eq!(state.get("user"), target.namespace("user"));
    assert_eq!(state.get("Uid"), "0\t0\t0\t0");
    assert_eq!(state.get("Groups"), "");
}

#[test]
fn the_console_is_the_controlling_terminal() {
    support::needs!(root);
    let target = Target::new();
    let pty = openpty(None, None).unwrap();
    let mut exec = exec(&target, Link::Static);
    let console = ttyname(&pty.slave).unwrap();
    exec.set("_LIBCONTAINER_CONSOLE_PATH", console.to_str().unwrap());
    let outcome = exec.run(b"");
    assert!(outcome.helper.success(), "{outcome:?}");
    assert_exited(&outcome, 7);
    // A terminal delivers its data in pieces, and returns EIO when no process has the other
    // end open any more.
    drop(pty.slave);
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = nix::unistd::read(&pty.master, &mut piece) {
        text.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    // The target's /dev/pts has no name for the terminal; it is enough that descriptor 0 is
    // a terminal.
    assert!(text.contains("terminal="), "{text}");
}

#[test]
fn the_ceiling_is_in_force_on_request() {
    support::needs!(root);
    let target = Target::new();
    let mut exec = exec(&target, Link::Static);
    exec.set("RUNTIME_CEILING", "1");
    let state = state(&exec.run(b""));
    assert_eq!(state.get("Seccomp"), "2");
    assert_eq!(state.get("unshare"), "Operation not permitted");
}

/// Callers that only need the pid pass the write end of a pipe.
#[test]
fn the_write_end_of_a_pipe_is_enough_for_the_pid() {
    support::needs!(root);
    let target = Target::new();
    support::protocol_a::become_subreaper();
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = Command::new(runtime(Link::Dynamic));
    command
        .env_clear()
        .env("_LIBCONTAINER_INITPID", target.pid().to_string())
        .env("_LIBCONTAINER_INITPIPE", "3")
        .stdout(std::process::Stdio::null());
    support::protocol_a::hand_over(&mut command, vec![write]);
    let status = command.status().unwrap();
    drop(command);
    assert!(status.success());
    let mut line = [0; 64];
    let length = nix::unistd::read(&read, &mut line).unwrap();
    let pid = support::protocol_a::pid_of(std::str::from_utf8(&line[..length]).unwrap());
    let ended = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
    assert!(
        matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 7)),
        "{ended:?}"
    );
}

/// libcontainer creates a container with the same library: the first process has a pipe as
/// well, and receives no message of protocol B on it.
#[test]
fn the_first_process_of_a_container_is_the_runtimes_at_once() {
    for link in Link::ALL {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(runtime(link));
        command
            .env_clear()
            .env("_LIBCONTAINER_INITPIPE", "3")
            .env("_LIBCONTAINER_INITTYPE", "standard");
        support::protocol_a::hand_over(&mut command, vec![theirs.into()]);
        (&ours).write_all(REST.as_bytes()).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{link:?}: {output:?}");
        assert_eq!(output.stderr, b"", "{link:?}");
        let state = State::read(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(state.get("rest"), REST, "{link:?}");
        assert_ne!(state.get("name"), "runc:[2:INIT]", "{link:?}");
    }
}

#[test]
fn errors_go_to_standard_error_and_the_status_is_1() {
    let program = runtime(Link::Static);
    for (variables, why) in [
        (
            vec![("_LIBCONTAINER_INITPID", "1")],
            "_LIBCONTAINER_INITPIPE is not set",
        ),
        (
            vec![
                ("_LIBCONTAINER_INITPID", "x"),
                ("_LIBCONTAINER_INITPIPE", "3"),
            ],
            "is not a pid",
        ),
        (
            vec![
                ("_LIBCONTAINER_INITPID", "1"),
                ("_LIBCONTAINER_INITPIPE", "03"),
            ],
            "is not a descriptor",
        ),
        (
            vec![
                ("_LIBCONTAINER_INITPID", "1"),
                ("_LIBCONTAINER_INITPIPE", "999"),
            ],
            "it is not open",
        ),
        (
            vec![
                ("_LIBCONTAINER_INITPID", "1"),
                ("_LIBCONTAINER_INITPIPE", "3"),
                ("_LIBCONTAINER_LOGPIPE", "4"),
            ],
            "is a variable of protocol B",
        ),
    ] {
        let mut wrong = Command::new(&program);
        let output = wrong.env_clear().envs(variables.clone()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{variables:?}");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            printed.starts_with("nsexec: ") && printed.contains(why),
            "{variables:?}: {printed}"
        );
        assert_eq!(output.stdout, b"");
    }
}

/// The process waits for the verifier with the runtime's own signal mask and dispositions.
#[test]
fn the_runtime_decides_on_signals_while_the_verifier_is_stopped() {
    support::needs!(root);
    let target = Target::new();
    support::protocol_a::become_subreaper();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let directory = support::temporary_directory("stopped");
    let log = directory.join("log");
    // Only the verifier loads a filter.
    let mut command = Command::new("env");
    command
        .args(["--block-signal=HUP", "--default-signal=TERM"])
        .args(["strace", "-D", "-q", "-f", "-o"])
        .arg(&log)
        .args(["-e", "trace=seccomp", "-e", "inject=seccomp:signal=STOP"])
        .arg(runtime(Link::Static))
        .env("_LIBCONTAINER_INITPID", target.pid().to_string())
        .env("_LIBCONTAINER_INITPIPE", "3")
        .stdout(std::process::Stdio::null());
    support::protocol_a::hand_over(&mut command, vec![theirs.into()]);
    let mut helper = command.spawn().unwrap();
    drop(command);
    let pid = helper.id();
    // A tracer stops each process at each call: only its log tells which stop is the signal's.
    let is_stopped = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.contains("--- stopped by SIGSTOP ---")
    };
    // The helper clones the sibling meanwhile, and waits for the verifier then.
    let siblings = loop {
        let siblings = siblings(&target);
        if is_stopped() && !siblings.is_empty() {
            break siblings;
        }
        assert_eq!(helper.try_wait().unwrap(), None, "it was not stopped");
        std::thread::sleep(Duration::from_millis(5));
    };
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!(siblings.len(), 1, "{siblings:?}");
    let pid = Pid::from_raw(pid.try_into().unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(ended_within_ten_seconds(&mut helper).signal(), Some(15));
    // No pid was reported, and the sibling process ends.
    let mut line = String::new();
    let sibling = nix::sys::wait::waitpid(siblings[0], None).unwrap();
    assert!(
        matches!(sibling, nix::sys::wait::WaitStatus::Exited(_, 1)),
        "{sibling:?}"
    );
    (&ours).read_to_string(&mut line).unwrap();
    assert_eq!(line, "");
}

/// The processes in the target's pid namespace, without the target's own.
fn siblings(target: &Target) -> Vec<Pid> {
    let wanted = target.namespace("pid");
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/pid"));
            *pid != target.pid() && link.is_ok_and(|link| link.to_string_lossy() == wanted)
        })
        .map(Pid::from_raw)
        .collect()
}

/// The exit status of a helper; it is killed if it does not end in time.
fn ended_within_ten_seconds(helper: &mut std::process::Child) -> std::process::ExitStatus {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = helper.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            helper.kill().unwrap();
            return helper.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
