//! The helper's own file cannot be changed from inside a target (CVE-2019-5736).
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{NSEXEC, Target, succeed, temporary_directory, text};

/// The attacker's script, as root with all capabilities in the target: it opens
/// /proc/CHILD/exe of each entering process, and writes through that descriptor after the
/// process has ended.
const ATTACKER: &str = r#"
    n=0
    while [ $n -lt 300 ]; do
        for p in /proc/[0-9]*; do
            grep -qE '^(helper|nsexec)$' $p/comm 2>/dev/null || continue
            exec 5<$p/exe || continue
            while kill -0 ${p#/proc/} 2>/dev/null; do usleep 10000; done
            # As long as somebody executes it, a file is not written to.
            tries=0
            while [ $tries -lt 100 ]; do
                if ( echo overwritten > /proc/self/fd/5 ) 2>/tmp/why; then
                    echo written; exit
                fi
                usleep 10000; tries=$((tries+1))
            done
            echo kept; cat /tmp/why; exit
        done
        usleep 10000; n=$((n+1))
    done
    echo missed
"#;

/// Runs a helper into the target, delayed before execve, while the attacker waits there.
/// Returns the attacker's output.
fn attack(target: &Target, helper: &Path, words: &[&str]) -> String {
    let attacker = Command::new("nsenter")
        .args([
            "-t",
            &target.pid().to_string(),
            "-a",
            "/bin/sh",
            "-c",
            ATTACKER,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut slow = Command::new("strace");
    slow.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=execve:delay_enter=700000",
        "--",
    ]);
    slow.arg(helper).args(words).stdin(Stdio::null());
    succeed(slow);
    text(&attacker.wait_with_output().unwrap().stdout)
}

/// A copy of a program in its own directory.
fn copy(program: &str, directory: &Path) -> PathBuf {
    let path = directory.join("helper");
    fs::copy(program, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_handle_of_the_helper_cannot_be_written_through() {
    support::needs!(root);
    let directory = temporary_directory("own-file");
    let helper = copy(NSEXEC, &directory);
    let before = fs::read(&helper).unwrap();
    let target = Target::new();
    let pid = target.pid().to_string();
    let refused = if support::features::has("detached read-only mounts") {
        "Read-only"
    } else {
        "Operation not permitted"
    };
    for policy in ["default", "admin"] {
        let words = ["-t", &pid, "-a", "--policy", policy, "--", "true"];
        let printed = attack(&target, &helper, &words);
        assert!(
            printed.starts_with("kept\n") && printed.contains(refused),
            "{policy}: {printed}"
        );
        assert!(
            fs::read(&helper).unwrap() == before,
            "{policy}: the file was changed"
        );
    }
    fs::remove_dir_all(directory).unwrap();
}

/// The same attack on a joiner without the protection succeeds.
#[test]
fn the_attack_on_an_unprotected_helper_succeeds() {
    support::needs!(root);
    let directory = temporary_directory("unprotected");
    let helper = directory.join("helper");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/joiner.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-o"]).arg(&helper).arg(source);
    succeed(gcc);
    let target = Target::new();
    let printed = attack(&target, &helper, &[&target.pid().to_string(), "/bin/true"]);
    assert_eq!(printed, "written\n");
    assert_eq!(fs::read(&helper).unwrap(), b"overwritten\n");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn under_the_default_policy_the_helper_cannot_be_executed_at_all() {
    // Without Landlock, sealed memory can be executed.
    support::needs!(root, feature("Landlock: refer"));
    let target = Target::with_script(
        "printf '#!/proc/self/exe\\n' > /bin/evil; chmod +x /bin/evil; ln -s /proc/self/exe /bin/itself;",
    );
    for program in ["/bin/evil", "/bin/itself"] {
        let output = support::run(target.nsexec(["-a", "--", program]));
        assert_eq!(
            output.status.code(),
            Some(126),
            "{program}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains("denied"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn the_helper_runs_from_a_read_only_mount_or_from_sealed_memory() {
    support::needs!(root);
    let target = Target::new();
    let plan = succeed(target.nsexec(["-a", "--dry-run", "--", "true"]));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let expected = if support::features::has("detached read-only mounts") {
        "detached read-only clone"
    } else {
        "sealed memory"
    };
    assert_eq!(plan["own_file"], expected);
    // Without CAP_SYS_ADMIN no mount can be cloned: the helper uses the copy in memory.
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", NSEXEC]);
    command
        .args(["--dry-run", "-r=/", "--", "true"])
        .stdin(Stdio::null());
    let plan: serde_json::Value = serde_json::from_str(&succeed(command)).unwrap();
    assert_eq!(plan["own_file"], "sealed memory");
}

/// An operator can check whether the helper is installed on a read-only mount, even if the
/// helper has protected itself.
#[test]
fn a_dry_run_reports_the_protection_of_the_file() {
    support::needs!(root);
    let directory = temporary_directory("origin");
    let mount = |options: &str| {
        let script = format!(
            "mount --make-rprivate / && mount -t tmpfs none {0} && cp {NSEXEC} {0}/helper &&
             {options} exec $prefix {0}/helper --net=/proc/self/ns/net --dry-run -- true",
            directory.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        let plan: serde_json::Value = serde_json::from_str(&succeed(command)).unwrap();
        plan["own_file"].as_str().unwrap().to_owned()
    };
    let place = directory.display();
    let installed = "installed on a read-only mount";
    let alone = if support::features::has("detached read-only mounts") {
        "detached read-only clone"
    } else {
        "sealed memory"
    };
    assert_eq!(mount(""), alone);
    assert_eq!(mount(&format!("mount -o remount,ro {place} &&")), installed);
    let file = format!(
        "mount --bind {place}/helper {place}/helper && mount -o remount,bind,ro {place}/helper &&"
    );
    assert_eq!(mount(&file), installed);
    // Without CAP_SYS_ADMIN no mount can be cloned.
    let prefix = "prefix='setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin' &&";
    assert_eq!(mount(prefix), "sealed memory");
    fs::remove_dir_all(&directory).unwrap();
}
