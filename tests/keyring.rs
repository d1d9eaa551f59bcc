//! The program does not inherit the caller's session keyring.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::protocol_a::{Exec, config};
use support::{NSEXEC, Target, succeed, temporary_directory};

/// Compiles the program for host and target.
fn install(target: &Target, directory: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys.c");
    let program = directory.join("keys");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-o"]).arg(&program).arg(source);
    succeed(gcc);
    fs::copy(&program, target.root().join("bin/keys")).unwrap();
    program
}

/// The policy `admin` with this value of `keyring`.
fn policy(directory: &Path, keyring: &str) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let manifest = fs::read_to_string(shipped.join("admin.toml")).unwrap();
    let manifest = manifest.replace("[process]", &format!("[process]\nkeyring = {keyring:?}"));
    fs::create_dir_all(directory.join("seccomp")).unwrap();
    for (name, text) in [
        (format!("{keyring}.toml"), manifest),
        (
            "seccomp/ceiling-host.json".to_owned(),
            fs::read_to_string(shipped.join("seccomp/ceiling-host.json")).unwrap(),
        ),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let path = directory.join(format!("{keyring}.toml"));
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_callers_keys_do_not_cross_unless_the_policy_hands_them_over() {
    support::needs!(root);
    let directory = temporary_directory("keyring");
    let target = Target::new();
    let program = install(&target, &directory);
    let pid = target.pid().to_string();
    let run = |words: &str| {
        let mut command = Command::new(&program);
        let script = format!("exec {words}");
        command.args(["hold", "sh", "-c", &script]);
        succeed({
            command.stdin(Stdio::null());
            command
        })
    };
    let read = |policy: &str| {
        run(&format!(
            "{NSEXEC} -t {pid} -a --policy {policy} -- keys read $KEY"
        ))
    };
    let control = run(&format!("nsenter -t {pid} -a keys read $KEY"));
    assert_eq!(control, "the caller's\n");
    assert_eq!(read(&policy(&directory, "caller")), "the caller's\n");
    for policy in ["admin", &policy(&directory, "new")] {
        assert_eq!(read(policy), "Permission denied\n", "{policy}");
    }
    let without_clone = format!("{NSEXEC} -t {pid} -m --no-fork --policy admin -- keys read $KEY");
    assert_eq!(run(&without_clone), "Permission denied\n");
    // The program can use its keyring.
    let add = run(&format!("{NSEXEC} -t {pid} -a --policy admin -- keys add"));
    assert_eq!(add, "\n");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn protocol_a_programs_have_their_own_keyring() {
    support::needs!(root);
    let directory = temporary_directory("keyring-a");
    let target = Target::new();
    let mut own = Command::new(install(&target, &directory));
    own.arg("id");
    let own = succeed(own);
    assert!(own.trim().parse::<i64>().unwrap() > 0, "{own}");
    let id = |policy: &str| {
        let mut exec = Exec::into(target.pid());
        exec.arguments = vec!["--policy".into(), policy.into(), "init".into()];
        let outcome = exec.run_config(&config(&["keys", "id"]));
        assert_eq!(outcome.answer, "", "{outcome:?}");
        outcome.stdout
    };
    let caller = policy(&directory, "caller");
    // Protocol A refuses admin's setting of capabilities.
    let manifest = fs::read_to_string(&caller).unwrap();
    let manifest = manifest.replace(
        "capabilities = \"inherit\"",
        "capabilities = \"initconfig\"",
    );
    fs::write(
        &caller,
        manifest.replace("mode = \"inherit\"", "mode = \"initconfig\""),
    )
    .unwrap();
    assert_eq!(id(&caller), own, "the control");
    let new = id("libcontainer-privileged");
    assert!(new.trim().parse::<i64>().unwrap() > 0, "{new}");
    assert_ne!(new, own);
    fs::remove_dir_all(directory).unwrap();
}
