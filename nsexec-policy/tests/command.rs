//! Runs nsexec-policy and checks its output and exit status.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// Exit status, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nsexec-policy"))
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    decoded(output.unwrap())
}

fn decoded(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A directory of files, gone when it is dropped.
struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let own = format!(
            "nsexec-policy-{}-{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let directory = std::env::temp_dir().join(own);
        fs::create_dir(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PROFILE: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [
    { "names": ["read", "write", "execve", "exit_group"], "action": "SCMP_ACT_ALLOW" },
    { "names": ["socket"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }] },
    { "names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_BPF"] } },
    { "names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS" }
  ]
}
"#;

#[test]
fn every_shipped_policy_is_valid() {
    let mut files = Vec::new();
    for directory in [
        policies(),
        policies().join("seccomp"),
        policies().join("landlock"),
    ] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml" || e == "json") {
                files.push(path.display().to_string());
            }
        }
    }
    assert!(files.len() >= 12, "{files:?}");
    let mut arguments = vec!["check"];
    arguments.extend(files.iter().map(String::as_str));
    let (status, out, err) = run(&arguments);
    assert_eq!((status, err.as_str()), (0, ""));
    for file in files {
        assert!(out.contains(&format!("{file}: valid: ")), "{out}");
    }
}

/// The profile of podman, buildah and cri-o, as Debian installs it.
#[test]
fn the_profile_that_debian_installs_is_valid() {
    let file = "/usr/share/containers/seccomp.json";
    if !Path::new(file).exists() {
        nsexec_test_support::leave_out(
            "the_profile_that_debian_installs_is_valid",
            &format!("there is no {file}"),
        );
        return;
    }
    let (status, out, err) = run(&["check", file]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with(&format!("{file}: valid: a seccomp profile: x86_64 ")),
        "{out}"
    );
}

#[test]
fn an_error_has_its_position_and_its_line() {
    let files = Files::new(&[
        ("typo.json", &PROFILE.replace("\"bpf\"", "\"bfp\"")),
        (
            "manifest.toml",
            &fs::read_to_string(policies().join("default.toml"))
                .unwrap()
                .replace("CAP_KILL", "CAP_KIL"),
        ),
        (
            "rules.toml",
            "abi = 4\n[[ruleset]]\nhandled_access_fs = [\"ioctl_dev\"]\n",
        ),
    ]);
    let (status, out, err) = run(&["check", &files.path("typo.json")]);
    assert_eq!((status, out.as_str()), (1, ""));
    let expected = format!(
        "{}:7:18: no system call is named \"bfp\"; see syscalls(2)\n\
         7 |     {{ \"names\": [\"bfp\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {{ \"caps\": [\"CAP_BPF\"] }} }},\n  \
           |                  ^\n",
        files.path("typo.json")
    );
    assert_eq!(err, expected);

    let (status, _, err) = run(&[
        "check",
        &files.path("manifest.toml"),
        &files.path("rules.toml"),
    ]);
    assert_eq!(status, 1);
    let place = format!(
        "{}:16:3: no capability is named \"CAP_KIL\"",
        files.path("manifest.toml")
    );
    assert!(err.contains(&place), "{err}");
    let place = format!(
        "{}:3:22: \"ioctl_dev\" needs Landlock ABI 5",
        files.path("rules.toml")
    );
    assert!(err.contains(&place), "{err}");
}

/// A fault in a file that a manifest names is shown from that file.
#[test]
fn a_fault_beside_the_manifest_is_shown_from_there() {
    let manifest = fs::read_to_string(policies().join("default.toml"))
        .unwrap()
        .replace("seccomp/", "")
        .replace("landlock/", "");
    let mut all = vec![("policy.toml".to_owned(), manifest)];
    for (directory, name) in [
        ("seccomp", "docker-default.json"),
        ("seccomp", "ceiling.json"),
        ("landlock", "default.toml"),
        ("landlock", "ceiling.toml"),
    ] {
        let text = fs::read_to_string(policies().join(directory).join(name)).unwrap();
        all.push((name.to_owned(), text.replace("\"refer\"", "\"refre\"")));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let files = Files::new(&all);
    let (status, _, err) = run(&["check", &files.path("policy.toml")]);
    assert_eq!(status, 1);
    assert!(err.starts_with(&files.path("ceiling.toml")), "{err}");
    assert!(
        err.contains("handled_access_fs") && err.contains("^\n"),
        "{err}"
    );
}

#[test]
fn a_profile_is_shown_in_words_numbers_and_assembly() {
    let files = Files::new(&[("profile.json", PROFILE)]);
    let file = files.path("profile.json");
    let (status, out, err) = run(&["show", &file, "--kernel", "6.1", "--arch", "x86_64"]);
    assert_eq!((status, err.as_str()), (0, ""));
    for line in [
        "on x86_64, Linux 6.1, with these capabilities:",
        "  allowed (4)",
        "    execve, exit_group, read, write",
        "  the process is killed (1)",
        "    socket           allowed where argument 0 is 0x1",
        "                     else EPERM",
        "  also allowed with CAP_BPF (1)",
        "    bpf",
    ] {
        assert!(out.lines().any(|known| known == line), "{line:?} in\n{out}");
    }

    let (_, out, _) = run(&[
        "show", &file, "--json", "--caps", "CAP_BPF", "--arch", "x86_64",
    ]);
    let counts: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(counts["calls"]["allowed"], 5);
    assert_eq!(counts["by_arguments"], 1);
    let instructions = counts["instructions"].as_u64().unwrap();

    let (_, out, _) = run(&[
        "show", &file, "--bpf", "--caps", "CAP_BPF", "--arch", "x86_64",
    ]);
    assert_eq!(
        u64::try_from(out.lines().count()).unwrap(),
        instructions,
        "{out}"
    );
    // Each label that is jumped to is there, once.
    let mut jumps = 0;
    for word in out
        .split_whitespace()
        .map(|word| word.trim_end_matches(','))
    {
        let digits = word.strip_prefix('l').unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let label = format!("{word}:");
            assert_eq!(
                out.lines().filter(|line| line.starts_with(&label)).count(),
                1,
                "{label}"
            );
            jumps += 1;
        }
    }
    assert!(jumps > 10, "{out}");
    for text in [
        "; the call's number",
        "; execve",
        "; argument 0, lower half",
        "; errno EPERM",
        "; kill the process",
    ] {
        assert!(out.contains(text), "{text:?} in\n{out}");
    }
}

#[test]
fn a_policy_is_shown_the_same_by_name_and_by_file() {
    let (status, by_name, _) = run(&["show", "strict"]);
    assert_eq!(status, 0);
    let file = policies().join("strict.toml").display().to_string();
    let (_, by_file, _) = run(&["show", &file, "--kernel", "5.10", "--caps", "none"]);
    assert_eq!(by_name, by_file);
    for text in [
        "ceiling: restricts",
        "program: restricts",
        "  capabilities           none",
        "landlock/strict.toml",
    ] {
        assert!(by_name.contains(text), "{text:?} in\n{by_name}");
    }
    let (_, counts, _) = run(&["show", "strict", "--json"]);
    let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
    assert!(
        counts["program"]["instructions"].as_u64() > Some(50),
        "{counts}"
    );
    assert_eq!(counts["program"]["landlock"]["handled"], 20);
}

#[test]
fn differences_are_found_in_both_directions() {
    let files = Files::new(&[
        ("a.json", PROFILE),
        (
            "b.json",
            &PROFILE
                .replace("\"value\": 1,", "\"value\": 2,")
                .replace("\"read\", ", "")
                .replace("KILL_PROCESS", "TRAP"),
        ),
    ]);
    let (a, b) = (files.path("a.json"), files.path("b.json"));
    assert_eq!(run(&["diff", &a, &a]), (0, String::new(), String::new()));
    let (status, out, err) = run(&["diff", &a, &b]);
    assert_eq!((status, err.as_str()), (1, ""));
    for line in [
        "  only A allows (2)",
        "      read",
        "    socket(0x1): A allowed, B EPERM",
        "  only B allows (1)",
        "    socket(0x2): A EPERM, B allowed",
        "  both deny, with different answers (1)",
        "    A the process is killed, B SIGSYS",
    ] {
        assert!(out.lines().any(|known| known == line), "{line:?} in\n{out}");
    }
    let (status, out, _) = run(&["diff", "default", "strict"]);
    assert_eq!(status, 1);
    assert!(out.contains("only A has\n    CAP_AUDIT_WRITE"), "{out}");
    assert!(
        out.contains("only B denies unless a rule grants it: write_file"),
        "{out}"
    );
    let (status, _, err) = run(&["diff", "default", &a]);
    assert_eq!((status, err.as_str()), (1, ""));
    let rules = policies()
        .join("landlock/strict.toml")
        .display()
        .to_string();
    assert_eq!(run(&["diff", &rules, &a]).0, 2);
}

/// Rules about two arguments: where they overlap, no boundary of one alone shows
/// the difference.
#[test]
fn differences_in_combinations_of_arguments_are_found() {
    let entry = |arguments: &str| {
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                 {{ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{arguments}] }} ] }}"#
        )
    };
    let first = r#"{ "index": 0, "value": 7, "op": "SCMP_CMP_EQ" }"#;
    let second = r#"{ "index": 1, "value": 9, "op": "SCMP_CMP_NE" }"#;
    let files = Files::new(&[
        ("a.json", &entry(first)),
        ("b.json", &entry(&format!("{first}, {second}"))),
    ]);
    let (status, out, _) = run(&["diff", &files.path("a.json"), &files.path("b.json")]);
    assert_eq!(status, 1);
    assert!(
        out.contains("socket(0x7, 0x9): A allowed, B EPERM"),
        "{out}"
    );
}

#[test]
fn every_import_is_valid() {
    let firecracker = r#"{ "vmm": { "default_action": "trap", "filter_action": "allow",
                             "filter": [{ "syscall": "read" }, { "syscall": "exit_group" }] } }"#;
    let files = Files::new(&[
        (
            "policy.minijail",
            "read: 1\nsocket: arg0 == 1\nreboot: return 1\n",
        ),
        (
            "policy.kafel",
            "POLICY p { ALLOW { read, write } } USE p DEFAULT KILL\n",
        ),
        (
            "unit.service",
            "[Service]\nSystemCallFilter=@basic-io\nSystemCallFilter=~dup\n",
        ),
        ("vmm.json", firecracker),
        ("wrong.minijail", "read: 1\nsokcet: 1\n"),
    ]);
    for (format, name) in [
        ("minijail", "policy.minijail"),
        ("kafel", "policy.kafel"),
        ("systemd", "unit.service"),
        ("firecracker", "vmm.json"),
    ] {
        let (status, out, err) = run(&["import", "--from", format, &files.path(name)]);
        assert_eq!(status, 0, "{format}: {err}");
        let profile = files.path(&format!("{format}.json"));
        fs::write(&profile, &out).unwrap();
        let (status, checked, err) = run(&["check", &profile]);
        assert_eq!(status, 0, "{format}: {err}\n{out}");
        assert!(checked.contains("valid: a seccomp profile"), "{checked}");
        let output = files.path("output.json");
        let (_, nothing, _) = run(&[
            "import",
            "--from",
            format,
            "--output",
            &output,
            &files.path(name),
        ]);
        assert_eq!(
            (nothing, fs::read_to_string(&output).unwrap()),
            (String::new(), out)
        );
    }
    let wrong = files.path("wrong.minijail");
    let (status, out, err) = run(&["import", "--from", "minijail", &wrong]);
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(
        err.starts_with(&format!("{wrong}:2:1: no system call is named \"sokcet\"")),
        "{err}"
    );
    assert!(err.ends_with("2 | sokcet: 1\n  | ^\n"), "{err}");
}

#[test]
fn an_invalid_command_line_exits_with_2() {
    let wrong = |arguments: &[&str]| {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.starts_with("nsexec-policy: "), "{err}");
        err
    };
    assert!(wrong(&[]).contains("check, show, diff, import"));
    assert!(wrong(&["chekc"]).contains("check, show, diff, import"));
    assert!(wrong(&["--bpf", "show"]).contains("give a command first"));
    assert!(wrong(&["check"]).contains("check requires a file"));
    assert!(wrong(&["check", "--bpf", "x"]).contains("no option --bpf"));
    assert!(wrong(&["check", "-x"]).contains("no option -x"));
    assert!(wrong(&["check", "/no/such.toml"]).contains("/no/such.toml"));
    assert!(wrong(&["check", "--as", "thing", "/dev/null"]).contains("policy, seccomp, landlock"));
    assert!(wrong(&["show", "nothing"]).contains("default, net, strict, admin"));
    assert!(wrong(&["show", "default", "strict"]).contains("one policy"));
    assert!(wrong(&["show", "--bpf", "--json", "default"]).contains("exclude"));
    assert!(wrong(&["show", "--bpf", "--bpf", "default"]).contains("twice"));
    assert!(wrong(&["show", "--arch", "i386", "default"]).contains("x86_64"));
    assert!(wrong(&["show", "--caps", "KILL", "default"]).contains("CAP_CHOWN"));
    assert!(wrong(&["show", "--kernel", "six", "default"]).contains("6.1"));
    assert!(wrong(&["diff", "default"]).contains("two"));
    assert!(wrong(&["import", "x"]).contains("--from"));
    assert!(wrong(&["import", "--from", "lxc", "/dev/null"]).contains("minijail"));
    assert!(
        wrong(&["import", "--from", "kafel", "--thread", "a", "/dev/null"]).contains("firecracker")
    );
}

#[test]
fn help_and_version_succeed_and_fit_a_screen() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["check", "--help"],
        &["show", "-h"],
        &["diff", "--help"],
        &["import", "--help"],
        &["--version"],
    ] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.lines().count() <= 24, "{out}");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    }
}

/// Reads a word as nsexec's `--policy` does, so that the checked policy is the
/// used one.
#[test]
fn a_word_is_a_name_or_a_file_by_the_rule_of_nsexec() {
    let admin = fs::read_to_string(policies().join("admin.toml")).unwrap();
    let files = Files::new(&[("own", &admin), ("strict", &admin), ("own.toml", &admin)]);
    let beside = files.0.join("seccomp");
    std::os::unix::fs::symlink(policies().join("seccomp"), beside).unwrap();
    let show = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsexec-policy"));
        command.arg("show").args(arguments).current_dir(&files.0);
        decoded(command.stdin(Stdio::null()).output().unwrap())
    };
    for command in [&["own"][..], &["--as", "policy", "own"]] {
        let (status, _, stderr) = show(command);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("there is no policy \"own\"; give one of default"));
        assert!(stderr.contains("or a file: ./own"), "{stderr}");
    }
    let (_, ships, _) = show(&["--as", "policy", "strict"]);
    let (_, by_name, _) = show(&["strict"]);
    let (_, by_path, _) = show(&["./strict"]);
    assert_eq!(ships, by_name);
    assert_ne!(by_path, by_name);
    for file in ["./own", "own.toml"] {
        let (status, _, stderr) = show(&[file]);
        assert_eq!(status, 0, "{file}: {stderr}");
    }
    // A part of a policy has no name.
    let (_, _, stderr) = show(&["--as", "seccomp", "strict"]);
    assert!(!stderr.contains("there is no policy"), "{stderr}");
    let (status, _, stderr) = run(&["check", "default"]);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("nsexec-policy show default prints it"),
        "{stderr}"
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nsexec-policy"))
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PROFILE.as_bytes())
        .unwrap();
    let (status, out, err) = decoded(child.wait_with_output().unwrap());
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with("-: valid: a seccomp profile"), "{out}");
}
