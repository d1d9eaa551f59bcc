//! Missing kernel features: the table of README, and the behaviour of nsexec without them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::features::{self, features};
use support::{NSEXEC, Target, run, succeed, temporary_directory, text};

#[test]
fn the_readme_has_each_row_of_features_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    let (_, section) = readme.split_once("\n## Kernels\n").unwrap();
    let table = section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1);
    let rows: Vec<Vec<String>> = table
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect();
    let features: Vec<Vec<String>> = features()
        .into_iter()
        .map(|feature| vec![feature.name, feature.since, feature.without])
        .collect();
    assert_eq!(rows, features);
}

/// RLIMIT_NOFILE can be in the millions, and can be lower than the highest open descriptor.
#[test]
fn descriptors_are_marked_as_they_are_listed_where_close_range_cannot() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("close-range");
    let log = directory.join("log");
    // The declared number is above the limit; undeclared descriptors are closed.
    let script = "exec 200</dev/null; ulimit -Sn 100; ulimit -Hn 10000; ulimit -Sn 10000; \
                  exec strace -qq -o \"$0\" -e trace=close_range,fcntl $INJECT -- \"$@\"";
    let trace = |inject: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(&log).arg(NSEXEC);
        command
            .args(["-t", &target.pid().to_string(), "-a", "--preserve-fd=200"])
            .args(["--", "true"])
            .env("INJECT", inject)
            .stdin(Stdio::null());
        let output = run(command);
        (output, fs::read_to_string(&log).unwrap())
    };
    // The first call marks descriptors and does not close them.
    let (_, uninjected) = trace("");
    let mut ranges = uninjected
        .lines()
        .filter(|line| line.starts_with("close_range("));
    let marks = ranges.position(|line| line.contains("CLOSE_RANGE_CLOEXEC"));
    let turn = marks.expect("a call that marks descriptors") + 1;
    // Linux before 5.11 returns EINVAL.
    let inject = format!("-e inject=close_range:error=EINVAL:when={turn}");
    let (output, calls) = trace(&inject);
    fs::remove_dir_all(directory).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let first: Vec<&str> = calls
        .lines()
        .skip_while(|line| !line.contains("INJECTED"))
        .skip(1)
        .take_while(|line| line.starts_with("fcntl("))
        .collect();
    assert!(
        first
            .iter()
            .any(|call| call.contains("fcntl(200, F_SETFD, FD_CLOEXEC)")),
        "{calls}"
    );
    assert!(first.len() < 500, "{} calls", first.len());
}

#[test]
fn a_target_without_an_inode_number_has_null_in_the_plan() {
    support::needs!(root);
    let target = Target::new();
    let planned = succeed(target.nsexec(["-a", "--dry-run", "--", "true"]));
    let plan: serde_json::Value = serde_json::from_str(&planned).unwrap();
    let inode = &plan["target"]["inode"];
    if features::has("pidfd inode numbers") {
        assert!(inode.as_u64().is_some_and(|inode| inode > 0), "{inode}");
    } else {
        assert!(inode.is_null(), "{inode}");
    }
}

/// On a terminal, nsexec names the layers that `default` drops. It prints nothing into the
/// output of a script.
#[test]
fn a_dropped_layer_is_named_only_on_a_terminal() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("let-go");
    let nsexec = || {
        let mut command = Command::new("strace");
        // Like a kernel whose lsm= does not name Landlock.
        command
            .args(["-qq", "-e", "trace=landlock_create_ruleset"])
            .args(["-e", "inject=landlock_create_ruleset:error=EOPNOTSUPP"])
            .arg("-o")
            .arg(directory.join("log"))
            .args(["--", NSEXEC, "-t", &target.pid().to_string(), "-a"])
            .args(["--", "true"])
            .stdin(Stdio::null());
        command
    };
    let piped = run(nsexec());
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    assert_eq!(text(&piped.stderr), "");

    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = nsexec();
    command.stderr(pty.slave);
    assert!(command.status().unwrap().success());
    drop(command);
    let mut seen = [0; 1024];
    let length = nix::unistd::read(&pty.master, &mut seen).unwrap();
    let seen = text(&seen[..length]);
    assert!(
        seen.contains(
            "on this kernel the ceiling has no Landlock domain; the program has no Landlock domain"
        ),
        "{seen}"
    );
    fs::remove_dir_all(directory).unwrap();
}
