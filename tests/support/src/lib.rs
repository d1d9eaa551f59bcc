//! Throw-away targets, and ways to run nsexec against them: for the tests, the benchmarks and
//! xtask.
//!
//! A target is a process with its own namespaces and root (after pivot_root, so that no
//! path means the same inside and outside). The target and everything created for it is
//! removed when the value is dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

pub mod apparmor;
pub mod cgroup;
pub mod container;
pub mod features;
pub mod json_schema;
mod left_out;
pub mod needs;
pub mod protocol_a;
pub mod protocol_b;
pub mod root;
pub mod runtime;
pub mod samples;
pub mod session;
pub mod share;
mod target;
pub mod trace;
pub mod tracer;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

pub use left_out::leave_out;
pub use target::{Build, OUTSIDE, Target};

/// The program under test.
pub const NSEXEC: &str = env!("NSEXEC_UNDER_TEST");

/// The root of the repository.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A new, empty directory with a unique name.
pub fn temporary_directory(purpose: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("nsexec-test-{}-{number}-{purpose}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).expect("a temporary directory");
    directory
}

/// Runs a command that has to succeed, and returns its standard output.
#[track_caller]
pub fn succeed(mut command: Command) -> String {
    let output = command.output().expect("the command");
    assert!(
        output.status.success(),
        "{command:?}: {}\nstdout: {}\nstderr: {}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that has to fail with this status, and returns its standard error; its
/// standard output must be empty.
#[track_caller]
pub fn fail(mut command: Command, status: i32) -> String {
    let output = command.output().expect("the command");
    let stderr = text(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{command:?}: {}: {stderr}",
        output.status
    );
    assert_eq!(
        text(&output.stdout),
        "",
        "{command:?}: something was started"
    );
    assert!(stderr.starts_with("nsexec: "), "{command:?}: {stderr:?}");
    stderr
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn run(mut command: Command) -> Output {
    command.output().expect("the command")
}
