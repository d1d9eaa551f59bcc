//! Which files nsexec accepts as a policy or as its configuration: each component of the
//! path must belong to root or the caller.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::Mode;
use support::{NSEXEC, fail, succeed, temporary_directory};

const MANIFEST: &str = r#"
seccomp = "parts/filter.json"
landlock = "none"
landlock_reason = "not tested here"
[ceiling]
seccomp = "none"
seccomp_reason = "not tested here"
landlock = "none"
landlock_reason = "not tested here"
[process]
capabilities = "none"
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

const FILTER: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
    {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#;

/// A user other than root and the caller.
const OTHER: u32 = 4711;

/// `above/policies/policy.toml` and the file that it names, owned by root.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let tree = Self(temporary_directory("policy-paths"));
        fs::create_dir_all(tree.path("above/policies/parts")).unwrap();
        for directory in ["", "above", "above/policies", "above/policies/parts"] {
            tree.mode(directory, 0o755);
        }
        for (file, text) in [("policy.toml", MANIFEST), ("parts/filter.json", FILTER)] {
            let file = format!("above/policies/{file}");
            fs::write(tree.path(&file), text).unwrap();
            tree.mode(&file, 0o644);
        }
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn give(&self, path: &str, owner: u32) {
        chown(self.path(path), Some(owner), Some(owner)).unwrap();
    }

    fn link(&self, path: &str, text: impl AsRef<Path>) {
        symlink(text, self.path(path)).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MANIFEST_PATH: &str = "above/policies/policy.toml";

/// Plans an exec under the policy in `path`.
fn plan(path: &Path) -> Command {
    let mut command = Command::new(NSEXEC);
    command
        .args(["--uts=/proc/self/ns/uts", "--dry-run", "--policy"])
        .arg(path);
    command
}

#[track_caller]
fn taken(path: &Path) {
    let planned: serde_json::Value = serde_json::from_str(&succeed(plan(path))).unwrap();
    assert_eq!(planned["process"]["umask"], "027");
}

#[test]
fn every_component_of_a_policys_path_counts() {
    support::needs!(root);
    // Each of these changes lets another user decide which policy applies.
    type Change = fn(&Tree);
    let changes: [(&str, Change, &str); 12] = [
        (
            "the file's owner",
            |t| t.give(MANIFEST_PATH, OTHER),
            "user 4711",
        ),
        (
            "the file's mode",
            |t| t.mode(MANIFEST_PATH, 0o646),
            "(mode 0646)",
        ),
        (
            "its group's mode",
            |t| t.mode(MANIFEST_PATH, 0o664),
            "(mode 0664)",
        ),
        (
            "the directory's mode",
            |t| t.mode("above/policies", 0o777),
            "(mode 0777)",
        ),
        (
            "its group",
            |t| t.mode("above/policies", 0o775),
            "(mode 0775)",
        ),
        (
            "the directory's owner",
            |t| t.give("above/policies", OTHER),
            "user 4711",
        ),
        (
            "the mode of one above",
            |t| t.mode("above", 0o777),
            "(mode 0777)",
        ),
        (
            "the owner of one above",
            |t| t.give("above", OTHER),
            "user 4711",
        ),
        (
            "a sticky directory",
            |t| t.mode("above/policies", 0o1777),
            "others may add files",
        ),
        (
            "the named file's owner",
            |t| t.give("above/policies/parts/filter.json", OTHER),
            "user 4711",
        ),
        (
            "the named file's directory",
            |t| t.mode("above/policies/parts", 0o777),
            "(mode 0777)",
        ),
        (
            "its owner",
            |t| t.give("above/policies/parts", OTHER),
            "user 4711",
        ),
    ];
    taken(&Tree::new().path(MANIFEST_PATH));
    for (what, change, expected) in changes {
        let tree = Tree::new();
        change(&tree);
        let message = fail(plan(&tree.path(MANIFEST_PATH)), 125);
        assert!(message.contains(expected), "{what}: {message}");
    }
    // Only its owner can rename an entry of a sticky directory.
    let tree = Tree::new();
    tree.mode("above", 0o1777);
    taken(&tree.path(MANIFEST_PATH));
}

#[test]
fn links_are_followed_component_by_component() {
    support::needs!(root);
    let tree = Tree::new();
    fs::create_dir(tree.path("links")).unwrap();
    tree.mode("links", 0o755);
    tree.link("links/relative", "../above/policies");
    tree.link("links/absolute", tree.path("above"));
    tree.link("above/policies/other.toml", "policy.toml");
    taken(&tree.path("links/relative/policy.toml"));
    taken(&tree.path("links/absolute/policies/policy.toml"));
    taken(&tree.path("links/../links/relative/../policies/other.toml"));

    tree.mode("links", 0o1777);
    let message = fail(plan(&tree.path("links/relative/policy.toml")), 125);
    assert!(message.contains("others may add files"), "{message}");
    tree.mode("links", 0o755);
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        &tree.path("links/relative"),
        Some(OTHER.into()),
        None,
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )
    .unwrap();
    let message = fail(plan(&tree.path("links/relative/policy.toml")), 125);
    assert!(message.contains("user 4711"), "{message}");
    tree.mode("above", 0o777);
    let message = fail(plan(&tree.path("links/absolute/policies/policy.toml")), 125);
    assert!(message.contains("(mode 0777)"), "{message}");
    tree.mode("above", 0o755);

    // A manifest can only name files in its directory.
    let filter = tree.path("above/policies/parts/filter.json");
    fs::rename(&filter, tree.path("above/policies/parts/real.json")).unwrap();
    tree.link("above/policies/parts/filter.json", "../parts/real.json");
    taken(&tree.path(MANIFEST_PATH));
    for outside in [
        PathBuf::from("../../filter.json"),
        tree.path("above/filter.json"),
    ] {
        fs::remove_file(&filter).unwrap();
        fs::write(tree.path("above/filter.json"), FILTER).unwrap();
        symlink(&outside, &filter).unwrap();
        let message = fail(plan(&tree.path(MANIFEST_PATH)), 125);
        assert!(message.contains("leads out of"), "{outside:?}: {message}");
    }
}

#[test]
fn a_relative_path_counts_from_the_root_too() {
    support::needs!(root);
    let tree = Tree::new();
    let relative = |path: &str, directory: &str| {
        let mut command = plan(Path::new(path));
        command.current_dir(tree.path(directory));
        command
    };
    succeed(relative("./policy.toml", "above/policies"));
    succeed(relative("policy.toml", "above/policies"));
    succeed(relative("../policy.toml", "above/policies/parts"));
    tree.mode("above", 0o777);
    for (path, directory) in [
        ("./policy.toml", "above/policies"),
        ("policies/policy.toml", "above"),
        ("../policy.toml", "above/policies/parts"),
    ] {
        let message = fail(relative(path, directory), 125);
        assert!(message.contains("(mode 0777)"), "{path}: {message}");
    }
}

#[test]
fn a_policy_must_be_a_regular_file() {
    support::needs!(root);
    let tree = Tree::new();
    let fifo = tree.path("above/fifo.toml");
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    tree.link("above/dangling.toml", "nothing");
    tree.link("above/loop.toml", "loop.toml");
    for (path, expected) in [
        ("above/fifo.toml", "is not a regular file"),
        ("above/policies", "is a directory"),
        ("above/dangling.toml", "above/nothing: ENOENT"),
        ("above/loop.toml", "ELOOP"),
        ("above/policies/policy.toml/x.toml", "ENOTDIR"),
        ("above/none.toml", "above/none.toml: ENOENT"),
    ] {
        let message = fail(plan(&tree.path(path)), 125);
        assert!(message.contains(expected), "{path}: {message}");
    }
    let message = fail(plan(Path::new("/..")), 125);
    assert!(message.contains("names no file"), "{message}");
}

#[test]
fn a_users_own_policy_is_theirs_to_name() {
    support::needs!(root);
    let tree = Tree::new();
    for path in ["above", "above/policies", MANIFEST_PATH] {
        tree.give(path, OTHER);
    }
    let as_user = |user: u32| {
        let mut command = Command::new("setpriv");
        let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
        command.args([&uid, &gid, "--clear-groups", NSEXEC]);
        command.args(["--uts=/proc/self/ns/uts", "--dry-run", "--policy"]);
        command.arg(tree.path(MANIFEST_PATH));
        command
    };
    succeed(as_user(OTHER));
    let message = fail(as_user(OTHER + 1), 125);
    assert!(message.contains("user 4711"), "{message}");
}

/// Runs `nsexec` with `etc` mounted at /etc.
fn configured(etc: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$1\" /etc && shift && exec \"$@\"")
        .arg("sh")
        .arg(etc)
        .args([NSEXEC, "--uts=/proc/self/ns/uts", "--dry-run"]);
    command
}

#[test]
fn the_configuration_is_taken_whole_or_refused() {
    // It names strict.
    support::needs!(root, feature("Landlock: scopes"));
    let tree = Tree::new();
    fs::create_dir(tree.path("etc")).unwrap();
    let policy = |command: Command| {
        let planned: serde_json::Value = serde_json::from_str(&succeed(command)).unwrap();
        planned["policy"].as_str().unwrap().to_owned()
    };
    let file = tree.path("etc/nsexec.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let etc = || configured(&tree.path("etc"));
    assert_eq!(policy(etc()), "default");
    write("libcontainer_policy = \"strict\"\n");
    assert_eq!(policy(etc()), "default");
    write("policy = \"strict\"\n");
    assert_eq!(policy(etc()), "strict");
    let absolute = tree.path(MANIFEST_PATH);
    write(&format!("policy = {absolute:?}\n"));
    let planned: serde_json::Value = serde_json::from_str(&succeed(etc())).unwrap();
    assert_eq!(planned["process"]["umask"], "027");

    let refused = |expected: &str| {
        let message = fail(etc(), 125);
        assert!(message.contains(expected), "{expected}: {message}");
    };
    for (value, expected) in [
        ("above/policies/policy.toml", "is a relative path"),
        ("./policy.toml", "is a relative path"),
        ("policy.toml", "is a relative path"),
        ("Strict", "is not a policy"),
        ("-x", "is not a policy"),
        ("", "is not a policy"),
        ("nonesuch", "there is no policy"),
        ("/no/such/policy", "ENOENT"),
    ] {
        write(&format!("policy = {value:?}\n"));
        refused(expected);
    }
    write("policy = \"strict\"\n");
    chown(&file, Some(OTHER), None).unwrap();
    refused("user 4711");
    chown(&file, Some(0), None).unwrap();
    tree.mode("etc/nsexec.toml", 0o666);
    refused("(mode 0666)");
    tree.mode("etc/nsexec.toml", 0o644);
    tree.mode("etc", 0o777);
    refused("(mode 0777)");
    tree.mode("etc", 0o1777);
    refused("others may add files");
    tree.mode("etc", 0o755);
    fs::remove_file(&file).unwrap();
    tree.link("etc/nsexec.toml", "/nowhere/nsexec.toml");
    refused("ENOENT");
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, Mode::from_bits_truncate(0o644)).unwrap();
    refused("is not a regular file");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused("is a directory");
}
