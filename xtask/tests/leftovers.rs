//! A test program that leaves something behind fails.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::{Command, Output};

/// `cargo xtask leftovers sh -c SCRIPT`.
fn leftovers(script: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["leftovers", "sh", "-c", script]);
    command.output().unwrap()
}

#[test]
fn a_program_that_leaves_nothing_passes() {
    let output = leftovers("sleep 0.1 & echo done; wait");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"done\n");
    // A process that ends soon by itself is not a leftover.
    assert!(leftovers("sleep 0.3 & exit 0").status.success());
}

#[test]
fn a_program_that_fails_fails() {
    assert!(!leftovers("exit 3").status.success());
    assert!(!leftovers("kill -KILL $$").status.success());
}

#[test]
fn a_process_that_is_left_is_named_and_ended() {
    // Of another session, and not the program's own child any more.
    let output = leftovers("setsid sh -c 'sleep 4321 & echo $!' & wait");
    assert!(!output.status.success(), "{output:?}");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(": sleep 4321"), "{message}");
    let pid = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = format!("/proc/{}", pid.trim());
    assert!(!std::fs::exists(path).unwrap(), "it still runs");
}

#[test]
fn a_file_that_is_left_is_named() {
    let path = "${TMPDIR:-/tmp}/nsexec-test-$$-0-left";
    let output = leftovers(&format!("mkdir {path}; echo {path}"));
    let made = String::from_utf8_lossy(&output.stdout).into_owned();
    std::fs::remove_dir(made.trim()).unwrap();
    assert!(!output.status.success(), "{output:?}");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(made.trim()), "{message}");
}
