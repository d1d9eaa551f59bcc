//! Output to files.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use support::object;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

/// A directory that is removed when the test ends, with the file system mounted on it.
struct Directory {
    path: PathBuf,
    mounted: bool,
}

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nsexec-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self {
            path,
            mounted: false,
        }
    }

    /// A file system of this size.
    fn small(name: &str, size: &str) -> Self {
        let mut directory = Self::new(name);
        let options = format!("size={size}");
        let (none, flags) = (None::<&str>, MsFlags::empty());
        mount(
            none,
            &directory.path,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        )
        .unwrap();
        directory.mounted = true;
        directory
    }

    fn file(&self, name: &str) -> String {
        self.path.join(name).into_os_string().into_string().unwrap()
    }

    /// The files, oldest first.
    fn files(&self) -> Vec<String> {
        let aside = (1..1000).map(|number| self.file(&format!("f.{number}")));
        let mut files: Vec<String> = aside.take_while(|file| Path::new(file).exists()).collect();
        files.reverse();
        files.push(self.file("f"));
        files
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.mounted {
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn verify(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .arg("verify")
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

fn lines(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn run(options: &[&str], script: &str) -> Output {
    Command::new(PROGRAM)
        .args(support::backend_option())
        .args(options)
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap()
}

/// Makes this many joins, each of which is reported.
fn joins(count: u32) -> String {
    format!("for i in $(seq {count}); do nsenter --uts=/proc/self/ns/uts true; done")
}

#[test]
fn rotation_loses_no_line() {
    if object("rotation_loses_no_line").is_none() {
        return;
    }
    let directory = Directory::new("rotated");
    let file = directory.file("f");
    let options = [
        "--format=json",
        "--rotate=8K",
        "--keep=999",
        "--output",
        &file,
    ];
    let script = format!("echo mine; {}; exit 7", joins(60));
    let output = run(&options, &script);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    // Standard output belongs to the program.
    assert_eq!(output.stdout, b"mine\n");
    let files = directory.files();
    assert!(files.len() >= 5, "{files:?}");
    let mut joins = 0;
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 8 << 10, "{file}");
        let lines = lines(file);
        assert_eq!(lines[0]["kind"], "start");
        assert!(lines.len() > 1);
        let of = |line: &&Value| line["op"]["syscall"] == "setns";
        joins += lines.iter().filter(of).count();
    }
    assert_eq!(joins, 60);
    assert_eq!(lines(&file).last().unwrap()["kind"], "health");
    let words: Vec<&str> = files.iter().map(String::as_str).collect();
    let (status, output) = verify(&words);
    assert_eq!(status, Some(0), "{output}");
    // A single file, a wrong order, a missing file: each is reported.
    let (status, output) = verify(&words[1..2]);
    assert_eq!(status, Some(1), "{output}");
    let value = lines(words[1])[0]["continues"].as_str().unwrap().to_owned();
    assert!(output.contains(&format!("--after {value}")), "{output}");
    assert_eq!(verify(&["--after", &value, words[1]]).0, Some(0));
    assert_eq!(verify(&[words[0], words[2]]).0, Some(1));
    assert_eq!(verify(&[words[1], words[0]]).0, Some(1));
}

#[test]
fn the_oldest_files_go_and_another_run_begins_a_chain_of_its_own() {
    let test = "the_oldest_files_go_and_another_run_begins_a_chain_of_its_own";
    if object(test).is_none() {
        return;
    }
    let directory = Directory::new("kept");
    let file = directory.file("f");
    let options = [
        "--format=json",
        "--rotate=8K",
        "--keep=2",
        "--output",
        &file,
    ];
    assert_eq!(run(&options, &joins(60)).status.code(), Some(0));
    assert_eq!(directory.files().len(), 3);
    let last = fs::read(&file).unwrap();
    assert_eq!(run(&options, "true").status.code(), Some(0));
    assert_eq!(fs::read(directory.file("f.1")).unwrap(), last);
    assert_eq!(verify(&[&file]).0, Some(0));
    let (status, output) = verify(&[&file, &file]);
    assert_eq!(status, Some(1));
    assert!(output.contains("starts a chain of its own"), "{output}");
    // Text has its column headings in each file, and no colours.
    let options = ["--rotate=4K", "--output", &file];
    let output = run(&options, &joins(80));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let files = directory.files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files.iter().skip(files.len() - 2) {
        let text = fs::read_to_string(file).unwrap();
        assert!(
            text.starts_with("TIME ") && !text.contains('\x1b'),
            "{text}"
        );
    }
}

/// An auditor of its own process, and its errors.
fn auditor(options: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut auditor = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(auditor.stderr.take().unwrap());
    let mut ready = String::new();
    errors.read_line(&mut ready).unwrap();
    assert_eq!(ready, "nsexec-audit: the probes are attached\n");
    (auditor, errors)
}

fn send(auditor: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(auditor.id()).unwrap()), signal).unwrap();
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_hangup_begins_another_file() {
    if object("a_hangup_begins_another_file").is_none() {
        return;
    }
    let directory = Directory::new("hangup");
    let file = directory.file("f");
    let (mut auditor, _errors) = auditor(&["--format=json", "--output", &file]);
    let has_begun = |file: &str| fs::read_to_string(file).is_ok_and(|text| text.contains('\n'));
    wait_for("a file", || has_begun(&file));
    send(&auditor, Signal::SIGHUP);
    let aside = directory.file("f.1");
    wait_for("a second file", || has_begun(&aside) && has_begun(&file));
    // Like logrotate(8).
    let moved = directory.file("moved");
    fs::rename(&file, &moved).unwrap();
    send(&auditor, Signal::SIGHUP);
    wait_for("a third file", || has_begun(&file));
    send(&auditor, Signal::SIGTERM);
    assert_eq!(auditor.wait().unwrap().code(), Some(0));
    let (status, output) = verify(&[&aside, &moved, &file]);
    assert_eq!(status, Some(0), "{output}");
}

#[test]
fn a_full_disk_ends_the_auditor_after_a_complete_line() {
    if object("a_full_disk_ends_the_auditor_after_a_complete_line").is_none() {
        return;
    }
    let directory = Directory::small("full", "64k");
    let file = directory.file("f");
    let script = format!("{}; exit 7", joins(500));
    let output = run(&["--format=json", "--lineage", "--output", &file], &script);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let output = String::from_utf8(output.stderr).unwrap();
    assert!(output.contains("f: No space left on device"), "{output}");
    assert!(output.contains("lines could not be written"), "{output}");
    assert!(output.contains(" events, "), "{output}");
    let (status, output) = verify(&[&file]);
    assert_eq!(status, Some(0), "{output}");
    assert!(!lines(&file).is_empty());
}
