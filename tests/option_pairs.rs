//! Every option, every pair of options and every option under every policy is compared with
//! one rule per option: where the program runs, as which user, and with what.
//!
//! The rules are `rule` in the table of options, from which the manual takes them;
//! [`predict`] implements the same rules. No two options may cancel each other: a pair
//! works as both rules require, or nsexec refuses it with status 125 and a message that
//! names the options.
//!
//! The test observes the program from outside, in /proc.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsexec_command_line::options;
use nsexec_kernel_text::capability::CapabilitySet;
use nsexec_policy_engine::policy::resolved::{Capabilities, Follow};
use nsexec_shipped_policies::{BUILTIN_NAMES, builtin};
use support::cgroup::Cgroup;
use support::{Build, NSEXEC, OUTSIDE, Target, succeed, temporary_directory, text};

/// The options and their values on the command line. These descriptors are open: 3, 7 (for
/// writing), 8 (a filter), 9.
const GIVEN: &[(&str, &str)] = &[
    ("target", "--target=PID:INODE"),
    ("all", "-a"),
    ("mount", "-m"),
    ("mount", "--mount=/proc/PID/ns/mnt"),
    ("uts", "-u"),
    ("uts", "--uts=/proc/PID/ns/uts"),
    ("ipc", "-i"),
    ("net", "-n"),
    ("net", "--net=/proc/PID/ns/net"),
    ("net-socket", "--net-socket=SOCKET"),
    ("pid", "-p"),
    ("cgroup", "-C"),
    ("user", "-U"),
    ("user-parent", "--user-parent"),
    ("time", "-T"),
    ("setuid", "--setuid=1000"),
    ("setuid", "--setuid=follow"),
    ("setgid", "--setgid=1000"),
    ("setgid", "--setgid=follow"),
    ("preserve-credentials", "--preserve-credentials"),
    ("keep-caps", "--keep-caps"),
    ("root", "-r"),
    ("root", "--root=TREE"),
    ("wd", "-w"),
    ("wd", "--wd=TREE/inner"),
    ("wdns", "--wdns=/bin"),
    ("env", "-e"),
    ("env", "--env=ADDED=1"),
    ("env", "--env=CALLER"),
    ("join-cgroup", "-c"),
    ("follow-context", "-Z"),
    ("no-fork", "-F"),
    ("preserve-fds", "--preserve-fds=1"),
    ("preserve-fd", "--preserve-fd=9"),
    ("policy", "--policy=default"),
    ("policy", "--policy=strict"),
    ("policy", "--policy=admin"),
    ("policy", "--policy=net"),
    ("policy", "--policy=libcontainer"),
    ("policy", "--policy=libcontainer-privileged"),
    ("seccomp-fd", "--seccomp-fd=8"),
    ("status-fd", "--status-fd=7"),
    ("dry-run", "--dry-run"),
    ("explain", "--explain"),
    ("explain", "--explain=audit"),
    ("features", "--features"),
    ("help", "--help"),
    ("version", "--version"),
];

/// Pairs that exclude each other, with any target.
const EXCLUDED: &[(&str, &str)] = &[
    ("wd", "wdns"),
    ("net-socket", "net"),
    ("setuid", "preserve-credentials"),
    ("setgid", "preserve-credentials"),
    ("no-fork", "status-fd"),
    ("no-fork", "explain"),
    ("explain", "seccomp-fd"),
];

/// In the order of /proc/PID/ns.
const NAMESPACES: [(&str, &str); 8] = [
    ("mount", "mnt"),
    ("uts", "uts"),
    ("ipc", "ipc"),
    ("net", "net"),
    ("pid", "pid"),
    ("cgroup", "cgroup"),
    ("user", "user"),
    ("time", "time"),
];

const CALLERS_GROUP: u32 = 4242;

/// A target, with all objects that options name.
struct Place {
    target: Target,
    has_user_namespace: bool,
    cgroup: Cgroup,
    /// A directory that exists on the host and in the target: `TREE`.
    tree: PathBuf,
    /// The number of the target's socket.
    socket: String,
    /// Linux 6.9 and later.
    inode: Option<u64>,
    caller: Child,
}

impl Place {
    fn new(has_user_namespace: bool) -> Self {
        let tree = temporary_directory("pairs");
        lay_out(&tree, &tree);
        let inside = tree.display();
        let script = format!(
            "ip link set lo up; mkdir -p {inside}/bin {inside}/inner {inside}{inside}/inner; \
             cd {inside}/inner;"
        );
        let target = Target::build(&Build {
            user_namespace: has_user_namespace,
            script,
            program: Some("env -i TARGET=1 nc -l -p 4000".to_owned()),
            ..Build::default()
        });
        // Not busybox's, which changes its user if it can.
        let bin = target.root().join("bin");
        for copy in [&bin, &Self::below(target.pid(), &tree).join("bin")] {
            let _ = fs::remove_file(copy.join("cat"));
            fs::copy(tree.join("bin/cat"), copy.join("cat")).unwrap();
        }
        let cgroup = Cgroup::new().expect("a cgroup hierarchy that can be written to");
        cgroup.add(target.pid());
        let socket = socket_of(target.pid());
        let inode = target.inode();
        // Namespaces, root and cgroup as the caller has them.
        let caller = Command::new("sleep").arg("1000").spawn().unwrap();
        Self {
            target,
            has_user_namespace,
            cgroup,
            tree,
            socket,
            inode,
            caller,
        }
    }

    fn words(&self, given: &str) -> String {
        let inode = self.inode.map(|inode| format!(":{inode}"));
        given
            .replace("PID", &self.target.pid().to_string())
            .replace(":INODE", &inode.unwrap_or_default())
            .replace("SOCKET", &self.socket)
            .replace("TREE", self.tree.to_str().unwrap())
    }

    /// The file that `path` refers to below the root of a process.
    fn below(pid: impl std::fmt::Display, path: &Path) -> PathBuf {
        let mut root = PathBuf::from(format!("/proc/{pid}/root"));
        root.push(path.strip_prefix("/").unwrap());
        root
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.caller.kill();
        let _ = self.caller.wait();
        let _ = fs::remove_dir_all(&self.tree);
    }
}

/// `bin/cat`, `inner`, and both once more below `tree`'s own path, where they are looked up
/// once `tree` is the root.
fn lay_out(root: &Path, tree: &Path) {
    let again = root.join(tree.strip_prefix("/").unwrap()).join("inner");
    fs::create_dir_all(again).unwrap();
    for directory in ["bin", "inner"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("cat.c"), CAT).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-o"])
        .arg(root.join("bin/cat"))
        .arg(root.join("cat.c"));
    succeed(gcc);
}

const CAT: &str = r#"
#include <unistd.h>
int main(void) {
    char buffer[4096];
    ssize_t count;
    while ((count = read(0, buffer, sizeof buffer)) > 0)
        if (write(1, buffer, count) != count) return 1;
    return count != 0;
}
"#;

fn socket_of(pid: i32) -> String {
    for _ in 0..500 {
        let sockets = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let socket = sockets.into_iter().find(|entry| {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            link.to_string_lossy().starts_with("socket:")
        });
        if let Some(socket) = socket {
            return socket.file_name().into_string().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no socket");
}

/// Device and inode number of a directory.
fn place(path: &Path) -> (u64, u64) {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    (metadata.dev(), metadata.ino())
}

/// The state of a program: place, user and rights.
#[derive(Debug, PartialEq, Eq)]
struct State {
    namespaces: Vec<(&'static str, String)>,
    root: (u64, u64),
    work_dir: (u64, u64),
    /// The ids as the host numbers them.
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    effective: u64,
    ambient: u64,
    no_new_privs: bool,
    filters: usize,
    /// Some of CALLER, TARGET and ADDED.
    variables: BTreeSet<String>,
    in_targets_cgroup: bool,
    descriptors: BTreeSet<u32>,
    own_process: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Runs(Box<State>),
    Plans,
    Prints,
    /// The message has to contain all words of one of these texts.
    Refused(Vec<Vec<&'static str>>),
}

/// The given options, by their names in the table.
struct Options<'a> {
    given: &'a [(&'static str, &'static str)],
}

impl Options<'_> {
    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| *known == name)
    }

    fn exactly(&self, words: &str) -> bool {
        self.given.iter().any(|(_, known)| *known == words)
    }

    /// The value of an option with a value.
    fn value(&self, name: &str) -> Option<&'static str> {
        let (_, words) = self.given.iter().find(|(known, _)| *known == name)?;
        words.split_once('=').map(|(_, value)| value)
    }

    fn policy(&self) -> &'static str {
        self.value("policy").unwrap_or("default")
    }
}

/// The combined rules of all options.
fn predict(place: &Place, options: &Options<'_>) -> Outcome {
    let has = |name: &str| options.has(name);
    if ["features", "help", "version"].into_iter().any(has) {
        return Outcome::Prints;
    }
    let mut refusals: Vec<Vec<&'static str>> = Vec::new();
    for (one, other) in EXCLUDED {
        if has(one) && has(other) {
            refusals.push(vec![one, other]);
        }
    }
    let names: Vec<&str> = options.given.iter().map(|(name, _)| *name).collect();
    for (index, name) in names.iter().enumerate() {
        if names[index + 1..].contains(name) && *name != "env" {
            refusals.push(vec![name, "twice"]);
        }
    }

    // Namespaces: -t, -a, and the namespace options.
    let named = |option: &str| has(option) || (option == "net" && has("net-socket"));
    let any = NAMESPACES.iter().any(|(option, _)| named(option));
    let all = has("all") || !any;
    let is_apart = |option: &str| match option {
        "user" => place.has_user_namespace,
        "time" => false,
        _ => true,
    };
    let joins = |option: &str| named(option) || (all && is_apart(option));
    if named("user") && !place.has_user_namespace && !has("all") {
        refusals.push(vec!["-U"]);
    }
    if has("user-parent") {
        // The parent is the caller's own user namespace, or an ancestor of it.
        refusals.push(vec!["--user-parent"]);
    }
    let joins_user = joins("user") && place.has_user_namespace;
    let own = place.caller.id();
    let target = place.target.pid();
    let namespace = |pid: &dyn std::fmt::Display, name: &str| {
        let link = fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
        link.to_string_lossy().into_owned()
    };
    let namespaces = NAMESPACES.iter().map(|(option, name)| {
        let stays = !joins(option) || (*name == "pid" && has("no-fork"));
        let namespace = if stays {
            namespace(&own, name)
        } else {
            namespace(&target, name)
        };
        (*name, namespace)
    });
    let namespaces = namespaces.collect();

    // Root and working directory.
    let joins_mount = joins("mount");
    let base = if joins_mount {
        PathBuf::from(format!("/proc/{target}/root"))
    } else {
        PathBuf::from("/")
    };
    let tree = if joins_mount {
        Place::below(target, &place.tree)
    } else {
        place.tree.clone()
    };
    let root = match options.value("root") {
        Some(_) => tree.clone(),
        None if has("root") => PathBuf::from(format!("/proc/{target}/root")),
        None => base,
    };
    let own_root = root == Path::new("/");
    let work_dir = if has("wdns") {
        root.join("bin")
    } else if options.value("wd").is_some() {
        let below_root = root
            .join(place.tree.strip_prefix("/").unwrap())
            .join("inner");
        if joins_mount {
            below_root
        } else {
            if !own_root && !options.exactly("--root=TREE") {
                refusals.push(vec!["--wd", "--root", "outside"]);
            }
            place.tree.join("inner")
        }
    } else if has("wd") {
        let lies_outside = !joins_mount && !options.exactly("-r");
        if lies_outside {
            refusals.push(vec!["--wd", "outside"]);
        }
        Place::below(target, &place.tree).join("inner")
    } else if joins_mount || (has("root") && options.value("root").is_none()) {
        root.clone()
    } else {
        // The caller's directory, which is in TREE.
        place.tree.join("inner")
    };

    // User and group.
    let policy_name = options.policy();
    let policy = builtin(policy_name).unwrap().unwrap();
    let outside = |id: u32| if joins_user { OUTSIDE + id } else { id };
    let preserves = has("preserve-credentials");
    let id = |option: &str| match options.value(option) {
        Some("follow") if place.has_user_namespace => OUTSIDE,
        Some("follow") => 0,
        Some(number) => outside(number.parse().unwrap()),
        None if preserves => 0,
        None => outside(0),
    };
    let (uid, gid) = (id("setuid"), id("setgid"));
    let drops = joins_user || has("setgid") || !policy.process.keep_groups;
    let groups = if preserves || !drops {
        vec![CALLERS_GROUP]
    } else {
        Vec::new()
    };

    // Capabilities, environment and descriptors.
    let (names, protocol_a) = match policy.process.capabilities {
        Capabilities::Keep(set) => (set, false),
        Capabilities::Inherit if joins_user => (every_capability(), false),
        Capabilities::Inherit => (own_capabilities(), false),
        Capabilities::InitConfig => (CapabilitySet::EMPTY, true),
    };
    if protocol_a {
        refusals.push(vec!["policy", policy_name, "protocol A"]);
    }
    if has("keep-caps") && !joins_user {
        refusals.push(vec!["--keep-caps"]);
    }
    if has("keep-caps") && policy_name == "strict" {
        refusals.push(vec!["--keep-caps", "policy strict"]);
    }
    if (has("preserve-fds") || has("preserve-fd")) && !policy.preserve_fds {
        refusals.push(vec!["--preserve-fd", "policy strict"]);
    }
    let is_root = uid == outside(0);
    let ambient = if has("keep-caps") { names.bits() } else { 0 };
    let effective = if is_root { names.bits() } else { ambient };
    let layers = [&policy.ceiling.seccomp, &policy.workload.seccomp];
    let filters = layers
        .into_iter()
        .filter(|layer| layer.enforced().is_some());
    // The explainer listens to its own filter.
    let filters = filters.count() + usize::from(has("seccomp-fd")) + usize::from(has("explain"));

    let mut variables = BTreeSet::new();
    let takes_targets = options.exactly("-e");
    if takes_targets {
        variables.insert("TARGET".to_owned());
    }
    if options.exactly("--env=CALLER") || (policy_name == "admin" && !takes_targets) {
        variables.insert("CALLER".to_owned());
    }
    if options.exactly("--env=ADDED=1") {
        variables.insert("ADDED".to_owned());
    }
    let mut descriptors = BTreeSet::from([0, 1, 2]);
    descriptors.extend(has("preserve-fds").then_some(3));
    descriptors.extend(has("preserve-fd").then_some(9));

    if !refusals.is_empty() {
        return Outcome::Refused(refusals);
    }
    if has("dry-run") || options.exactly("--explain=audit") {
        return Outcome::Plans;
    }
    Outcome::Runs(Box::new(State {
        namespaces,
        root: self::place(&root),
        work_dir: self::place(&work_dir),
        uid,
        gid,
        groups,
        effective,
        ambient,
        no_new_privs: policy.process.no_new_privs,
        filters,
        variables,
        in_targets_cgroup: has("join-cgroup") || matches!(policy.process.cgroup, Follow::Target(_)),
        descriptors,
        own_process: has("no-fork"),
    }))
}

/// The capabilities in a new user namespace.
fn every_capability() -> CapabilitySet {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    let last: u32 = last.trim().parse().unwrap();
    CapabilitySet::from_bits(u64::MAX >> (63 - last))
}

/// The values of this process, which the callers in this test share.
fn own_capabilities() -> CapabilitySet {
    let status = Status::of("self");
    CapabilitySet::from_bits(u64::from_str_radix(&status.field("CapPrm"), 16).unwrap())
}

struct Status(String);

impl Status {
    fn of(pid: &str) -> Self {
        Self(fs::read_to_string(format!("/proc/{pid}/status")).unwrap())
    }

    fn field(&self, name: &str) -> String {
        let line = self
            .0
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")));
        line.unwrap().split_once(':').unwrap().1.trim().to_owned()
    }

    fn numbers(&self, name: &str) -> Vec<u32> {
        let field = self.field(name);
        field
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    }

    fn bits(&self, name: &str) -> u64 {
        u64::from_str_radix(&self.field(name), 16).unwrap()
    }
}

/// Reads the state of a process from /proc.
fn observe(place: &Place, pid: &str, nsexec: &str) -> State {
    let path = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let status = Status::of(pid);
    let namespaces = NAMESPACES.iter().map(|(_, name)| {
        let link = fs::read_link(path(&format!("ns/{name}"))).unwrap();
        (*name, link.to_string_lossy().into_owned())
    });
    let environment = fs::read(path("environ")).unwrap();
    let variables = environment.split(|byte| *byte == 0).filter_map(|pair| {
        let name = text(pair).split_once('=')?.0.to_owned();
        ["CALLER", "TARGET", "ADDED"]
            .contains(&name.as_str())
            .then_some(name)
    });
    let descriptors = fs::read_dir(path("fd")).unwrap().flatten();
    let descriptors = descriptors.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap());
    State {
        namespaces: namespaces.collect(),
        root: self::place(&path("root")),
        work_dir: self::place(&path("cwd")),
        uid: status.numbers("Uid")[1],
        gid: status.numbers("Gid")[1],
        groups: status.numbers("Groups"),
        effective: status.bits("CapEff"),
        ambient: status.bits("CapAmb"),
        no_new_privs: status.field("NoNewPrivs") == "1",
        filters: status.field("Seccomp_filters").parse().unwrap(),
        variables: variables.collect(),
        in_targets_cgroup: fs::read_to_string(path("cgroup"))
            .unwrap()
            .contains(place.cgroup.name()),
        descriptors: descriptors.collect(),
        own_process: pid == nsexec,
    }
}

/// Runs a command line, and compares the result with the prediction. `Some`: the
/// difference.
fn surprise(place: &Place, given: &[(&'static str, &'static str)]) -> Option<String> {
    let options = Options { given };
    let expected = predict(place, &options);
    // Kernel auditing is global: these pairs are tested with --dry-run only.
    let plans = options.exactly("--explain=audit") && !options.has("dry-run");
    let mut command = Command::new("bash");
    let script = format!(
        "exec 3</dev/null 7>{tree}/status 8<{tree}/filter 9</dev/null; exec \"$@\"",
        tree = place.tree.display()
    );
    command
        .args([
            "-c",
            &script,
            "bash",
            "setpriv",
            "--groups",
            &CALLERS_GROUP.to_string(),
        ])
        .arg(NSEXEC)
        .args((!options.has("target")).then(|| format!("--target={}", place.target.pid())))
        .args(given.iter().map(|(_, words)| place.words(words)))
        .args(plans.then_some("--dry-run"))
        .args(["--", "/bin/cat"])
        .current_dir(place.tree.join("inner"))
        .env("CALLER", "1")
        .env_remove("TARGET")
        .env_remove("ADDED")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    // A refused command line reads no filter.
    let _ = stdin.write_all(b"here\n");
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let seen = (line == "here\n").then(|| {
        let nsexec = child.id().to_string();
        let children = fs::read_to_string(format!("/proc/{nsexec}/task/{nsexec}/children"));
        let children = children.unwrap_or_default();
        // The explainer is created before the program.
        let pid = children.split_whitespace().last().unwrap_or(&nsexec);
        observe(place, pid, &nsexec)
    });
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let status = child.wait().unwrap();

    let say = |what: String| Some(format!("{given:?}: {what}; {status}; stderr: {stderr}"));
    match (expected, seen) {
        (Outcome::Runs(expected), Some(seen)) => {
            if *expected != seen {
                return say(difference(&expected, &seen));
            }
            let lines = fs::read_to_string(place.tree.join("status")).unwrap();
            if options.has("status-fd") != lines.contains("\"exited\"") {
                return say(format!("status lines: {lines:?}"));
            }
            let warns =
                options.has("follow-context") && !Path::new("/sys/fs/selinux/enforce").exists();
            if !status.success() || warns != stderr.contains("warning: -Z") {
                return say("the end differs".to_owned());
            }
            None
        }
        (Outcome::Refused(one_of), None) => {
            let named = |words: &Vec<&str>| words.iter().all(|word| stderr.contains(word));
            let refused = status.code() == Some(125) && line.is_empty();
            if refused && one_of.iter().any(named) {
                return None;
            }
            say(format!("is to be refused with one of {one_of:?}"))
        }
        (Outcome::Plans, None) => {
            let plan: Option<serde_json::Value> = serde_json::from_str(&line).ok();
            let shows = plan.is_some_and(|plan| plan["event"] == "plan");
            (!shows || !status.success()).then(|| say(format!("no plan: {line}")))?
        }
        (Outcome::Prints, None) => {
            (line.is_empty() || !status.success()).then(|| say("prints nothing".to_owned()))?
        }
        (expected, seen) => say(format!("expected {expected:?}, seen {seen:?}")),
    }
}

/// The fields that differ.
fn difference(expected: &State, seen: &State) -> String {
    let lines = |state: &State| format!("{state:#?}");
    let (expected, seen) = (lines(expected), lines(seen));
    let pairs = expected.lines().zip(seen.lines());
    let differing = pairs.filter(|(expected, seen)| expected != seen);
    differing
        .map(|(expected, seen)| format!("expected {} seen {}", expected.trim(), seen.trim()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Runs all command lines, and panics with a list of mismatches.
fn sweep(place: &Place, lines: &[Vec<(&'static str, &'static str)>]) {
    let mut surprises = Vec::new();
    for given in support::share::of(lines.iter()) {
        surprises.extend(surprise(place, given));
    }
    assert!(
        surprises.is_empty(),
        "{} surprises in {} command lines:\n{}",
        surprises.len(),
        lines.len(),
        surprises.join("\n")
    );
}

/// Each option alone and each pair, including two values of the same option.
fn lines() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut lines = vec![Vec::new()];
    for (index, one) in GIVEN.iter().enumerate() {
        lines.push(vec![*one]);
        lines.extend(GIVEN[index + 1..].iter().map(|other| vec![*one, *other]));
    }
    lines
}

/// An instruction that allows everything: BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
fn write_filter(place: &Place) {
    let mut bytes = Vec::new();
    bytes.extend(6_u16.to_ne_bytes());
    bytes.extend([0, 0]);
    bytes.extend(0x7fff_0000_u32.to_ne_bytes());
    fs::write(place.tree.join("filter"), bytes).unwrap();
}

#[test]
fn every_option_and_every_policy_is_swept() {
    for option in options::all() {
        assert!(!option.rule.is_empty(), "--{}", option.long);
        assert!(
            GIVEN.iter().any(|(name, _)| *name == option.long),
            "--{} is in no command line of the sweep",
            option.long
        );
    }
    for (name, words) in GIVEN {
        assert!(options::all().any(|option| option.long == *name), "{words}");
    }
    for name in BUILTIN_NAMES {
        let words = format!("--policy={name}");
        assert!(GIVEN.iter().any(|(_, given)| *given == words), "{words}");
    }
    // If a rule excludes an option, both rules state it.
    for (one, other) in EXCLUDED {
        for (option, excluded) in [(one, other), (other, one)] {
            let rule = options::all()
                .find(|known| known.long == *option)
                .unwrap()
                .rule;
            let excluded = options::all()
                .find(|known| known.long == *excluded)
                .unwrap();
            let letter = excluded.letter.map(|letter| format!("-{letter}"));
            let named = rule.contains("Excludes")
                && (rule.contains(&format!("--{}", excluded.long))
                    || letter.is_some_and(|letter| rule.contains(&letter)));
            assert!(named, "--{option}: {rule}");
        }
    }
}

#[test]
fn no_pair_of_options_surprises() {
    support::needs!(root);
    let place = Place::new(false);
    write_filter(&place);
    sweep(&place, &lines());
}

#[test]
fn no_pair_of_options_surprises_in_a_user_namespace() {
    support::needs!(root);
    let place = Place::new(true);
    write_filter(&place);
    sweep(&place, &lines());
}
