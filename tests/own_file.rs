//! The helper's own file cannot be changed from inside a target (CVE-2019-5736).
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{NSEXEC, Target, succeed, temporary_directory, text};

/// What an attacker runs inside: it opens /proc/CHILD/exe of whoever executes a
/// program named `victim` in its namespaces, as a handle, and writes through
/// that once the process has gone.
const ATTACKER: &str = r#"
    while :; do
        for p in /proc/[0-9]*; do
            case "$(readlink $p/exe 2>/dev/null)" in
                */helper*|/helper|/|/memfd:*|*"(deleted)"*) ;;
                *) continue;;
            esac
            exec 5<$p/exe || continue
            echo caught > /tmp/caught
            while kill -0 ${p#/proc/} 2>/dev/null; do sleep 0.01; done
            for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                if echo overwritten 2>/dev/null > /proc/self/fd/5; then
                    echo written > /tmp/result; exit
                fi
                sleep 0.02
            done
            echo kept > /tmp/result; exit
        done
    done
"#;

/// A copy of the helper at a path of its own.
fn copy_of_helper(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("helper");
    fs::copy(NSEXEC, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs `helper` into the target while the attacker waits there; says whether
/// the attacker had its hand on the executable, and what became of it.
fn attack(target: &Target, helper: &mut Command) -> String {
    let root = target.root();
    let mut attacker = Command::new("nsenter")
        .args([
            "-t",
            &target.pid().to_string(),
            "-a",
            "/bin/sh",
            "-c",
            ATTACKER,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let _ = helper.stdin(Stdio::null()).output().unwrap();
    let mut result = String::new();
    for _ in 0..300 {
        result = fs::read_to_string(root.join("tmp/result")).unwrap_or_default();
        if !result.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let _ = attacker.kill();
    attacker.wait().unwrap();
    result
}

#[test]
fn a_handle_of_the_helper_cannot_be_written_through() {
    if support::left_out_without_root("a_handle_of_the_helper_cannot_be_written_through") {
        return;
    }
    let directory = temporary_directory("own-file");
    let helper = copy_of_helper(&directory);
    let before = fs::read(&helper).unwrap();
    let target =
        Target::with_script("printf '#!/proc/self/exe\\n' > /bin/evil; chmod +x /bin/evil;");
    // `admin` has no Landlock, so that the script's interpreter is the helper
    // itself, and the attacker can take its time.
    let mut command = Command::new(&helper);
    command.args([
        "-t",
        &target.pid().to_string(),
        "-a",
        "--policy",
        "admin",
        "--",
        "/bin/evil",
    ]);
    let _ = attack(&target, &mut command);
    assert_eq!(
        fs::read(&helper).unwrap(),
        before,
        "the helper's file was changed"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn under_the_default_policy_the_helper_cannot_be_executed_at_all() {
    if support::left_out_without_root(
        "under_the_default_policy_the_helper_cannot_be_executed_at_all",
    ) {
        return;
    }
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
    if support::left_out_without_root(
        "the_helper_runs_from_a_read_only_mount_or_from_sealed_memory",
    ) {
        return;
    }
    let target = Target::new();
    let plan = succeed(target.nsexec(["-a", "--dry-run", "--", "true"]));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["own_file"], "read-only mount");
    // Without CAP_SYS_ADMIN no mount can be cloned: the copy in memory is used.
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", NSEXEC]);
    command
        .args(["--dry-run", "-r=/", "--", "true"])
        .stdin(Stdio::null());
    let plan: serde_json::Value = serde_json::from_str(&succeed(command)).unwrap();
    assert_eq!(plan["own_file"], "sealed memory");
}
