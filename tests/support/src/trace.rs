//! The system calls of an exec, recorded by strace(1).
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use super::{NSEXEC, Target, succeed, temporary_directory};

/// The system calls of one exec, one line `PID NAME(...) = ...` each, by strace(1).
pub fn trace(target: &Target, arguments: &[&str]) -> Vec<(String, String)> {
    let directory = temporary_directory("strace");
    let log = directory.join("log");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg("--")
        .arg(NSEXEC);
    command
        .arg("-t")
        .arg(target.pid().to_string())
        .args(arguments);
    command.stdin(Stdio::null());
    succeed(command);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_dir_all(directory).unwrap();
    calls(&text)
}

/// The complete calls in a log of strace(1). strace splits a call into two lines if another
/// process makes a call meanwhile. A call that never returned is left out.
pub fn calls(log: &str) -> Vec<(String, String)> {
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begun);
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let begun = unfinished.remove(pid).unwrap_or_default();
            let rest = resumed.split_once("resumed>").map_or("", |(_, rest)| rest);
            calls.push((pid.to_owned(), format!("{begun}{rest}")));
        } else {
            calls.push((pid.to_owned(), call.to_owned()));
        }
    }
    calls
}

/// The name of a call in a line of a trace.
pub fn name(call: &str) -> &str {
    call.split(['(', ' ']).next().unwrap_or("")
}
