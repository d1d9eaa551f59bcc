//! The layers are in force, in order, and as the policy requires (H4, H5, H6).
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::protocol_a::{config, hand_over};
use support::trace::{name, trace};
use support::{NSEXEC, Target, fail, run, succeed, temporary_directory, text};

#[test]
fn the_helper_is_locked_down_before_it_clones() {
    support::needs!(root, feature("Landlock: refer"));
    let target = Target::new();
    let calls = trace(&target, &["-a", "--", "true"]);
    let helper = &calls[0].0;
    let own: Vec<&str> = calls
        .iter()
        .filter(|(pid, _)| pid == helper)
        .map(|(_, call)| name(call))
        .collect();
    let position = |wanted: &str| own.iter().position(|call| *call == wanted);
    // The first clones are the finder and the verifier, which stay outside.
    let cloned = own.iter().rposition(|call| *call == "clone");
    let cloned = cloned.expect("a clone");
    let landlock = position("landlock_restrict_self").expect("Landlock");
    let seccomp = position("seccomp").expect("seccomp");
    let joined = own
        .iter()
        .rposition(|call| *call == "setns")
        .expect("a join");
    assert!(
        joined < landlock && landlock < seccomp && seccomp < cloned,
        "{own:?}"
    );
    assert_eq!(position("clone3"), None, "{own:?}");
    // The parent drops its remaining rights after the clone, before it releases the child.
    let later = &own[cloned..];
    // The last message releases the child.
    let released = later.iter().rposition(|call| *call == "sendto");
    for call in ["capset", "landlock_restrict_self", "seccomp"] {
        let given_up = later.iter().position(|other| *other == call);
        assert!(
            given_up.is_some() && given_up < released,
            "{call}: {later:?}"
        );
    }
}

/// The process that executes the program.
fn child_of(calls: &[(String, String)]) -> String {
    let helper = &calls[0].0;
    let executes = |(pid, call): &&(String, String)| pid != helper && name(call) == "execve";
    let found = calls.iter().find(executes);
    found.expect("an execve").0.clone()
}

#[test]
fn the_childs_last_calls_are_close_range_and_seccomp() {
    support::needs!(root, feature("Landlock: refer"));
    let target = Target::new();
    let calls = trace(&target, &["-a", "--", "true"]);
    let child: Vec<&str> = calls
        .iter()
        .filter(|(pid, _)| *pid == child_of(&calls))
        .map(|(_, call)| name(call))
        .collect();
    let exec = child
        .iter()
        .position(|call| *call == "execve")
        .expect("an execve");
    // fcntl(2) checks that close_range was executed.
    assert_eq!(
        child[exec - 3..exec],
        ["close_range", "fcntl", "seccomp"],
        "{child:?}"
    );
    let landlock = child
        .iter()
        .position(|call| *call == "landlock_restrict_self")
        .unwrap();
    assert!(landlock < exec - 3);
    // From here to exec the child allocates nothing.
    for call in &child[..exec] {
        assert!(
            !["brk", "mmap", "munmap", "mremap", "futex"].contains(call),
            "{child:?}"
        );
    }
}

/// A line of /proc/self/status of a program that runs under `policy`.
fn state(target: &Target, options: &[&str]) -> std::collections::BTreeMap<String, String> {
    let mut command = target.nsexec(["-a"]);
    command
        .args(options)
        .args(["--", "cat", "/proc/self/status"]);
    let pair = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.to_owned(), value.trim().to_owned()))
    };
    succeed(command).lines().filter_map(pair).collect()
}

const NONE: &str = "0000000000000000";
/// Docker's capabilities without CAP_MKNOD.
const DOCKER: &str = "00000000a00425fb";

#[test]
fn the_program_has_what_its_policy_gives_and_no_more() {
    support::needs!(root);
    let target = Target::new();
    let all = {
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let line = own
            .lines()
            .find(|line| line.starts_with("CapEff"))
            .unwrap()
            .to_owned();
        line.split_once('\t').unwrap().1.to_owned()
    };
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    for (policy, expected, no_new_privs, filters) in [
        ("default", [NONE, DOCKER, DOCKER, DOCKER, NONE], "1", "2"),
        ("strict", [NONE; 5], "1", "2"),
        ("admin", [NONE, &all, &all, &all, NONE], "0", "1"),
    ] {
        if !support::features::can_use(policy, "the_program_has_what_its_policy_gives_and_no_more")
        {
            continue;
        }
        let state = state(&target, &["--policy", policy]);
        let found = sets.map(|set| state[set].as_str());
        assert_eq!(found, expected, "{policy}");
        assert_eq!(state["NoNewPrivs"], no_new_privs, "{policy}");
        assert_eq!(state["Seccomp"], "2", "{policy}");
        assert_eq!(state["Seccomp_filters"], filters, "{policy}");
    }
    let ann = state(&target, &["-S", "1000", "-G", "1000"]);
    assert_eq!(
        sets.map(|set| ann[set].as_str()),
        [NONE, NONE, NONE, DOCKER, NONE]
    );
}

#[test]
fn no_descriptor_crosses_but_those_declared() {
    support::needs!(root);
    let target = Target::new();
    let list = |declared: &[&str], handed: usize| {
        let mut command = target.nsexec(["-a"]);
        command
            .args(declared)
            .args(["--", "sh", "-c", "ls /proc/$$/fd; true"]);
        let files = (0..handed)
            .map(|_| File::open("/dev/null").unwrap().into())
            .collect();
        hand_over(&mut command, files);
        command
    };
    assert_eq!(succeed(list(&[], 0)), "0\n1\n2\n");
    assert_eq!(succeed(list(&[], 5)), "0\n1\n2\n");
    assert_eq!(
        succeed(list(&["--preserve-fds", "2"], 5)),
        "0\n1\n2\n3\n4\n"
    );
    assert_eq!(
        succeed(list(&["--preserve-fds", "5"], 5)),
        "0\n1\n2\n3\n4\n5\n6\n7\n"
    );
    let message = fail(list(&["--preserve-fds", "6"], 5), 125);
    assert!(message.contains("descriptor 8 is not open"), "{message}");
    let message = fail(list(&["--preserve-fds", "1"], 0), 125);
    assert!(message.contains("descriptor 3 is not open"), "{message}");
}

#[test]
fn closed_standard_descriptors_are_made_valid() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    let script =
        format!("exec {NSEXEC} -t {pid} -a -- sh -c 'exec >&2; ls /proc/$$/fd; true' <&- >&-");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stderr(Stdio::piped());
    let output = run(command);
    assert_eq!(text(&output.stderr), "0\n1\n2\n");
}

#[test]
fn the_ceiling_refuses_what_a_joined_program_must_not_do() {
    support::needs!(root);
    let target = Target::new();
    let refused = [
        "unshare -m true",
        "unshare -U true",
        "mount -t tmpfs tmpfs /tmp",
        "umount /proc",
        "nsenter -t 1 -u true",
        "chroot / /bin/true; mknod /tmp/disk b 8 0 && cat /tmp/disk",
        "reboot -f",
    ];
    for script in refused {
        let output = run(target.nsexec(["-a", "--policy", "default", "--", "sh", "-c", script]));
        assert!(
            !output.status.success(),
            "{script}: {}",
            text(&output.stdout)
        );
    }
    // The policy admin allows mounts and tracing, and no access to the host.
    let mounts = [
        "-a",
        "--policy",
        "admin",
        "--",
        "sh",
        "-c",
        "mount -t tmpfs t /tmp && umount /tmp",
    ];
    succeed(target.nsexec(mounts));
    let reboot = ["-a", "--policy", "admin", "--", "reboot", "-f"];
    assert!(!run(target.nsexec(reboot)).status.success());
}

#[test]
fn default_makes_no_node_of_a_device() {
    support::needs!(root);
    let target = Target::new();
    let make = |policy: &str, node: &str| {
        let script = format!("mknod /tmp/{policy} {node} && rm /tmp/{policy}");
        let words = ["-a", "--policy", policy, "--", "sh", "-c", script.as_str()];
        run(target.nsexec(words)).status.success()
    };
    // A loop device of the host, and its memory.
    for node in ["b 7 0", "c 1 1"] {
        assert!(make("admin", node), "the control makes {node}");
        for policy in ["default", "net", "strict"] {
            assert!(!make(policy, node), "{policy} makes {node}");
        }
    }
    assert!(make("default", "p"), "a FIFO is not a device");
}

#[test]
fn net_configures_the_targets_network_and_default_does_not() {
    support::needs!(root);
    let target = Target::new();
    let set = |policy: &str, state: &str| {
        let words = [
            "-n", "--policy", policy, "--", "busybox", "ip", "link", "set",
        ];
        let mut command = target.nsexec(words);
        command.args(["dev", "lo", state]);
        run(command)
    };
    let refused = set("default", "up");
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("not permitted"));
    for state in ["up", "down"] {
        let done = set("net", state);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
}

#[test]
fn landlock_denies_execution_outside_the_root() {
    support::needs!(root, feature("Landlock: refer"));
    let directory = temporary_directory("outside");
    fs::copy("/bin/busybox", directory.join("busybox")).unwrap();
    let target = Target::new();
    // The caller passes a descriptor of a directory of the host: the program can read files
    // in it, but not execute them.
    let script = "test -r /proc/self/fd/3/busybox && exec /proc/self/fd/3/busybox true";
    let mut command = target.nsexec(["-a", "--preserve-fds", "1", "--", "sh", "-c", script]);
    hand_over(&mut command, vec![File::open(&directory).unwrap().into()]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(126), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("Permission denied"),
        "{}",
        text(&output.stderr)
    );
    let mut admin = target.nsexec(["-a", "--policy", "admin", "--preserve-fds", "1", "--"]);
    admin.args(["sh", "-c", script]);
    hand_over(&mut admin, vec![File::open(&directory).unwrap().into()]);
    assert!(
        run(admin).status.success(),
        "the control: without Landlock it executes"
    );
    fs::remove_dir_all(directory).unwrap();
}

/// Landlock's rule for ptrace access, which README describes.
#[test]
fn under_a_domain_the_files_of_the_targets_processes_are_out_of_reach() {
    support::needs!(root, feature("Landlock: refer"));
    let name = "under_a_domain_the_files_of_the_targets_processes_are_out_of_reach";
    let target = Target::new();
    let open = |policy: &str, script: &str| {
        let words = ["-a", "--policy", policy, "--", "sh", "-c", script];
        let output = run(target.nsexec(words));
        (output.status.success(), text(&output.stderr))
    };
    for script in [
        "cat /proc/1/fd/1",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "ls /proc/1/cwd/",
        "cat /proc/1/exe >/dev/null",
    ] {
        assert!(open("admin", script).0, "the control: {script}");
        for policy in ["default", "net", "strict"] {
            if !support::features::can_use(policy, name) {
                continue;
            }
            let (done, message) = open(policy, script);
            assert!(
                !done && message.contains("Permission denied"),
                "{policy}: {script}: {message}"
            );
        }
    }
}

#[test]
fn strict_reads_and_does_not_write() {
    support::needs!(root, feature("Landlock: scopes"));
    let target = Target::new();
    let strict =
        |script: &str| run(target.nsexec(["-a", "--policy", "strict", "--", "sh", "-c", script]));
    assert_eq!(
        text(&strict("cat /etc/group | head -1").stdout),
        "root:x:0:\n"
    );
    assert!(strict("echo x > /dev/null").status.success());
    assert!(!strict("echo x > /tmp/made").status.success());
    assert!(!strict("nc -l -p 1 127.0.0.1").status.success());
    assert!(!target.root().join("tmp/made").exists());
}

#[test]
fn the_status_lines_contain_the_plan_and_the_state_in_force() {
    support::needs!(root, feature("Landlock: refer"));
    let target = Target::new();
    let directory = temporary_directory("status");
    let path = directory.join("lines");
    let mut command = target.nsexec(["-a", "--status-fd", "3", "--", "sh", "-c", "exit 9"]);
    hand_over(&mut command, vec![File::create(&path).unwrap().into()]);
    assert_eq!(run(command).status.code(), Some(9));
    let lines: Vec<Value> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    fs::remove_dir_all(directory).unwrap();
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["plan", "started", "exited"]);
    assert_eq!(lines[0]["policy"], "default");
    for stage in ["ceiling", "workload"] {
        for layer in ["seccomp", "landlock"] {
            let planned = &lines[0]["layers"][stage][layer];
            assert_eq!(planned, &lines[1]["layers"][stage][layer]);
            assert_eq!(planned["in_force"], true, "{stage} {layer}");
        }
    }
    let dropped = &lines[1]["layers"]["workload"]["landlock"]["dropped"];
    let dropped: Vec<&str> = dropped
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["right"].as_str().unwrap())
        .collect();
    let lacked: Vec<&str> = [
        ("Landlock: device ioctls", "ioctl_dev"),
        ("Landlock: scopes", "abstract_unix_socket"),
    ]
    .into_iter()
    .filter(|(feature, _)| !support::features::has(feature))
    .map(|(_, right)| right)
    .collect();
    assert_eq!(dropped, lacked);
    let observed = &lines[1]["observed"];
    if !observed.is_null() {
        assert_eq!(observed["no_new_privs"], true);
        assert_eq!(observed["seccomp"], 2);
        assert_eq!(observed["cap_effective"], DOCKER);
    }
    assert_eq!(lines[2]["status"], 9);
}

#[test]
fn a_missing_layer_is_reported() {
    support::needs!(root);
    let target = Target::new();
    let plan = succeed(target.nsexec(["-a", "--policy", "admin", "--dry-run", "--", "true"]));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let landlock = &plan["layers"]["workload"]["landlock"];
    assert_eq!(landlock["in_force"], false);
    assert!(
        landlock["left_out"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{plan}"
    );
}

#[test]
fn the_supervisor_keeps_the_least() {
    support::needs!(root);
    let target = Target::new();
    let mut child = target
        .nsexec(["-a", "--", "sh", "-c", "echo ready; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let kill = "0000000000000020";
    let expected = [
        ("CapInh", NONE),
        ("CapPrm", kill),
        ("CapEff", kill),
        ("CapBnd", kill),
        ("CapAmb", NONE),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Seccomp_filters", "2"),
    ];
    for (name, value) in expected {
        assert_eq!(field(name), value, "{name}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn protocol_a_enforces_its_layers() {
    support::needs!(root);
    let target = Target::new();
    let script = "grep -E 'NoNewPrivs|Seccomp:|Seccomp_filters|CapInh|CapAmb' /proc/self/status | tr -d '\\t'; unshare -m true || echo refused";
    let outcome =
        support::protocol_a::Exec::into(target.pid()).run_config(&config(&["sh", "-c", script]));
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.pop(), Some("refused"));
    assert_eq!(
        lines,
        [
            "CapInh:0000000000000000",
            "CapAmb:0000000000000000",
            "NoNewPrivs:0",
            "Seccomp:2",
            "Seccomp_filters:1",
        ]
    );
}
