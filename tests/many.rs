//! Inputs of the maximum length: the time grows at most in proportion to the length. The
//! time limits only detect a hang.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use support::protocol_a::{Exec, assert_success, config, shell};
use support::{Build, Target, run, text};

/// A shell is slow with so many variables.
const AWK: &str = r#"BEGIN { print ENVIRON["v0"], ENVIRON["v79999"], ENVIRON["HOME"] }"#;

const BOUND: Duration = Duration::from_secs(120);

#[test]
fn many_variables_of_initconfig() {
    support::needs!(root);
    let target = Target::new();
    let begun = Instant::now();
    let mut config = config(&["/bin/true"]);
    let env: Vec<String> = (0..200_000).map(|n| format!("{n:x}=")).collect();
    config["env"] = json!(env);
    let outcome = Exec::into(target.pid()).run_config(&config);
    // More than execve(2) accepts with a stack of 8 MiB.
    assert!(outcome.message().contains("E2BIG"), "{outcome:?}");
    let mut config = self::config(&["/bin/awk", AWK]);
    let mut env: Vec<String> = (0..80_000).map(|n| format!("v{n}=1")).collect();
    env.push("v0=2".to_owned());
    config["env"] = json!(env);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert!(begun.elapsed() < BOUND);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "2 1 /root\n");
}

#[test]
fn many_groups_of_initconfig() {
    support::needs!(root);
    let mut lines = String::new();
    for gid in 0..65_536 {
        writeln!(lines, "g{gid}:x:{}:ann", gid + 70_000).unwrap();
    }
    let target = Target::new();
    std::fs::write(target.root().join("etc/group"), lines).unwrap();
    let groups = |additional: serde_json::Value| {
        let mut config = shell("grep Groups: /proc/self/status | wc -w");
        config["user"] = json!("ann");
        config["config"]["additional_groups"] = additional;
        Exec::into(target.pid()).run_config(&config)
    };
    let begun = Instant::now();
    let all: Vec<String> = (0..65_536).map(|gid| format!("g{gid}")).collect();
    let outcome = groups(json!(all));
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "65537\n");
    let outcome = groups(json!(["5"]));
    assert!(begun.elapsed() < BOUND);
    assert!(
        outcome.message().contains("more than 65536 groups"),
        "{outcome:?}"
    );
}

#[test]
fn a_long_path_of_the_target() {
    support::needs!(root);
    let long = |count: usize| {
        let target = Target::build(&Build {
            program: Some(format!("env PATH=$(seq -s: {count}) /bin/sleep 1000")),
            ..Build::default()
        });
        let environ = format!("/proc/{}/environ", target.pid());
        while std::fs::read(&environ).unwrap().len() < count {
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = run(target.nsexec(["-a", "-e", "--", "nowhere"]));
        (output.status.code(), text(&output.stderr))
    };
    let (status, message) = long(4096);
    assert_eq!(status, Some(127), "{message}");
    let (status, message) = long(4097);
    assert_eq!(status, Some(126), "{message}");
    assert!(
        message.contains("PATH names more than 4096 directories"),
        "{message}"
    );
}
