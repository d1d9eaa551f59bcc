//! The program nsexec-audit itself.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsexec_audit::config::Backend;
use nsexec_audit::priority;
use serde_json::Value;

use support::{Sleeper, inum, leave_out, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

#[test]
fn it_prints_a_join_and_then_the_sums() {
    if object("it_prints_a_join_and_then_the_sums").is_none() {
        return;
    }
    let target = Sleeper::new(&["--uts"]);
    let mut auditor = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut errors = BufReader::new(auditor.stderr.take().unwrap());
    errors.read_line(&mut ready).unwrap();
    assert_eq!(ready, "nsexec-audit: the probes are attached\n");
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
        .find(|line| line["kind"] == "ns_join" && line["actor"]["tgid"] == nsenter.id())
        .unwrap();
    assert_eq!(join["op"]["syscall"], "setns");
    assert_eq!(join["class"], "join_other");
    assert_eq!(join["ns"]["changed"], serde_json::json!(["uts"]));
    assert_eq!(join["ns"]["after"]["uts"][0], inum(&pid, "uts"));
    let health = lines.last().unwrap();
    assert_eq!(health["kind"], "health");
    let setns = &health["hooks"]["sys_exit_setns"];
    assert_eq!(setns["seen"], setns["written"]);
    assert!(setns["written"].as_u64().unwrap() >= 1);
}

/// Whether this user may raise its priority. Tries it in a thread, so that the priority
/// of the test does not change.
#[expect(
    clippy::disallowed_methods,
    reason = "the priority of the other tests is not to change"
)]
fn may_raise() -> bool {
    let before = priority::own();
    let thread = std::thread::spawn(|| {
        priority::raise();
        priority::own()
    });
    thread.join().unwrap() < before
}

/// Like strace(1): the output of the program, and its exit status.
#[test]
fn a_program_is_followed_to_its_end_and_its_status_passed_on() {
    if object("a_program_is_followed_to_its_end_and_its_status_passed_on").is_none() {
        return;
    }
    let noise = Sleeper::new(&["--uts"]);
    let script = "unshare --uts true; unshare --net sh -c 'exit 0'; nice >&2; exit 7";
    let output = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--format", "json", "--", "sh", "-c", script])
        .output()
        .unwrap();
    drop(noise);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The auditor has a higher priority, if it may; the program's priority is unchanged.
    let output = String::from_utf8(output.stderr).unwrap();
    let (own, raised) = (priority::own(), may_raise());
    let nice = own - if raised { 4 } else { 0 };
    assert_eq!(lines.last().unwrap()["nice"], nice);
    assert!(
        output.lines().any(|line| line == own.to_string()),
        "{output}"
    );
    let made: Vec<Value> = lines
        .into_iter()
        .filter(|line| line["kind"] == "ns_create")
        .map(|line| line["ns"]["changed"].clone())
        .collect();
    assert_eq!(
        made,
        [serde_json::json!(["uts"]), serde_json::json!(["net"])]
    );

    let text = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--type", "net", "--", "sh", "-c", script])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TIME "), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[1].contains("create") && lines[1].ends_with("unshare(NEWNET) -> net"),
        "{text}"
    );

    let missing = Command::new(PROGRAM).arg("/nowhere").output().unwrap();
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
}

#[test]
fn printed_lines_are_verified_and_a_change_is_found() {
    if object("printed_lines_are_verified_and_a_change_is_found").is_none() {
        return;
    }
    let output = Command::new(PROGRAM)
        .args(support::backend_option())
        .args([
            "--format",
            "json",
            "--lineage",
            "--",
            "sh",
            "-c",
            "true; true",
        ])
        .output()
        .unwrap();
    let file = std::env::temp_dir().join(format!("nsexec-audit-{}", std::process::id()));
    let verify = |text: &[u8]| {
        std::fs::write(&file, text).unwrap();
        let verified = Command::new(PROGRAM)
            .arg("verify")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(verified.stdout).unwrap();
        (verified.status.code(), text)
    };
    let (status, text) = verify(&output.stdout);
    assert_eq!(status, Some(0), "{text}");
    let count = output.stdout.split(|byte| *byte == b'\n').count() - 1;
    assert!(
        text.contains(&format!("{count} lines, whole; chain ")),
        "{text}"
    );
    let changed = String::from_utf8(output.stdout).unwrap();
    let changed = changed.replacen("\"kind\":\"exec\"", "\"kind\":\"exit\"", 1);
    let line = changed
        .lines()
        .position(|line| line.contains("\"argv\""))
        .unwrap()
        + 1;
    let (status, output) = verify(changed.as_bytes());
    assert_eq!(status, Some(1), "{output}");
    assert!(
        output.contains(&format!(":{line}: it was changed")),
        "{output}"
    );
    std::fs::remove_file(&file).unwrap();
    let missing = Command::new(PROGRAM)
        .args(["verify", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
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

/// No other backend replaces the requested one.
#[test]
fn the_requested_backend_observes_the_calls() {
    let test = "the_requested_backend_observes_the_calls";
    if object(test).is_none() {
        return;
    }
    for name in Backend::ALL.iter().map(|one| one.name()) {
        let output = Command::new(PROGRAM)
            .args(["--format=json", "--backend", name, "--"])
            .args(["unshare", "--uts", "true"])
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        if output.status.code() == Some(125) && name == "fentry" {
            assert!(errors.contains("the kernel refuses"), "{errors}");
            leave_out(test, &format!("{name}: {}", errors.trim()));
            continue;
        }
        assert!(output.status.success(), "{name}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.last().unwrap()["backend"], name);
        assert!(lines.iter().any(|line| line["kind"] == "ns_create"));
    }
}
