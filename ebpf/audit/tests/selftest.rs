//! `nsexec-audit selftest`
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::process::Command;

use serde_json::Value;

use support::object;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

fn selftest(options: &[&str]) -> Value {
    let output = Command::new(PROGRAM)
        .args(["selftest", "--format=json"])
        .args(support::backend_option())
        .args(options)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sum(report: &Value, of: &str) -> u64 {
    let calls = report["calls"].as_array().unwrap();
    calls.iter().map(|row| row[of].as_u64().unwrap()).sum()
}

#[test]
fn the_selftest_finds_every_call_if_the_ring_has_room() {
    if object("the_selftest_finds_every_call_if_the_ring_has_room").is_none() {
        return;
    }
    let report = selftest(&["--ring=16M", "--events=2000"]);
    assert_eq!(report["ok"], true, "{report}");
    let of = ["made", "read", "lost"].map(|of| sum(&report, of));
    assert_eq!(of, [2000, 2000, 0], "{report}");
    let cost = report["cost"].as_array().unwrap();
    let calls: Vec<&Value> = cost.iter().map(|one| &one["call"]).collect();
    assert_eq!(calls, ["getppid", "setns"]);
    assert!(
        cost.iter()
            .all(|one| one["with_ns"].as_f64().unwrap() > 0.0)
    );
}

/// More events than the smallest sensible ring holds: lost ones are counted exactly.
#[test]
fn every_lost_event_is_counted() {
    if object("every_lost_event_is_counted").is_none() {
        return;
    }
    let report = selftest(&["--ring=64K"]);
    let (made, read) = (sum(&report, "made"), sum(&report, "read"));
    assert_eq!(made, 1000);
    // A record takes 520 bytes of the ring.
    assert!((1..=126).contains(&read), "{report}");
    assert_eq!(sum(&report, "lost"), made - read);
    let held = report["held"].as_array().unwrap();
    assert_eq!(held.len(), 5);
    assert!(held.iter().all(|one| one["holds"] == true), "{report}");
    let text = Command::new(PROGRAM)
        .args(["selftest", "--ring=64K", "--events=400"])
        .args(support::backend_option())
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.ends_with("\neach call was reported as it happened, or counted as lost\n"),
        "{text}"
    );
    let all = text.lines().find(|line| line.starts_with("all "));
    let made = all.and_then(|line| line.split_whitespace().nth(1));
    assert_eq!(made, Some("400"), "{text}");
}

/// If the tested object is not the one that runs, that is an error, and the selftest gives
/// no verdict.
#[test]
fn without_probes_there_is_no_verdict() {
    let refused = Command::new(PROGRAM)
        .args(["selftest", "--probes=/dev/null"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(125));
    assert!(refused.stdout.is_empty());
}
