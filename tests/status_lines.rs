//! The output on `--status-fd` conforms to docs/status.schema.json.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use nsexec::ErrorKind;
use serde_json::Value;
use support::features::can_use;
use support::json_schema::wrong;
use support::protocol_a::hand_over;
use support::{NSEXEC, Target};

const SCHEMA: &str = include_str!("../docs/status.schema.json");

/// The lines on this end, each checked against the schema.
fn held(lines: impl Read) -> Vec<Value> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let lines = BufReader::new(lines).lines();
    let lines = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    lines
        .inspect(|line: &Value| {
            let event = line["event"].as_str().unwrap();
            let one = schema["$defs"].get(event).unwrap();
            assert_eq!(wrong(&schema, one, line, event), None, "{line}");
        })
        .collect()
}

/// The events that a command reported on descriptor 3, and its exit status.
fn events(mut command: Command) -> (Vec<Value>, ExitStatus) {
    let (lines, end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    hand_over(&mut command, vec![end]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut helper = command.spawn().unwrap();
    drop(command);
    let held = held(std::fs::File::from(lines));
    (held, helper.wait().unwrap())
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[test]
fn the_schema_has_each_kind_of_failure() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let listed = &schema["$defs"]["failed"]["properties"]["kind"]["enum"];
    let listed: BTreeSet<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind.as_str().unwrap())
        .collect();
    let kinds = ErrorKind::ALL.map(ErrorKind::name).into_iter();
    assert_eq!(listed, kinds.chain(["interrupted"]).collect());
}

#[test]
fn a_run_is_planned_started_and_exited() {
    support::needs!(root);
    let target = Target::new();
    for (policy, script, key, value) in [
        ("default", "exit 9", "status", 9),
        ("strict", "exit 0", "status", 0),
        ("admin", "kill -KILL $$", "signal", 9),
    ] {
        if !can_use(policy, "a_run_is_planned_started_and_exited") {
            continue;
        }
        let (events, _) = events(target.nsexec([
            "-a",
            "--status-fd",
            "3",
            "--policy",
            policy,
            "--",
            "sh",
            "-c",
            script,
        ]));
        assert_eq!(names(&events), ["plan", "started", "exited"]);
        assert_eq!(events[2][key], value);
    }
    let mut file = Command::new(NSEXEC);
    file.arg(format!("--mount=/proc/{}/ns/mnt", target.pid()));
    file.args(["--status-fd", "3", "--", "true"]);
    let (events, ended) = events(file);
    assert_eq!(names(&events), ["plan", "started", "exited"]);
    assert!(ended.success());
}

#[test]
fn a_failure_is_an_event_with_its_kind_and_status() {
    support::needs!(root);
    let target = Target::with_script("printf x > /tmp/plain;");
    let target = target.pid().to_string();
    let cases: [(&[&str], &str, i32, usize); 4] = [
        (
            &["-t", &target, "-a", "--", "no-such-program"],
            "not-found",
            127,
            2,
        ),
        (
            &["-t", &target, "-a", "--", "/tmp/plain"],
            "not-executable",
            126,
            2,
        ),
        (&["-t", "4194303", "-a", "--", "true"], "target", 125, 1),
        (
            &["-t", &target, "--policy", "/nowhere.toml", "--", "true"],
            "policy",
            125,
            1,
        ),
    ];
    for (arguments, kind, status, count) in cases {
        let mut command = Command::new(NSEXEC);
        command.args(["--status-fd", "3"]).args(arguments);
        let (events, ended) = events(command);
        assert_eq!(events.len(), count, "{events:?}");
        let failed = events.last().unwrap();
        assert_eq!(failed["event"], "failed", "{failed}");
        assert_eq!(failed["kind"], kind, "{failed}");
        assert_eq!(failed["status"], status, "{failed}");
        assert!(!failed["message"].as_str().unwrap().is_empty());
        assert_eq!(ended.code(), Some(status));
    }
}

#[test]
fn a_signal_that_ends_the_helper_is_an_event() {
    support::needs!(root);
    let target = Target::new();
    // A stopped program does not handle signals.
    let script = "trap 'exit 1' TERM; kill -STOP $$; exit 2";
    let mut command = target.nsexec(["-a", "--status-fd", "3", "--", "sh", "-c", script]);
    let (lines, end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    hand_over(&mut command, vec![end]);
    let mut helper = command.spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(std::fs::File::from(lines));
    for _ in 0..2 {
        lines.read_line(&mut String::new()).unwrap();
    }
    let children = format!("/proc/{0}/task/{0}/children", helper.id());
    let program = std::fs::read_to_string(children).unwrap();
    let state = format!("/proc/{}/stat", program.trim());
    while !std::fs::read_to_string(&state).unwrap().contains(") T ") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = nix::unistd::Pid::from_raw(helper.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let rest = held(lines);
    assert_eq!(names(&rest), ["failed"]);
    assert_eq!(rest[0]["kind"], "interrupted");
    assert_eq!(rest[0]["signal"], 15);
    assert_eq!(helper.wait().unwrap().signal(), Some(15));
}
