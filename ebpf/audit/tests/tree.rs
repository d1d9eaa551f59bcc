//! `nsexec-audit tree`, with real processes.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use support::cgroup;
use support::{Sleeper, inum, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

fn tree(format: &str) -> String {
    let output = Command::new(PROGRAM)
        .args(["tree", "--format", format])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The namespace set of a process, and the process.
#[track_caller]
fn find(tree: &Value, pid: u32) -> (usize, &Value) {
    let sets = tree["sets"].as_array().unwrap().iter().enumerate();
    let mut found = sets.flat_map(|(number, set)| {
        let processes = set["processes"].as_array().unwrap().iter();
        processes
            .filter(|process| process["tid"] == pid)
            .map(move |process| (number, process))
    });
    let one = found.next().unwrap();
    assert!(found.next().is_none(), "{pid} occurs twice");
    one
}

#[test]
fn a_process_in_new_namespaces_is_in_a_set_of_its_own() {
    if object("a_process_in_new_namespaces_is_in_a_set_of_its_own").is_none() {
        return;
    }
    let sleeper = Sleeper::new(&["--uts", "--net", "--mount"]);
    let pid = sleeper.pid();
    let drawn: Value = serde_json::from_str(&tree("json")).unwrap();
    let sets = drawn["sets"].as_array().unwrap();
    let (own_set, own) = find(&drawn, std::process::id());
    let (number, process) = find(&drawn, pid);
    let set = &sets[number];
    assert_eq!(set["differs"], json!(["mnt", "net", "uts"]));
    assert_eq!(set["from"], own_set);
    assert_eq!(set["processes"].as_array().unwrap().len(), 1);
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        let right = inum(&pid.to_string(), name);
        assert_eq!(set["ns"][name]["inum"], right, "{name}");
        let right = inum("self", name);
        assert_eq!(sets[own_set]["ns"][name]["inum"], right, "{name}");
    }
    // It stays in its parent's namespaces, regardless of this process's.
    assert_eq!(set["container"], sets[own_set]["container"]);
    assert_eq!(process["parent"], own["tgid"]);
    assert_eq!(
        (&process["comm"], &process["uid"]),
        (&json!("sleep"), &json!(0))
    );
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(process["exe"], exe.to_str().unwrap());

    let text = tree("text");
    let number = |of: u32| {
        let (before, _) = text.split_once(&format!("─ {of} ")).unwrap();
        let mut titles = before.lines().filter(|line| line.starts_with('['));
        titles
            .next_back()
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    let (own_set, set) = (number(std::process::id()), number(pid));
    assert_ne!(own_set, set);
    let mut section = text.lines().skip_while(|line| !line.starts_with(&set));
    let title = section.next().unwrap();
    assert!(
        title.ends_with(&format!(", from {own_set}: mnt net uts")),
        "{title}"
    );
    for name in ["mnt", "net", "uts"] {
        let mut words = section.next().unwrap().split_whitespace();
        assert_eq!(words.next(), Some(name));
        let right = inum(&pid.to_string(), name).to_string();
        assert_eq!(words.next(), Some(right.as_str()), "{name}");
    }
    let line = section.next().unwrap();
    assert!(line.starts_with(&format!("└─ {pid} sleep ")), "{line}");
    let parent = format!("(parent {})", std::process::id());
    assert!(line.ends_with(&parent), "{line}");
}

/// A process chooses its name, and a terminal interprets U+009B.
#[test]
fn a_name_that_a_terminal_obeys_is_escaped() {
    if object("a_name_that_a_terminal_obeys_is_escaped").is_none() {
        return;
    }
    let mut shell = Command::new("sh")
        .args([
            "-c",
            r"printf 'a\302\23331mb' > /proc/$$/comm; echo; read x",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut named = [0];
    shell.stdout.take().unwrap().read_exact(&mut named).unwrap();
    let printed = [&["tree", "--format=json"][..], &["--snapshot"]].map(|words| {
        let output = Command::new(PROGRAM).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    drop(shell.stdin.take());
    shell.wait().unwrap();
    for printed in printed {
        assert!(printed.contains(r#""comm":"a\u009b31mb""#), "{printed}");
        assert!(!printed.contains('\u{9b}'));
    }
}

#[test]
fn a_process_in_a_container_s_cgroup_is_in_that_container() {
    let test = "a_process_in_a_container_s_cgroup_is_in_that_container";
    if object(test).is_none() {
        return;
    }
    let name = format!("nsexec-test-{}", std::process::id());
    let Some(cgroup) = cgroup::named(test, &name) else {
        return;
    };
    // The process ends before its cgroup is removed.
    let sleeper = Sleeper::new(&["--uts"]);
    cgroup.add(sleeper.pid().cast_signed());
    let drawn: Value = serde_json::from_str(&tree("json")).unwrap();
    let (number, _) = find(&drawn, sleeper.pid());
    let set = &drawn["sets"][number];
    let right = json!({
        "runtime": "runc", "id": name, "pod": null, "path": format!("/{name}"),
    });
    assert_eq!(
        (&set["place"], &set["container"]),
        (&json!("container"), &right)
    );
    assert_eq!(set["differs"], json!(["uts"]));
    assert!(tree("text").contains(&format!("] runc {name}, from [")));
}
