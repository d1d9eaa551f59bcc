//! Every example of README is executed as printed.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Build, NSEXEC, Target, run, temporary_directory, text};

const README: &str = include_str!("../README.md");

/// The expected output or exit status of an example, for `the_examples_of_nsexec`.
enum Ends {
    /// Standard output has this text.
    With(&'static str),
    /// Standard output begins with a line of JSON that contains this text.
    Json(&'static str),
}

/// Each example, the program that it uses from the host, and the expected result.
const EXAMPLES: &[(&str, Option<&str>, Ends)] = &[
    (
        "nsexec -t 4711 -- ls -l /proc/self/fd",
        None,
        Ends::With("2 -> "),
    ),
    ("nsexec -t 4711", None, Ends::With("")),
    (
        "nsexec -t 4711:28467 -n -- ip addr",
        Some("ip"),
        Ends::With("lo: "),
    ),
    (
        "nsexec -t 4711 -n --policy net -- ip link set eth0 up",
        Some("ip"),
        Ends::With(""),
    ),
    (
        "nsexec -t 4711 --policy strict -- ./parse",
        None,
        Ends::With("parse as 0 in /"),
    ),
    (
        "nsexec -t 4711 --policy admin -- gdb -p 1",
        None,
        Ends::With("gdb as 0 in /"),
    ),
    (
        "nsexec -t 4711 -S 1000 -G 1000 -w -- make",
        None,
        Ends::With("make as 1000 in /home/ann"),
    ),
    (
        "nsexec -t 4711 --dry-run -- make",
        None,
        Ends::Json("\"event\":\"plan\""),
    ),
    (
        "nsexec -t 4711 --status-fd 3 -- make 3>log",
        None,
        Ends::With("make as 0 in /"),
    ),
    (
        "nsexec -t 4711 --seccomp-fd 3 -- make 3<f",
        None,
        Ends::With("make as 0 in /"),
    ),
    (
        "nsexec -t 4711 --explain -- make",
        None,
        Ends::With("make as 0 in /"),
    ),
    (
        "nsexec --net=/run/netns/blue -- ping ::1",
        Some("ping"),
        Ends::With("::1"),
    ),
    ("nsexec --features", None, Ends::With("feature")),
];

/// Examples that other tests run, or that build the tested programs, with the place of the
/// test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("cargo xtask demo", "xtask/src/main.rs", "\"demo\""),
    ("cargo xtask test", "xtask/src/main.rs", "\"test\""),
    ("nsexec-policy ", "nsexec-policy/tests/readme.rs", "README"),
    (
        "# nsexec-audit -- sh -c",
        "ebpf/audit/tests/command.rs",
        "unshare --net",
    ),
    (
        TRANSCRIPT,
        "tests/readme.rs",
        "fn the_transcript_of_refusals",
    ),
];

/// The run whose refusals README shows.
const TRANSCRIPT: &str = "# nsexec -t 4711 --policy strict --explain=audit -- sh -c \
                          'mount -t tmpfs none /mnt; echo x >/etc/foo'";

/// The command lines in the code blocks, with their explanations.
fn examples() -> Vec<&'static str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside
            && ["nsexec", "# nsexec", "cargo "]
                .iter()
                .any(|word| line.starts_with(word))
        {
            lines.push(line);
        }
    }
    // A message in a transcript is no command.
    lines.retain(|line| !line.starts_with("nsexec: "));
    lines
}

#[test]
fn every_example_is_executed_by_a_test() {
    for line in examples() {
        let here = EXAMPLES.iter().any(|(command, ..)| begins(line, command));
        let elsewhere = ELSEWHERE
            .iter()
            .find(|(command, ..)| line.starts_with(command));
        assert!(here || elsewhere.is_some(), "no test executes: {line}");
    }
    for (command, ..) in EXAMPLES {
        assert!(
            examples().iter().any(|line| begins(line, command)),
            "not in README: {command}"
        );
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (command, file, expected) in ELSEWHERE {
        assert!(
            examples().iter().any(|line| line.starts_with(command)),
            "not in README: {command}"
        );
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(expected), "{file} does not execute {command}");
    }
}

/// Whether `line` is this command, and its explanation.
fn begins(line: &str, command: &str) -> bool {
    line.strip_prefix(command)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        && !EXAMPLES
            .iter()
            .any(|(longer, ..)| longer.len() > command.len() && line.starts_with(longer))
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("command -v {program}")]);
    run(command).status.success()
}

/// A target with the programs of the examples.
fn target() -> Target {
    let script = r#"
        ip link set lo up
        ip link add eth0 type dummy 2>/dev/null || touch /tmp/no-dummy
        for name in make gdb; do
            printf '#!/bin/sh\necho %s as $(id -u) in $PWD\n' $name > /bin/$name
            chmod +x /bin/$name
        done
        sed s/gdb/parse/ /bin/gdb > /parse; chmod +x /parse
        cd /home/ann
    "#;
    Target::build(&Build {
        script: script.to_owned(),
        ..Build::default()
    })
}

/// A directory with `nsexec`, in which the examples run.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let directory = Self(temporary_directory("readme"));
        std::os::unix::fs::symlink(NSEXEC, directory.0.join("nsexec")).unwrap();
        // BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
        let allow = [
            &6_u16.to_ne_bytes()[..],
            &[0, 0],
            &0x7fff_0000_u32.to_ne_bytes(),
        ]
        .concat();
        fs::write(directory.0.join("f"), allow).unwrap();
        directory
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_examples_of_nsexec() {
    let test = "the_examples_of_nsexec";
    support::needs!(root);
    let target = target();
    let directory = Directory::new();
    let pid = target.pid().to_string();
    let path = std::env::var("PATH").unwrap();
    for (example, program, ends) in EXAMPLES {
        if program.is_some_and(|program| !is_installed(program)) {
            support::leave_out(test, &format!("{example}: the program is not installed"));
            continue;
        }
        if example.contains("--policy strict") && !support::features::can_use("strict", test) {
            continue;
        }
        if example.contains("eth0") && target.root().join("tmp/no-dummy").exists() {
            support::leave_out(
                test,
                &format!("{example}: this kernel has no dummy interfaces"),
            );
            continue;
        }
        let inode = target.inode().map(|inode| format!(":{inode}"));
        let line = example
            .replace(":28467", &inode.unwrap_or_default())
            .replace("4711", &pid)
            .replace("/run/netns/blue", &format!("/proc/{pid}/ns/net"))
            .replace("ping ::1", "ping -c 1 ::1");
        let mut command = Command::new("sh");
        command
            .args(["-c", &line])
            .current_dir(&directory.0)
            .env("PATH", format!("{}:{path}", directory.0.display()))
            .stdin(Stdio::null());
        let output = run(command);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{line}: {}: {stderr}",
            output.status
        );
        match ends {
            Ends::With(expected) => assert!(stdout.contains(expected), "{line}: {stdout}"),
            Ends::Json(expected) => {
                let plan: serde_json::Value = serde_json::from_str(&stdout).unwrap();
                assert!(plan.to_string().contains(expected), "{line}: {stdout}");
            }
        }
    }
    let log = fs::read_to_string(directory.0.join("log")).unwrap();
    for event in ["plan", "started", "exited"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "{log}");
    }
}

#[test]
fn the_table_of_commands_and_policies() {
    support::needs!(root);
    let head = "| command | `default` | `net` | `admin` |\n|---|---|---|---|\n";
    let table = README.split_once(head).unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let script = cells[1].trim_matches('`');
        for (policy, cell) in ["default", "net", "admin"].iter().zip(&cells[2..]) {
            // A separate target for each: some examples change it.
            let target = Target::with_script("mkdir /mnt; touch /tmp/f;");
            let output = run(target.nsexec(["-a", "--policy", policy, "--", "sh", "-c", script]));
            let works = output.status.success();
            let printed = text(&output.stderr);
            assert_eq!(works, *cell == "works", "{policy}: {script}: {printed}");
            assert!(works || *cell == "refused", "{row}");
            count += 1;
        }
    }
    assert_eq!(count, 36);
}

/// Without auditing, which is global for the machine: the row of Landlock is missing then.
#[test]
fn the_transcript_of_refusals() {
    support::needs!(root, feature("Landlock: scopes"));
    let target = target();
    let directory = Directory::new();
    let line = TRANSCRIPT
        .trim_start_matches("# ")
        .replace("4711", &target.pid().to_string())
        .replace("--explain=audit", "--explain");
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .env("PATH", format!("{}:{path}", directory.0.display()))
        .stdin(Stdio::null());
    let printed = text(&run(command).stderr);
    let shown = README.split_once(TRANSCRIPT).unwrap().1;
    let row = shown
        .lines()
        .find(|line| line.starts_with("  seccomp "))
        .unwrap();
    let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        printed.lines().any(|line| words(line) == words(row)),
        "{row}\n{printed}"
    );
}

#[test]
fn the_example_in_c_compiles() {
    let block = README.split("```c\n").nth(1).unwrap();
    let source = block.split("```").next().unwrap();
    let directory = temporary_directory("readme-c");
    fs::write(directory.join("main.c"), source).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-Wall", "-Werror", "-fsyntax-only", "-I"])
        .arg(root.join("capi/include"))
        .arg(directory.join("main.c"));
    support::succeed(gcc);
    fs::remove_dir_all(directory).unwrap();
}
