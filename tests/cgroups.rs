//! The target's cgroups: joined by the policies that request them, reported if they cannot
//! be joined, refused if they are required.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::cgroup::Cgroup;
use support::tracer::{self, Action};
use support::{NSEXEC, Target, run, succeed, temporary_directory, text};

fn in_cgroup() -> (Cgroup, Target) {
    let cgroup = Cgroup::new().expect("a cgroup hierarchy that can be written to");
    let target = Target::new();
    cgroup.add(target.pid());
    (cgroup, target)
}

/// All namespaces except the cgroup namespace, so that the program sees the caller's paths.
const NAMESPACES: [&str; 3] = ["-m", "-p", "-u"];

#[test]
fn a_policy_puts_the_program_into_the_targets_cgroups() {
    support::needs!(root);
    let (cgroup, target) = in_cgroup();
    let seen = |policy: &str, more: &[&str]| {
        // Without a clone the program stays in the caller's pid namespace and sees its
        // /proc.
        let namespaces = match more {
            ["--no-fork"] => &["-u"][..],
            _ => &NAMESPACES,
        };
        let mut command = target.nsexec(namespaces);
        command.args(["--policy", policy]).args(more);
        command.args(["--", "cat", "/proc/self/cgroup"]);
        succeed(command).contains(cgroup.name())
    };
    const NAME: &str = "a_policy_puts_the_program_into_the_targets_cgroups";
    for policy in ["default", "net", "strict"] {
        if !support::features::can_use(policy, NAME) {
            continue;
        }
        assert!(seen(policy, &[]), "{policy}");
        assert!(seen(policy, &["--no-fork"]), "{policy}, without a clone");
    }
    assert!(!seen("admin", &[]), "admin leaves the caller's");
    assert!(seen("admin", &["-c"]), "-c requests them");
}

/// The kernel allows moving a process into another cpuset only with all of the process's
/// capabilities, or with CAP_SYS_NICE.
#[test]
fn a_targets_own_cpuset_is_joined() {
    const NAME: &str = "a_targets_own_cpuset_is_joined";
    support::needs!(root);
    let Some(cgroup) = Cgroup::with_cpuset() else {
        support::leave_out(NAME, "the cpuset controller is not enabled");
        return;
    };
    let target = Target::new();
    cgroup.add(target.pid());
    for policy in ["default", "admin"] {
        let mut command = target.nsexec(NAMESPACES);
        command.args(["-c", "--policy", policy, "--", "cat", "/proc/self/cgroup"]);
        assert!(succeed(command).contains(cgroup.name()), "{policy}");
    }
}

/// Each time the helper has read the target's list of cgroups, and up to `moves` times, the
/// target moves on to a new cgroup, and the one that was read is removed. Returns the
/// output of nsexec and the name of the last cgroup.
fn moving(moves: usize) -> (tracer::Ended, String, String) {
    let mut cgroup = Cgroup::new().expect("a cgroup hierarchy that can be written to");
    let target = Target::new();
    cgroup.add(target.pid());
    let directory = temporary_directory("cgroups-moving");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let list = format!("/proc/{}/cgroup", target.pid());
    let (mut is_open, mut moved) = (false, 0);
    let pid = target.pid().to_string();
    let words = [NSEXEC, "-t", &pid, "-m", "-p", "-u"];
    let words = [&words[..], &["--", "/bin/cat", "/proc/self/cgroup"]].concat();
    let ended = tracer::run(&words, open("out"), open("err"), |stop| {
        if stop.place != 0 || moved == moves {
            return Action::Go;
        }
        let descriptors = fs::read_dir(format!("/proc/{}/fd", stop.pid));
        let mut descriptors = descriptors.into_iter().flatten().flatten();
        let was_open = is_open;
        is_open = descriptors
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(&list)));
        if was_open && !is_open {
            let next = Cgroup::new().unwrap();
            next.add(target.pid());
            cgroup = next;
            moved += 1;
        }
        Action::Go
    });
    let read = |name: &str| text(&fs::read(directory.join(name)).unwrap());
    let printed = read("out") + &read("err");
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(moved, moves, "{printed}");
    (ended, printed, cgroup.name().to_owned())
}

/// The policy allows the exec if the caller cannot join the target's cgroups. If a target
/// could cause that, the program would run without the target's limits.
#[test]
fn a_target_that_moves_on_does_not_keep_the_program_out_of_its_cgroups() {
    support::needs!(root);
    let (ended, printed, last) = moving(1);
    assert_eq!(ended.status, 0, "{printed}");
    assert!(printed.contains(&last), "{printed}");
    let (ended, printed, _) = moving(10);
    assert_eq!(ended.status, 125, "{printed}");
    assert!(printed.contains("changes its cgroups"), "{printed}");
}

/// nsexec where no cgroup hierarchy is mounted.
fn without_cgroups(target: &Target, policy: &str, rest: &str) -> std::process::Output {
    let pid = target.pid();
    let script = format!(
        "umount -l -R /sys/fs/cgroup && exec {NSEXEC} -t {pid} -m -p -u --policy {policy} {rest}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    run(command)
}

#[test]
fn cgroups_that_cannot_be_joined_are_reported_or_refused() {
    support::needs!(root);
    let (cgroup, target) = in_cgroup();
    let plan = without_cgroups(&target, "default", "--dry-run -- true");
    assert!(plan.status.success(), "{}", text(&plan.stderr));
    let plan: Value = serde_json::from_str(&text(&plan.stdout)).unwrap();
    assert_eq!(plan["cgroups"]["action"], "not-joined", "{plan}");
    let reason = plan["cgroups"]["reason"].as_str().unwrap();
    assert!(reason.contains("not below a mounted hierarchy"), "{reason}");
    let ran = without_cgroups(&target, "default", "-- cat /proc/self/cgroup");
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(!text(&ran.stdout).contains(cgroup.name()));
    let required = without_cgroups(&target, "default", "-c -- true");
    assert_eq!(required.status.code(), Some(125));

    // The same policy without best_effort.
    let directory = temporary_directory("cgroups");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for part in ["seccomp", "landlock"] {
        fs::create_dir_all(directory.join(part)).unwrap();
    }
    for name in [
        "default.toml",
        "seccomp/docker-default.json",
        "seccomp/ceiling.json",
        "landlock/default.toml",
        "landlock/ceiling.toml",
    ] {
        let content = fs::read_to_string(shipped.join(name)).unwrap();
        let content = match content.split_once("\n[[best_effort]]\nlayer = \"cgroup\"") {
            Some((before, _)) => before.to_owned(),
            None => content,
        };
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let policy = directory.join("default.toml");
    let refused = without_cgroups(&target, policy.to_str().unwrap(), "-- true");
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("not below a mounted hierarchy"));
    fs::remove_dir_all(directory).unwrap();
}
