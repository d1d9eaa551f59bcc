//! The program itself.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use support::{Sleeper, inum, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

#[test]
fn it_prints_a_join_and_then_the_sums() {
    if object("it_prints_a_join_and_then_the_sums").is_none() {
        return;
    }
    let target = Sleeper::new(&["--uts"]);
    let mut auditor = Command::new(PROGRAM)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut errors = BufReader::new(auditor.stderr.take().unwrap());
    errors.read_line(&mut ready).unwrap();
    assert_eq!(ready, "nsexec-audit: the probes are at work\n");
    let pid = target.pid().to_string();
    let mut nsenter = Command::new("nsenter")
        .args(["-t", &pid, "-u", "true"])
        .spawn()
        .unwrap();
    assert!(nsenter.wait().unwrap().success());
    let auditing = Pid::from_raw(i32::try_from(auditor.id()).unwrap());
    kill(auditing, Signal::SIGINT).unwrap();
    let mut printed = String::new();
    auditor
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    assert!(auditor.wait().unwrap().success());
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let join = lines
        .iter()
        .find(|line| line["kind"] == "namespace" && line["actor"]["tgid"] == nsenter.id())
        .unwrap();
    assert_eq!(join["op"]["syscall"], "setns");
    assert_eq!(join["ns"]["uts"]["changed"], true);
    assert_eq!(join["ns"]["uts"]["after"]["inum"], inum(&pid, "uts"));
    assert_eq!(join["ns"]["net"]["changed"], false);
    let health = lines.last().unwrap();
    assert_eq!(health["kind"], "health");
    let setns = &health["hooks"]["sys_exit_setns"];
    assert_eq!(setns["seen"], setns["written"]);
    assert!(setns["written"].as_u64().unwrap() >= 1);
}

#[test]
fn a_file_that_is_no_object_is_refused() {
    let refused = Command::new(PROGRAM)
        .args(["--probes", "/dev/null"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(refused.stdout.is_empty());
    assert!(refused.stderr.starts_with(b"nsexec-audit: "));
}
