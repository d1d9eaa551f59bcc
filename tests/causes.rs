//! Errors name the cause if the kernel has one errno for several causes.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::SignalFd;
use nix::sys::stat::Mode;
use support::{NSEXEC, Target, fail, succeed, temporary_directory};

#[test]
fn a_thread_is_named_with_its_process() {
    support::needs!(root);
    // This test runs in its own thread; other threads may end meanwhile.
    let process = std::process::id().to_string();
    let thread = nix::unistd::gettid().to_string();
    assert_ne!(thread, process);
    let mut command = Command::new(NSEXEC);
    command.args(["-t", &thread, "-u", "--", "true"]);
    let message = fail(command, 125);
    assert_eq!(
        message,
        format!("nsexec: {thread} is a thread of process {process}; give {process}\n")
    );
}

#[test]
fn a_pid_namespace_that_has_ended_is_named() {
    support::needs!(root);
    let directory = temporary_directory("ended");
    let script = format!(
        "mount --make-rprivate / && mount -t tmpfs none {0} && touch {0}/pid &&
         unshare --pid --fork sh -c 'mount --bind /proc/self/ns/pid {0}/pid' &&
         exec {NSEXEC} --pid={0}/pid -- true",
        directory.display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script])
        .stdin(Stdio::null());
    let message = fail(command, 125);
    fs::remove_dir_all(directory).unwrap();
    assert!(
        message.contains("the first process of the joined pid namespace has ended"),
        "{message}"
    );
}

/// The first child would be process 1 of the new pid namespace, and would not see the
/// helper.
#[test]
fn a_caller_whose_children_are_in_another_pid_namespace_is_refused() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    let unshare = &["unshare", "--pid"][..];
    let nsenter = &["nsenter", "--no-fork", "--pid", "--target", &pid][..];
    for caller in [unshare, nsenter] {
        for options in [&["-t", &pid][..], &["-F", "-t", &pid], &["-r=/"]] {
            let mut command = Command::new(caller[0]);
            command.args(&caller[1..]).arg(NSEXEC).args(options);
            command.args(["--", "true"]).stdin(Stdio::null());
            let message = fail(command, 125);
            let named = "nsexec: /proc/self/ns/pid_for_children: the children of this process are \
                         born into another pid namespace than its own; start nsexec from a child";
            assert!(
                message.starts_with(named),
                "{caller:?} {options:?}: {message}"
            );
        }
    }
    let mut exec = support::protocol_a::Exec::into(target.pid());
    exec.program = "unshare".into();
    exec.arguments = vec!["--pid".into(), NSEXEC.into(), "init".into()];
    exec.set("PATH", "/usr/bin:/bin");
    let outcome = exec.run_config(&support::protocol_a::shell("echo started"));
    assert_eq!(outcome.line, "", "{outcome:?}");
    assert!(
        outcome.stderr.contains("/proc/self/ns/pid_for_children"),
        "{outcome:?}"
    );

    let mut child = Command::new("unshare");
    child.args([
        "--pid",
        "--fork",
        "--mount-proc",
        NSEXEC,
        "-r=/",
        "--",
        "true",
    ]);
    succeed(child);
}

#[test]
fn a_limit_of_processes_is_named() {
    support::needs!(root);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65531", "--regid=65531", "--clear-groups"]);
    command.args(["prlimit", "--nproc=1", NSEXEC, "-r=/", "--", "/bin/true"]);
    command.stdin(Stdio::null());
    let message = fail(command, 125);
    assert!(
        message.contains("RLIMIT_NPROC (ulimit -u) is 1 for the user 65531"),
        "{message}"
    );
}

/// A directory would lead the program out of its root.
#[test]
fn a_directory_as_standard_input_is_refused() {
    support::needs!(root);
    let target = Target::new();
    let directory = fs::File::open("/").unwrap();
    let out = ["-a", "--", "/bin/sh", "-c", "ls /proc/self/fd/0/ | head -1"];
    let mut input = target.nsexec(out);
    input.stdin(directory.try_clone().unwrap());
    let message = fail(input, 125);
    assert!(
        message.contains("standard input is a directory"),
        "{message}"
    );
    let mut output = target.nsexec(["-a", "--", "/bin/true"]);
    output.stdout(directory.try_clone().unwrap());
    output.stderr(Stdio::piped());
    let output = output.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let message = support::text(&output.stderr);
    assert!(
        message.contains("standard output is a directory"),
        "{message}"
    );
    // Protocol A refuses it too, and reports no pid.
    let mut exec = support::protocol_a::Exec::into(target.pid());
    exec.stdin = directory.into();
    let outcome = exec.run_config(&support::protocol_a::shell("echo started"));
    assert_eq!(outcome.line, "", "{outcome:?}");
    assert!(
        outcome.stderr.contains("standard input is a directory"),
        "{outcome:?}"
    );
}

/// An object that is neither read nor written leads the program out of its root like a
/// directory: to a namespace, to a process, to the mount of a file.
#[test]
fn descriptors_that_lead_out_are_refused_on_0_1_and_2() {
    support::needs!(root);
    let target = Target::new();
    let o_path = |path: &str| {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        open(path, flags, Mode::empty()).unwrap()
    };
    let namespace = || OwnedFd::from(fs::File::open("/proc/self/ns/mnt").unwrap());
    // A pidfd has no file type.
    let anonymous = || {
        let signals = SignalFd::new(&SigSet::empty()).unwrap();
        signals.as_fd().try_clone_to_owned().unwrap()
    };
    for (fd, word) in [
        (namespace(), "is a namespace"),
        (o_path("/proc/self/ns/mnt"), "is an O_PATH descriptor"),
        (o_path("/etc/passwd"), "is an O_PATH descriptor"),
        (anonymous(), "is a pidfd or another anonymous inode"),
    ] {
        let copy = || fd.try_clone().unwrap();
        let mut input = target.nsexec(["-a", "--policy", "admin", "--", "/bin/true"]);
        input.stdin(copy());
        let message = fail(input, 125);
        let expected = format!("standard input {word}");
        assert!(message.contains(&expected), "{expected}: {message}");
        let mut output = target.nsexec(["-a", "--", "/bin/true"]);
        output.stdout(copy()).stderr(Stdio::piped());
        let output = output.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{word}");
        let message = support::text(&output.stderr);
        let expected = format!("standard output {word}");
        assert!(message.contains(&expected), "{expected}: {message}");
        let mut error = target.nsexec(["-a", "--", "/bin/true"]);
        error.stderr(copy());
        assert_eq!(error.status().unwrap().code(), Some(125), "{word}");
        let mut exec = support::protocol_a::Exec::into(target.pid());
        exec.stdin = copy().into();
        let outcome = exec.run_config(&support::protocol_a::shell("echo started"));
        assert_eq!(outcome.line, "", "{outcome:?}");
        let expected = format!("standard input {word}");
        assert!(outcome.stderr.contains(&expected), "{outcome:?}");
    }
    // 434: pidfd_open(2), on each architecture.
    let script = "use POSIX; POSIX::dup2(syscall(434, $$ + 0, 0), 0); exec @ARGV or die";
    let pid = target.pid().to_string();
    let mut pidfd = Command::new("perl");
    pidfd.args(["-e", script, NSEXEC, "-t", &pid, "-a", "--", "/bin/true"]);
    let message = fail(pidfd, 125);
    assert!(message.contains("standard input is a pidfd"), "{message}");
    // Usual redirections are accepted.
    let (socket, _other) = UnixStream::pair().unwrap();
    let (pipe, _end) = std::io::pipe().unwrap();
    let file = || fs::File::open("/etc/passwd").unwrap();
    let proc = || fs::File::open("/proc/version").unwrap();
    let stdins: [OwnedFd; 4] = [socket.into(), pipe.into(), file().into(), proc().into()];
    for stdin in stdins {
        let mut command = target.nsexec(["-a", "--", "/bin/true"]);
        command.stdin(stdin);
        succeed(command);
    }
}

/// A socket opens the network namespace in which it was made (SIOCGSKNS).
#[test]
fn a_program_with_cap_net_admin_gets_no_socket_of_the_callers_network() {
    support::needs!(root);
    let target = Target::new();
    let with_socket = |options: &[&str]| {
        let (socket, _other) = UnixStream::pair().unwrap();
        let mut command = target.nsexec(options);
        command.stdin(OwnedFd::from(socket));
        command
    };
    for policy in ["default", "admin"] {
        succeed(with_socket(&["-a", "--policy", policy, "--", "/bin/true"]));
    }
    succeed(with_socket(&["-m", "--policy", "net", "--", "/bin/true"]));
    let message = fail(
        with_socket(&["-a", "--policy", "net", "--", "/bin/true"]),
        125,
    );
    assert!(message.contains("standard input is a socket"), "{message}");
    assert!(message.contains("redirect it through a pipe"), "{message}");
    let inside = Target::with_user_namespace();
    let (socket, _other) = UnixStream::pair().unwrap();
    let mut command = inside.nsexec(["-a", "--policy", "net", "--", "/bin/true"]);
    command.stdin(OwnedFd::from(socket));
    succeed(command);
    let mut exec = support::protocol_a::Exec::into(target.pid());
    let (socket, _other) = UnixStream::pair().unwrap();
    exec.stdin = OwnedFd::from(socket).into();
    let mut config = support::protocol_a::shell("echo started");
    config["capabilities"] = serde_json::json!(["CAP_NET_ADMIN"]);
    let outcome = exec.run_config(&config);
    assert!(
        outcome.message().contains("standard input is a socket"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stdout, "");
}

/// A procfs mounted with subset=pid, as in hardened containers.
#[test]
fn a_policy_file_works_where_proc_shows_processes_alone() {
    support::needs!(root);
    let directory = temporary_directory("subset");
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    succeed({
        let mut copy = Command::new("cp");
        copy.args(["-r", &format!("{policies}/."), directory.to_str().unwrap()]);
        copy
    });
    let script = format!(
        "mount --make-rprivate / && mount -t proc -o subset=pid proc /proc &&
         [ ! -e /proc/sys ] && exec {NSEXEC} -r=/ --policy {}/admin.toml -- /bin/echo ran",
        directory.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]);
    command.arg(script).stdin(Stdio::null());
    let ran = succeed(command);
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(ran, "ran\n");
}
