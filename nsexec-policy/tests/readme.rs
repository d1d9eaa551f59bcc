//! Runs the examples of nsexec-policy in README exactly as written there.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const README: &str = include_str!("../../README.md");

/// The examples, without their comments, and a word that each prints.
const EXAMPLES: &[(&str, &str)] = &[
    ("nsexec-policy check my.toml", "valid"),
    (
        "nsexec-policy check /usr/share/containers/seccomp.json",
        "valid",
    ),
    ("nsexec-policy show strict", "seccomp"),
    ("nsexec-policy diff default my.toml", ""),
    ("nsexec-policy import --from minijail a.policy", "syscalls"),
];

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A directory with the files that the examples name.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_examples_of_nsexec_policy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let name = format!("nsexec-policy-readme-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    copy_all(&root.join("policies"), &directory.0);
    fs::copy(directory.0.join("strict.toml"), directory.0.join("my.toml")).unwrap();
    fs::write(
        directory.0.join("a.policy"),
        "read: 1\nwrite: arg0 == 1\nexit_group: 1\n",
    )
    .unwrap();
    let lines = README
        .lines()
        .filter(|line| line.starts_with("nsexec-policy "));
    let mut count = 0;
    for line in lines {
        let (example, says) = EXAMPLES
            .iter()
            .find(|(example, _)| line.starts_with(&format!("{example} ")))
            .unwrap_or_else(|| panic!("no test executes: {line}"));
        let words = example.replace(
            "/usr/share/containers/seccomp.json",
            "seccomp/docker-default.json",
        );
        let output = Command::new(env!("CARGO_BIN_EXE_nsexec-policy"))
            .args(words.split(' ').skip(1))
            .current_dir(&directory.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        // As in diff(1), status 1 means different.
        let differs = words.contains(" diff ") && output.status.code() == Some(1);
        assert!(output.status.success() || differs, "{example}: {stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(says), "{example}: {stdout}{stderr}");
        count += 1;
    }
    assert_eq!(count, EXAMPLES.len(), "an example is not in README");
}
