//! Descriptors that a command line declares: the program inherits them under their numbers,
//! and no declaration gives access to a descriptor of the helper.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use support::protocol_a::hand_over;
use support::{Target, fail, succeed};

/// Runs `command` with /dev/null under each of these numbers, and no other.
fn with_open(command: &Command, numbers: &[i32]) -> Command {
    let closed: String = (3..100).map(|number| format!("{number}<&- ")).collect();
    let opened: String = numbers
        .iter()
        .map(|number| format!("{number}</dev/null "))
        .collect();
    let mut bash = Command::new("bash");
    bash.args([
        "-c",
        &format!("exec {closed}; exec {opened}; exec \"$@\""),
        "bash",
    ])
    .arg(command.get_program())
    .args(command.get_args());
    bash
}

/// The numbers that the program has open.
fn listed(target: &Target, declared: &[&str], open: &[i32]) -> Command {
    let mut command = target.nsexec(["-a"]);
    command
        .args(declared)
        .args(["--", "sh", "-c", "ls /proc/$$/fd; true"]);
    with_open(&command, open)
}

#[test]
fn descriptors_keep_their_numbers_across_gaps() {
    support::needs!(root);
    let target = Target::new();
    for (declared, open, seen) in [
        (&["--preserve-fd", "63"][..], &[63][..], &[63][..]),
        (&["--preserve-fd", "10,63"], &[10, 63], &[10, 63]),
        (&["--preserve-fd", "63,10"], &[9, 10, 11, 63, 64], &[10, 63]),
        (
            &["--preserve-fd", "5-7,9"],
            &[3, 5, 6, 7, 8, 9],
            &[5, 6, 7, 9],
        ),
        (&["--preserve-fd=1000"], &[1000], &[1000]),
        (
            &["--preserve-fds=2", "--preserve-fd=9"],
            &[3, 4, 5, 9],
            &[3, 4, 9],
        ),
        (&[], &[3, 10, 63], &[]),
    ] {
        let listed = succeed(listed(&target, declared, open));
        let mut listed: Vec<u32> = listed.lines().map(|fd| fd.parse().unwrap()).collect();
        listed.sort_unstable();
        assert_eq!(listed, [&[0, 1, 2], seen].concat(), "{declared:?}");
    }
    // bash passes the descriptors of `<(...)` and `exec 9>lock` in this way.
    let mut command = Command::new("bash");
    let script = "exec 9>/dev/null; \"$0\" -t \"$1\" --preserve-fd 9,63 -- \
                  sh -c 'cat /proc/self/fd/63; echo x >&9' 63< <(echo through)";
    command
        .args(["-c", script, support::NSEXEC])
        .arg(target.pid().to_string());
    assert_eq!(succeed(command), "through\n");
}

#[test]
fn a_policy_that_hands_nothing_over_refuses_a_list_too() {
    support::needs!(root);
    let target = Target::new();
    let declared = ["--policy", "strict", "--preserve-fd", "10"];
    let message = fail(listed(&target, &declared, &[10]), 125);
    assert!(
        message.contains("strict hands no descriptors over"),
        "{message}"
    );
}

#[test]
fn a_number_that_the_caller_has_not_opened_is_refused() {
    support::needs!(root);
    let target = Target::new();
    // The helper's own descriptors have small numbers. The caller has 4 and 8 open.
    for number in (3..20).filter(|number| ![4, 8].contains(number)) {
        for option in ["--status-fd", "--seccomp-fd", "--preserve-fd"] {
            let declared = [option, &number.to_string()];
            let message = fail(listed(&target, &declared, &[4, 8]), 125);
            let expected = format!("{option} {number}: descriptor {number} is not open");
            assert!(message.contains(&expected), "{message}");
        }
    }
    let message = fail(listed(&target, &["--preserve-fd", "4-8"], &[4, 8]), 125);
    assert!(message.contains("descriptor 5 is not open"), "{message}");
    for option in ["--status-fd", "--seccomp-fd", "--preserve-fd"] {
        let message = fail(listed(&target, &[option, "2147483647"], &[]), 125);
        assert!(message.contains("is not open"), "{message}");
    }
}

/// A way of opening a descriptor.
type Way = (&'static str, OFlag, &'static str);

/// Each option with each unsuitable kind of descriptor. Without the check, status lines and
/// filters would fail later with a bare EBADF, EISDIR or EINVAL.
#[test]
fn an_unsuitable_descriptor_is_an_error_before_the_start() {
    support::needs!(root);
    let target = Target::new();
    let directory = ("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY, "is a directory");
    let handle = ("/dev/null", OFlag::O_PATH, "was opened with O_PATH");
    let reads: Way = ("/dev/null", OFlag::O_RDONLY, "is open for reading only");
    let writes: Way = ("/dev/null", OFlag::O_WRONLY, "is open for writing only");
    for (option, ways, right) in [
        (
            "--status-fd",
            [directory, handle, reads],
            "open for writing",
        ),
        (
            "--seccomp-fd",
            [directory, handle, writes],
            "open for reading",
        ),
    ] {
        for (path, flags, reason) in ways {
            for before in [&[][..], &["--dry-run"]] {
                let file = open(path, flags, Mode::empty()).unwrap();
                let mut command = target.nsexec(["-a"]);
                command
                    .args(before)
                    .args([option, "3", "--", "touch", "/started"]);
                hand_over(&mut command, vec![file]);
                let message = fail(command, 125);
                let expected = format!("{option} 3: descriptor 3 {reason}; give");
                assert!(message.contains(&expected), "{message}");
                assert!(message.contains(right), "{message}");
                assert!(!target.root().join("started").exists(), "{option} {reason}");
            }
        }
    }
    // Only the program uses these descriptors.
    for (path, flags, _) in [directory, handle, reads, writes] {
        let file = open(path, flags, Mode::empty()).unwrap();
        let mut command = target.nsexec(["-a", "--preserve-fd", "3", "--"]);
        command.args(["sh", "-c", "ls /proc/$$/fd; true"]);
        hand_over(&mut command, vec![file]);
        assert_eq!(succeed(command), "0\n1\n2\n3\n", "{path} {flags:?}");
    }
}

#[test]
fn a_descriptor_has_one_use() {
    support::needs!(root);
    let target = Target::new();
    for declared in [
        ["--status-fd=5", "--preserve-fd=5"],
        ["--status-fd=5", "--preserve-fds=3"],
        ["--status-fd=5", "--seccomp-fd=5"],
        ["--seccomp-fd=5", "--preserve-fd=4-6"],
        ["--preserve-fds=3", "--preserve-fd=5"],
    ] {
        let message = fail(listed(&target, &declared, &[3, 4, 5, 6]), 125);
        assert!(
            message.contains(" uses that descriptor already"),
            "{message}"
        );
        for option in declared {
            let (name, _) = option.split_once('=').unwrap();
            assert!(message.contains(name), "{declared:?}: {message}");
        }
    }
}

#[test]
fn status_lines_reach_the_callers_descriptor_and_not_the_program() {
    support::needs!(root);
    let target = Target::new();
    let directory = support::temporary_directory("status");
    let file = directory.join("lines");
    let mut command = target.nsexec(["-a", "--status-fd", "40", "--preserve-fd", "41", "--"]);
    command.args(["sh", "-c", "ls /proc/$$/fd; true"]);
    let script = format!("exec \"$@\" 40>{} 41</dev/null", file.display());
    let mut bash = Command::new("bash");
    bash.args(["-c", &script, "bash", support::NSEXEC])
        .args(command.get_args());
    let listed = succeed(bash);
    let lines = fs::read_to_string(file).unwrap();
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(listed, "0\n1\n2\n41\n");
    assert!(lines.contains("\"exited\""), "{lines}");
}
