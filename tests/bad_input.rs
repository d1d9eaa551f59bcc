//! H9: invalid input on the command line and in policies leads to a clear error and exit
//! status 125, and nothing is started. `protocol_a.rs` tests protocol A.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{NSEXEC, Target, fail, succeed, temporary_directory};

/// Runs nsexec with these arguments and a program that would create a file.
fn refused(target: &Target, words: &[&str]) -> String {
    let mut command = Command::new(NSEXEC);
    command
        .args(words)
        .args(["--", "sh", "-c", "echo started; touch /tmp/mark"]);
    command.stdin(Stdio::null());
    let message = fail(command, 125);
    assert!(
        !target.root().join("tmp/mark").exists(),
        "{words:?}: something was started"
    );
    assert_eq!(message.lines().count(), 1, "{words:?}: {message}");
    message
}

#[test]
fn wrong_targets_are_refused() {
    support::needs!(root);
    let target = Target::new();
    let dead = {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().to_string()
    };
    let recycled = format!("{}:{}", target.pid(), target.inode().unwrap_or(1) + 1);
    let is_recycled = match target.inode() {
        Some(_) => "not the one that was meant",
        None => "processes have no inode numbers on this kernel",
    };
    for (pid, expected) in [
        ("0", "from 1 to 2147483647"),
        ("-1", "only decimal digits"),
        ("012", "no leading zero"),
        ("+3", "only decimal digits"),
        ("2147483648", "from 1 to 2147483647"),
        ("", "a number is missing"),
        (" 1", "only decimal digits"),
        ("1:", "a number is missing"),
        (dead.as_str(), "there is no process"),
        (recycled.as_str(), is_recycled),
        ("2", "is a kernel thread"),
    ] {
        let message = refused(&target, &["-a", "-t", pid]);
        assert!(message.contains(expected), "{pid}: {message}");
    }
}

#[test]
fn wrong_options_are_refused() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    let cases: [(&[&str], &str); 17] = [
        (&["-Q"], "unknown option -Q"),
        (&["--polic=strict"], "did you mean --policy?"),
        (&["-t", "1"], "--target is given twice"),
        (&["-n", "-n"], "--net is given twice"),
        (&["-w", "-W", "/"], "exclude each other"),
        (&["-S", "root"], "only decimal digits"),
        (&["-S", ""], "a number is missing"),
        (&["-S", "1 "], "only decimal digits"),
        (&["-G", "4294967295"], "from 0 to 4294967294"),
        (&["-n", "--keep-caps"], "requires --user"),
        (&["--net="], "invalid value"),
        (&["--net=/nowhere"], "/nowhere"),
        (&["-N", "999"], "descriptor 999"),
        (&["-a", "-r=/nowhere"], "/nowhere"),
        (&["-a", "-w=/nowhere"], "/nowhere"),
        (&["-a", "--status-fd", "99"], "--status-fd 99"),
        (&["-a", "--preserve-fds", "3"], "descriptor 3 is not open"),
    ];
    for (options, expected) in cases {
        let words: Vec<&str> = ["-t", &pid]
            .into_iter()
            .chain(options.iter().copied())
            .collect();
        let message = refused(&target, &words);
        assert!(message.contains(expected), "{options:?}: {message}");
    }
    assert!(refused(&target, &["-n"]).contains("give -t PID"));
    assert!(refused(&target, &[]).contains("give -t PID"));
    let own = refused(&target, &["-t", &pid, "-U"]);
    assert!(own.contains("the caller is in it already"), "{own}");
}

/// A directory with a valid policy, which the tests modify.
struct Policy {
    directory: PathBuf,
}

const MANIFEST: &str = r#"
seccomp = "filter.json"
landlock = "rules.toml"

[ceiling]
seccomp = "filter.json"
landlock = "rules.toml"

[process]
capabilities = ["CAP_KILL"]
no_new_privs = true
keep_groups = false
umask = 0o027

[process.environment]
mode = "login"
pass = ["TERM"]

[tty]
session = "caller"

[fds]
preserve = false
"#;
const FILTER: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW",
  "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#;
const RULES: &str = "abi = 2\n[[ruleset]]\nhandled_access_fs = [\"execute\", \"refer\"]\n\
    [[path_beneath]]\nallowed_access = [\"execute\", \"refer\"]\nparent = [\"/\"]\n";

impl Policy {
    fn new() -> Self {
        let policy = Self {
            directory: temporary_directory("policy"),
        };
        policy.write("policy.toml", MANIFEST.as_bytes());
        policy.write("filter.json", FILTER.as_bytes());
        policy.write("rules.toml", RULES.as_bytes());
        policy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn refused(&self, target: &Target) -> String {
        let path = self.path("policy.toml");
        let pid = target.pid().to_string();
        refused(
            target,
            &["-t", &pid, "-a", "--policy", path.to_str().unwrap()],
        )
    }

    /// The error for the manifest with `from` replaced by `to`.
    #[track_caller]
    fn broken(&self, target: &Target, from: &str, to: &str) -> String {
        assert!(MANIFEST.contains(from), "{from}");
        self.write("policy.toml", MANIFEST.replacen(from, to, 1).as_bytes());
        self.refused(target)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_policy_from_a_file_is_in_force() {
    support::needs!(root, feature("Landlock: refer"));
    let target = Target::new();
    let policy = Policy::new();
    let script = "mkdir /tmp/made 2>&1; umask; grep -E 'CapEff|Seccomp_filters' /proc/self/status";
    let path = policy.path("policy.toml");
    let mut command = target.nsexec(["-a", "--policy", path.to_str().unwrap(), "--"]);
    command.args(["sh", "-c", script]);
    assert_eq!(
        succeed(command),
        "mkdir: can't create directory '/tmp/made': Permission denied\n0027\n\
         CapEff:\t0000000000000020\nSeccomp_filters:\t2\n"
    );
    let mut preserved = target.nsexec(["-a", "--preserve-fds", "1", "--policy"]);
    preserved.arg(&path).args(["--", "true"]);
    let null: std::os::fd::OwnedFd = fs::File::open("/dev/null").unwrap().into();
    support::protocol_a::hand_over(&mut preserved, vec![null]);
    assert!(fail(preserved, 125).contains("hands no descriptors over"));
}

#[test]
fn wrong_policies_are_refused_with_their_place() {
    support::needs!(root);
    let target = Target::new();
    let policy = Policy::new();
    for (from, to) in [
        ("[tty]", "surprise = 1\n[tty]"),
        (
            "no_new_privs = true",
            "no_new_privs = true\nno_new_privs = true",
        ),
        ("no_new_privs = true\n", ""),
        ("[\"CAP_KILL\"]", "[]"),
        ("CAP_KILL", "CAP_NONE"),
        ("0o027", "0o7777"),
        ("[\"TERM\"]", "[\"\"]"),
        ("mode = \"login\"", "mode = \"any\""),
        ("filter.json", "../filter.json"),
        ("filter.json", "/etc/passwd"),
        ("filter.json", "missing.json"),
        ("[ceiling]", "[ceiling"),
    ] {
        let message = policy.broken(&target, from, to);
        // With line and column, if the error has a position.
        assert!(message.contains("policy.toml"), "{to:?}: {message}");
    }
    policy.write("policy.toml", MANIFEST.as_bytes());
    for (filter, expected) in [
        (FILTER.replace("mkdirat", "mkdirr"), "mkdirr"),
        (FILTER.replace("\"mkdir\",\"mkdirat\"", ""), "filter.json"),
        (
            FILTER.replace("SCMP_ACT_ERRNO", "SCMP_ACT_NONE"),
            "filter.json",
        ),
        (FILTER.replace("mkdirat", "execve"), "execve"),
        (FILTER.replace("errnoRet", "errnoret"), "filter.json"),
        (
            FILTER.replacen("\"names\"", "\"names\":[\"read\"],\"names\"", 1),
            "filter.json",
        ),
        (format!("{FILTER}x"), "filter.json"),
        (String::new(), "filter.json"),
    ] {
        policy.write("filter.json", filter.as_bytes());
        let message = policy.refused(&target);
        assert!(message.contains(expected), "{filter}: {message}");
    }
    policy.write("filter.json", FILTER.as_bytes());
    for rules in [
        RULES.replace("\"execute\", \"refer\"]\n[[path", "]\n[[path"),
        RULES.replace("abi = 2\n", ""),
        RULES.replace("[\"/\"]", "[\"relative\"]"),
        RULES.replace("\"refer\"]\nparent", "\"truncate\"]\nparent"),
    ] {
        assert_ne!(rules, RULES);
        policy.write("rules.toml", rules.as_bytes());
        let message = policy.refused(&target);
        assert!(message.contains("rules.toml"), "{rules}: {message}");
    }
}

#[test]
fn invalid_policy_files_are_refused() {
    support::needs!(root);
    let target = Target::new();
    let policy = Policy::new();
    let pid = target.pid().to_string();
    let of = |path: &Path| {
        refused(
            &target,
            &["-t", &pid, "-a", "--policy", path.to_str().unwrap()],
        )
    };
    assert!(refused(&target, &["-t", &pid, "--policy", "nonesuch"]).contains("give one of"));
    of(Path::new("/no/such/policy.toml"));
    of(&policy.directory);
    let fifo = policy.path("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    of(&fifo);
    policy.write("large.toml", &vec![b'#'; 2 << 20]);
    of(&policy.path("large.toml"));
    policy.write("binary.toml", b"seccomp = \"\xff\"\n");
    of(&policy.path("binary.toml"));
    let open = policy.path("policy.toml");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(of(&open).contains("others than its owner"));
    policy.write("policy.toml", MANIFEST.as_bytes());
    let filter = policy.path("filter.json");
    fs::set_permissions(&filter, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(of(&open).contains("others than its owner"));
}
