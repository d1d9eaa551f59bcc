//! 32-bit programs: they run if every filter lists their architecture, under the same
//! rules; otherwise nsexec refuses them with a message.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![cfg(target_arch = "x86_64")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::{Target, fail, run, succeed, temporary_directory, text};

/// Compiles the program into a target's root; `false`: this kernel executes no 32-bit
/// programs.
fn install(target: &Target) -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/i386.c");
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-m32",
        "-O1",
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-no-pie",
    ])
    .args(["-fno-stack-protector", "-fno-pic", "-o"])
    .arg(target.root().join("bin/i386"))
    .arg(source);
    succeed(gcc);
    let mut plain = Command::new("nsenter");
    plain.args(["-a", "-t", &target.pid().to_string(), "/bin/i386"]);
    run(plain).status.success()
}

/// The default policy, with i386 added to these of its filters.
fn policy(directory: &Path, listing: &[&str]) -> String {
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
        let mut content = fs::read_to_string(shipped.join(name)).unwrap();
        if listing.contains(&name) {
            content = content.replace(
                "\"SCMP_ARCH_X86_64\"",
                "\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"",
            );
        }
        // The capability distinguishes the errors of unshare and umount from a filter's
        // EPERM.
        let content = content.replace("\"CAP_KILL\",", "\"CAP_KILL\", \"CAP_SYS_ADMIN\",");
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let path = directory.join("default.toml");
    path.to_str().unwrap().to_owned()
}

/// A profile with the same rules, derived from the existing one.
type Profile = fn(&Path) -> String;

/// The profile allows one family of socket. A call with all arguments in memory cannot be
/// checked for that.
const ALLOWED_WITH_CONDITIONS: Profile = |shipped| {
    let shipped = fs::read_to_string(shipped).unwrap();
    let mut profile: serde_json::Value = serde_json::from_str(&shipped).unwrap();
    let entries = profile["syscalls"].as_array_mut().unwrap();
    entries.retain(|entry| entry["names"] != serde_json::json!(["socket"]));
    entries.push(serde_json::json!({
        "names": ["socket"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }],
    }));
    profile.to_string()
};

/// Everything is allowed except the named calls, in their native form.
const DENIED_BY_NAME: Profile = |_| {
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            { "names": ["unshare", "umount2", "socket"], "action": "SCMP_ACT_ERRNO" },
        ],
    });
    profile.to_string()
};

#[test]
fn a_32_bit_program_runs_where_every_filter_lists_it_and_is_refused_elsewhere() {
    let name = "a_32_bit_program_runs_where_every_filter_lists_it_and_is_refused_elsewhere";
    support::needs!(root);
    let target = Target::new();
    if !install(&target) {
        support::leave_out(name, "this kernel executes no 32-bit programs");
        return;
    }
    let directory = temporary_directory("i386");
    let (workload, ceiling) = ("seccomp/docker-default.json", "seccomp/ceiling.json");
    let execute = |policy: &str| target.nsexec(["-a", "--policy", policy, "--", "i386"]);

    for policy in ["default", "net", "strict", "admin"] {
        if !support::features::can_use(policy, name) {
            continue;
        }
        let message = fail(execute(policy), 126);
        assert!(message.contains("32-bit program"), "{policy}: {message}");
        assert!(message.contains("SCMP_ARCH_X86"), "{policy}: {message}");
    }
    for listing in [&[][..], &[workload], &[ceiling]] {
        let message = fail(execute(&policy(&directory, listing)), 126);
        assert!(message.contains("32-bit program"), "{listing:?}: {message}");
    }
    let both = policy(&directory, &[workload, ceiling]);
    // EPERM for calls that the profiles deny natively, in each 32-bit form. socket has
    // conditions that socketcall would bypass; listen has none: EBADF.
    let expected = "unshare -1\numount -1\nvsock -1\npacket -1\nlisten -9\n";
    assert_eq!(succeed(execute(&both)), expected);
    for own in [ALLOWED_WITH_CONDITIONS, DENIED_BY_NAME] {
        fs::write(directory.join(workload), own(&directory.join(workload))).unwrap();
        assert_eq!(succeed(execute(&both)), expected);
    }
    // A child of another program is not checked, but its program is refused as well.
    let child = ["-a", "--", "sh", "-c", "i386; echo $?"];
    let output = run(target.nsexec(child));
    assert_eq!(text(&output.stdout), "139\n", "{}", text(&output.stderr));
    fs::remove_dir_all(directory).unwrap();
}
