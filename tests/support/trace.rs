//! What an exec does, as strace(1) sees it.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

use std::fs;
use std::process::{Command, Stdio};

use super::{NSEXEC, Target, succeed, temporary_directory};

/// The system calls of one exec, `PID NAME(...) = ...` a line, by strace(1).
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
    text.lines()
        .filter_map(|line| {
            let (pid, call) = line.split_once(' ')?;
            Some((pid.to_owned(), call.trim_start().to_owned()))
        })
        .collect()
}

/// The name of a call in a line of a trace.
pub fn name(call: &str) -> &str {
    let call = call.strip_prefix("<... ").unwrap_or(call);
    call.split(['(', ' ']).next().unwrap_or("")
}
