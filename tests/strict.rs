//! `strict` in the kernel: about a hundred ways to change a file, to reach another process,
//! or to execute a file outside the program's root. Each is refused, and each succeeds
//! under `admin`, so that a probe that fails for another reason is detected.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::{Target, succeed};

/// EPERM, EACCES and ENOSYS: the errors of a filter and of Landlock.
const REFUSED: [&str; 3] = ["1", "13", "38"];

/// Compiles the probes into a target's root.
fn install(target: &Target) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/strict.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-no-pie", "-o"])
        .arg(target.root().join("bin/strict"))
        .arg(source);
    succeed(gcc);
}

/// The process that the probes attack; it ends when the value is dropped.
struct Bystander(Child);

impl Bystander {
    fn start(target: &Target) -> Self {
        let mut command = target.nsexec(["-a", "--policy", "admin", "--", "strict", "bystander"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // The program ends with its helper.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each probe's result under a policy.
fn answers(target: &Target, policy: &str) -> BTreeMap<String, String> {
    let words = ["-a", "--policy", policy, "--", "strict", "probe"];
    let printed = succeed(target.nsexec(words));
    let pair = |line: &str| {
        let (name, answer) = line.split_once(' ').unwrap();
        (name.to_owned(), answer.to_owned())
    };
    printed.lines().map(pair).collect()
}

#[test]
fn strict_changes_nothing_and_reaches_nobody() {
    support::needs!(root, feature("Landlock: scopes"));
    let target = Target::with_script("ip link set lo up");
    install(&target);
    let bystander = Bystander::start(&target);
    let strict = answers(&target, "strict");
    // Last, because under admin the probes take effect.
    let admin = answers(&target, "admin");
    drop(bystander);
    assert!(strict.len() > 90, "{}", strict.len());
    assert_eq!(
        strict.keys().collect::<Vec<_>>(),
        admin.keys().collect::<Vec<_>>()
    );
    let wrong: Vec<_> = strict
        .iter()
        .filter(|(name, answer)| {
            if name.starts_with('+') {
                *answer != "open"
            } else {
                !REFUSED.contains(&answer.as_str())
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let closed: Vec<_> = admin
        .iter()
        .filter(|(_, answer)| *answer != "open")
        .collect();
    assert!(closed.is_empty(), "the control: {closed:?}");
}
