//! Landlock rule files of both forms in the kernel: flags, and paths with variables.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::trace::{name, trace};
use support::{Target, run, succeed, temporary_directory, text};

const MANIFEST: &str = r#"
seccomp = "filter.json"
landlock = "rules.json"

[ceiling]
seccomp = "filter.json"
landlock = "ceiling.toml"

[process]
capabilities = "none"
no_new_privs = true
keep_groups = false

[process.environment]
mode = "login"

[tty]
session = "caller"

[fds]
preserve = false
"#;
const FILTER: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW",
  "syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}"#;
const CEILING: &str = r#"
abi = 7
[[variable]]
name = "all"
literal = ["/"]
[[ruleset]]
handled_access_fs = ["execute", "refer"]
[[path_beneath]]
allowed_access = ["execute", "refer"]
parent = ["${all}"]
[x-nsexec]
log = ["same_exec_off"]
"#;
const RULES: &str = r#"{
  "abi": 7,
  "variable": [{ "name": "where", "literal": ["bin", "tmp"] }],
  "ruleset": [{ "handledAccessFs": ["execute"] }],
  "pathBeneath": [{ "allowedAccess": ["execute"], "parent": ["/${where}/allowed", "/bin"] }],
  "x-nsexec": { "log": ["subdomains_off", "new_exec_on"] }
}"#;

struct Policy(PathBuf);

impl Policy {
    fn new() -> Self {
        let directory = temporary_directory("rules");
        for (name, content) in [
            ("policy.toml", MANIFEST),
            ("filter.json", FILTER),
            ("ceiling.toml", CEILING),
            ("rules.json", RULES),
        ] {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> String {
        self.0.join("policy.toml").to_str().unwrap().to_owned()
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The flags with which the helper and the other processes of an exec enter their domains.
fn flags(options: &[&str]) -> (Vec<String>, Vec<String>) {
    let target = Target::new();
    let policy = Policy::new();
    let path = policy.path();
    let arguments = [&["-a", "--policy", &path], options, &["--", "true"]].concat();
    let calls = trace(&target, &arguments);
    let helper = calls[0].0.clone();
    let of = |own: bool| {
        calls
            .iter()
            .filter(|(pid, call)| (*pid == helper) == own && name(call) == "landlock_restrict_self")
            // This call has to fail: it shows that the kernel executes it.
            .filter(|(_, call)| !call.contains("(-1,"))
            // The second half of a line that strace split because of another process.
            .filter(|(_, call)| !call.starts_with("<... "))
            .map(|(_, call)| {
                let (_, arguments) = call.split_once(", ").expect("two arguments");
                let end = [')', ' '];
                arguments.split(end).next().expect("a flag").to_owned()
            })
            .collect()
    };
    (of(true), of(false))
}

#[test]
fn log_flags_reach_the_kernel() {
    // Log flags require Landlock ABI 7.
    support::needs!(root, feature("Landlock: log flags"));
    let (helper, child) = flags(&[]);
    assert_eq!(helper, ["0x1", "0"], "the ceiling, the supervisor");
    assert_eq!(child, ["0x6"], "the program");
}

/// A refusal that the policy does not log could not be explained.
#[test]
fn an_explained_run_is_logged_whatever_the_policy_says() {
    // Log flags require Landlock ABI 7.
    support::needs!(root, feature("Landlock: log flags"));
    let (helper, child) = flags(&["--explain"]);
    assert_eq!(helper, ["0x2", "0"], "the ceiling, the supervisor");
    assert_eq!(child, ["0x2"], "the program");
}

#[test]
fn the_plan_contains_log_flags() {
    // Log flags require Landlock ABI 7.
    support::needs!(root, feature("Landlock: log flags"));
    let target = Target::new();
    let policy = Policy::new();
    let plan = target.nsexec(["-a", "--dry-run", "--policy", &policy.path(), "--", "true"]);
    let plan: Value = serde_json::from_str(&succeed(plan)).unwrap();
    let of = |stage: &str| plan["layers"][stage]["landlock"]["log"].clone();
    assert_eq!(of("ceiling"), json!(["same_exec_off"]));
    assert_eq!(of("workload"), json!(["subdomains_off", "new_exec_on"]));
    let absent = &plan["layers"]["workload"]["landlock"]["absent"];
    assert_eq!(absent, &json!(["/bin/allowed", "/tmp/allowed"]));
}

#[test]
fn each_path_of_a_variable_is_granted() {
    // Log flags require Landlock ABI 7.
    support::needs!(root, feature("Landlock: log flags"));
    let target = Target::with_script(
        "for place in allowed denied; do mkdir /tmp/$place; cp /bin/busybox /tmp/$place; done",
    );
    let policy = Policy::new();
    let execute = |place: &str| {
        let mut command = target.nsexec(["-a", "--policy", &policy.path(), "--"]);
        command.args(["sh", "-c", &format!("exec /tmp/{place}/busybox true")]);
        run(command)
    };
    let allowed = execute("allowed");
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));
    let denied = execute("denied");
    assert_eq!(denied.status.code(), Some(126), "{}", text(&denied.stderr));
}

/// Objects that a hostile target puts in the place of a device on which `strict` and
/// `default` grant rights: a script, the path, and the plan's message about it.
const LIES: [(&str, &str, &str); 8] = [
    (
        "umount /dev/pts; rmdir /dev/pts; ln -s / /dev/pts",
        "/dev/pts",
        "symbolic link",
    ),
    (
        "umount /dev/pts; rmdir /dev/pts; ln -s .. /dev/pts",
        "/dev/pts",
        "symbolic link",
    ),
    ("umount /dev/pts", "/dev/pts", "not a devpts"),
    (
        "umount /dev/pts; mount --bind / /dev/pts",
        "/dev/pts",
        "not a devpts",
    ),
    (
        "umount /dev/null; rm /dev/null; ln -s /etc/group /dev/null",
        "/dev/null",
        "symbolic link",
    ),
    (
        "umount /dev/null; mount --bind /etc/group /dev/null",
        "/dev/null",
        "device 1:3",
    ),
    (
        "umount /dev/full; rm /dev/full; mknod /dev/full c 1 1",
        "/dev/full",
        "device 1:7",
    ),
    (
        "mkdir /other; mount --move /dev /other; rmdir /dev; ln -s other /dev",
        "/dev/null",
        "symbolic link",
    ),
];

#[test]
fn a_target_does_not_choose_what_is_granted() {
    support::needs!(root, feature("Landlock: scopes"));
    for (script, path, printed) in LIES {
        let target = Target::with_script(script);
        let write = |policy: &str| {
            let script = "echo written >>/etc/group";
            let words = ["-a", "--policy", policy, "--", "sh", "-c", script];
            run(target.nsexec(words)).status.success()
        };
        let group = || fs::read_to_string(target.root().join("etc/group")).unwrap();
        assert!(!write("strict"), "{script}");
        assert!(!group().contains("written"), "{script}");
        assert!(write("admin"), "the control: {script}");
        assert!(group().contains("written"), "{script}");

        let plan = succeed(target.nsexec(["-a", "--policy", "strict", "--dry-run", "--", "true"]));
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let refused = &plan["layers"]["workload"]["landlock"]["not_granted"];
        let of_path = |entry: &&Value| entry["path"] == path;
        let entry = refused.as_array().unwrap().iter().find(of_path);
        let reason = entry.expect("the path")["reason"].as_str().unwrap();
        let expected = printed.replace("not a devpts", "not a devpts file system");
        assert!(reason.contains(&expected), "{script}: {reason}");
    }
}

/// `default` allows device ioctls on terminals only.
#[test]
fn a_device_under_the_name_of_a_terminal_gets_no_ioctl() {
    support::needs!(root, feature("Landlock: device ioctls"));
    let target = Target::with_script("umount /dev/tty; rm /dev/tty; mknod /dev/tty c 1 7");
    let plan = succeed(target.nsexec(["-a", "--dry-run", "--", "true"]));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let landlock = &plan["layers"]["workload"]["landlock"];
    let refused = landlock["not_granted"].as_array().unwrap();
    let paths: Vec<&str> = refused
        .iter()
        .filter_map(|entry| entry["path"].as_str())
        .collect();
    // The second is a symbolic link in this target, to a file in /dev/pts: it needs no
    // warning.
    assert_eq!(paths, ["/dev/tty", "/dev/ptmx"]);
    assert_eq!(landlock["absent"], json!([]));

    let ioctl = |policy: &str| {
        let script = "stty -F /dev/tty 2>&1";
        let words = ["-a", "--policy", policy, "--", "sh", "-c", script];
        text(&run(target.nsexec(words)).stdout)
    };
    assert!(
        ioctl("default").contains("Permission denied"),
        "{}",
        ioctl("default")
    );
    assert!(
        ioctl("admin").contains("nappropriate ioctl"),
        "{}",
        ioctl("admin")
    );
}
