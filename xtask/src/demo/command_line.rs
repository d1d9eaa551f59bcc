//! Entering through the command line.

use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;

use serde_json::Value;

use super::checks::Checks;
use super::inside::{DOCKER_CAPABILITIES, Inside, REPORT_SCRIPT};
use super::{Exec, Fixture, process};

/// Every type of namespaces(7): shared ones are always equal.
const NAMESPACES: &[&str] = &["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// `--dry-run` prints the plan and does nothing.
pub(crate) fn plan(fixture: &Fixture, checks: &mut Checks, pid: i32) {
    checks.step(&format!("nsexec --dry-run -t {pid} -a -- /bin/true"));
    let mut command = nsexec(fixture, pid);
    command.args(["--dry-run", "--", "/bin/true"]);
    let Some(ended) = checks.take("it ends", process::run(fixture, &mut command)) else {
        return;
    };
    checks.holds("it exits with 0", ended.status.success(), &ended.summary());
    let plan: Value = serde_json::from_str(&ended.output).unwrap_or_default();
    checks.equal(
        "it prints a plan for this target, as JSON",
        &plan.pointer("/target/pid").and_then(Value::as_i64),
        &Some(i64::from(pid)),
    );
    if let Some(members) = plan.as_object() {
        for (key, value) in members {
            println!("              {key:<18} {}", shortened(&value.to_string()));
        }
    }
}

/// The program runs in the target, with every layer enforced.
pub(crate) fn exec(fixture: &Fixture, checks: &mut Checks, pid: i32) -> Option<Exec> {
    checks.step(&format!(
        "nsexec -t {pid} -a --status-fd N -- /bin/sh -c ..."
    ));
    let (ended, lines) = checks.take("it ends", run_with_status(fixture, pid))?;
    checks.holds("it exits with 0", ended.status.success(), &ended.summary());
    let inside = Inside::parse(&ended.output);
    inside.check(checks, pid, NAMESPACES);
    inside.status(checks, "NoNewPrivs", "1");
    inside.capabilities_within(checks, DOCKER_CAPABILITIES);
    report(checks, &lines);
    Some(Exec {
        what: "the command line",
        helper: ended.pid,
        namespaces: NAMESPACES,
    })
}

/// The status is the program's own.
pub(crate) fn status(fixture: &Fixture, checks: &mut Checks, pid: i32) {
    checks.step(&format!("nsexec -t {pid} -a -- /bin/sh -c 'exit 42'"));
    let mut command = nsexec(fixture, pid);
    command.args(["--", "/bin/sh", "-c", "exit 42"]);
    if let Some(ended) = checks.take("it ends", process::run(fixture, &mut command)) {
        checks.equal("it exits with 42", &ended.status.code(), &Some(42));
    }
}

/// The plan is long; only its first line's width is printed.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short
}

fn nsexec(fixture: &Fixture, pid: i32) -> Command {
    let mut command = Command::new(&fixture.nsexec);
    command.args(["-t", &pid.to_string(), "-a"]);
    command
}

fn run_with_status(fixture: &Fixture, pid: i32) -> io::Result<(process::Ended, Vec<Value>)> {
    let (path, file) = process::inherited_file(fixture, "status")?;
    let mut command = nsexec(fixture, pid);
    command
        .args(["--status-fd", &file.as_raw_fd().to_string()])
        .args(["--", "/bin/sh", "-c", REPORT_SCRIPT]);
    let ended = process::run(fixture, &mut command)?;
    let lines = std::fs::read_to_string(path)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    Ok((ended, lines))
}

/// The status lines: planned, started with these layers, exited.
fn report(checks: &mut Checks, lines: &[Value]) {
    let events: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.get("event")?.as_str())
        .collect();
    checks.equal(
        "the status lines report its start and end",
        &events.as_slice(),
        &["plan", "started", "exited"].as_slice(),
    );
    let started = lines
        .iter()
        .find(|line| line.get("event").is_some_and(|event| event == "started"));
    for (fixture, layer) in [
        ("ceiling", "seccomp"),
        ("ceiling", "landlock"),
        ("workload", "seccomp"),
        ("workload", "landlock"),
    ] {
        let layer_status = started
            .and_then(|line| line.pointer(&format!("/layers/{fixture}/{layer}")))
            .unwrap_or(&Value::Null);
        let in_force = layer_status.get("in_force").and_then(Value::as_bool);
        // A kernel without the later Landlock versions: the layer reports
        // dropped parts, with a reason.
        let dropped =
            layer == "landlock" && layer_status.get("dropped").is_some_and(Value::is_string);
        checks.holds(
            &format!("{fixture}, {layer}: {layer_status}"),
            in_force == Some(true) || dropped,
            "it is not in force",
        );
    }
}
