//! The output of `--explain`: 60 refusals, each with its layer and its rule in the policy's
//! text. Each call stays refused.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use nsexec_policy_engine::seccomp::table::Arch;
use support::{Target, run, succeed, temporary_directory, text};

/// A call, and the expected position of its refusal.
struct Case {
    policy: &'static str,
    /// The call's name and its arguments, for `tests/data/call.c`.
    call: &'static str,
    layer: &'static str,
    /// A file of the policy.
    file: &'static str,
    /// Text at the beginning of the rule, unique up to there; empty: the whole file.
    on: &'static str,
    /// The beginning of the column "refused"; empty: the call's name and `(`.
    refused: &'static str,
}

const DOCKER: &str = "seccomp/docker-default.json";

const fn filter(
    policy: &'static str,
    call: &'static str,
    layer: &'static str,
    file: &'static str,
    on: &'static str,
) -> Case {
    Case {
        policy,
        call,
        layer,
        file,
        on,
        refused: "",
    }
}

const fn docker(call: &'static str) -> Case {
    filter("default", call, "seccomp", DOCKER, "defaultAction")
}

const fn own(call: &'static str, layer: &'static str, on: &'static str) -> Case {
    let file = match layer.len() {
        // ceiling.seccomp
        15 => "ceiling.json",
        _ => "filter.json",
    };
    filter("filters", call, layer, file, on)
}

const fn landlock(call: &'static str, on: &'static str, refused: &'static str) -> Case {
    Case {
        policy: "domains",
        call,
        layer: "landlock",
        file: "rules.toml",
        on,
        refused,
    }
}

const fn ceiling(call: &'static str, on: &'static str, refused: &'static str) -> Case {
    Case {
        layer: "ceiling.landlock",
        file: "ceiling.toml",
        ..landlock(call, on, refused)
    }
}

const CASES: [Case; 60] = [
    // Docker's profile: calls that it does not list.
    docker("mount none /mnt tmpfs 0 0"),
    docker("umount2 /proc 0"),
    docker("unshare 0x20000"),
    docker("setns 0 0"),
    docker("reboot 0 0 0 0"),
    docker("swapon /x 0"),
    docker("init_module 0 0 0"),
    docker("delete_module x 0"),
    docker("kexec_load 0 0 0 0"),
    docker("bpf 0 0 0"),
    docker("perf_event_open 0 0 0 0 0"),
    docker("keyctl 0 0 0 0 0"),
    docker("add_key 0 0 0 0 0"),
    docker("request_key 0 0 0 0"),
    docker("userfaultfd 0"),
    docker("open_by_handle_at 0 0 0"),
    docker("quotactl 0 0 0 0"),
    docker("acct 0"),
    docker("pivot_root / /"),
    docker("move_mount 0 0 0 0 0"),
    docker("fsopen tmpfs 0"),
    docker("syslog 3 0 0"),
    docker("settimeofday 0 0"),
    docker("sethostname x 1"),
    docker("personality 0x40000"),
    filter(
        "default",
        "socket 40 1 0",
        "seccomp",
        DOCKER,
        "\"names\": [\"socket\"],\n      \"action\": \"SCMP_ACT_ERRNO\"",
    ),
    docker("clone 0x10000000 0 0 0 0"),
    filter("default", "clone3 0 0", "seccomp", DOCKER, ""),
    // Rules of every kind, in files of this test.
    own("getpid", "seccomp", "\"getpid\""),
    own("getppid", "seccomp", "\"getppid\""),
    own("kill 77 0", "seccomp", "\"kill\""),
    own("socket 16 3 0", "seccomp", "\"socket\""),
    own("socket 0x100000010 3 0", "seccomp", "\"socket\""),
    own("sync", "seccomp", "\"sync\""),
    own("getcpu 0 0 0", "seccomp", "\"getcpu\""),
    own("getpriority 0 0", "ceiling.seccomp", "\"getpriority\""),
    own("sysinfo 0", "ceiling.seccomp", "\"sysinfo\""),
    own("times 1 2", "ceiling.seccomp", "\"times\""),
    own("acct 0", "ceiling.seccomp", "\"acct\""),
    own("getpgid 0", "seccomp", "\"getpgid\""),
    // Landlock: each right.
    landlock(
        "openat -100 /etc/passwd 0 0",
        "\"read_file\"",
        "fs.read_file /etc/passwd",
    ),
    landlock(
        "openat -100 /etc 0x10000 0",
        "\"read_dir\"",
        "fs.read_dir /etc",
    ),
    landlock(
        "openat -100 /etc/passwd 1 0",
        "\"write_file\"",
        "fs.write_file /etc/passwd",
    ),
    landlock(
        "truncate /etc/passwd 1",
        "\"truncate\"",
        "fs.truncate /etc/passwd",
    ),
    landlock(
        "openat -100 /made 0x41 0600",
        "\"make_reg\"",
        "fs.make_reg /",
    ),
    landlock("mkdir /made 0700", "\"make_dir\"", "fs.make_dir /"),
    landlock("symlink a /made", "\"make_sym\"", "fs.make_sym /"),
    landlock("mknod /made 0x1180 0", "\"make_fifo\"", "fs.make_fifo /"),
    landlock("mknod /made 0xc180 0", "\"make_sock\"", "fs.make_sock /"),
    landlock(
        "unlink /etc/passwd",
        "\"remove_file\"",
        "fs.remove_file /etc",
    ),
    landlock("rmdir /mnt", "\"remove_dir\"", "fs.remove_dir /"),
    landlock("link /etc/passwd /tmp/made", "\"refer\"", "fs.refer /etc"),
    landlock(
        "bind fd:tcp in:8081 16",
        "\"bind_tcp\"",
        "net.bind_tcp port 8081",
    ),
    landlock(
        "connect fd:tcp in:81 16",
        "\"connect_tcp\"",
        "net.connect_tcp port 81",
    ),
    landlock("kill 1 0", "\"signal\"", "scope.signal process"),
    landlock(
        "connect fd:unix un:outside 10",
        "\"abstract_unix_socket\"",
        "scope.abstract_unix_socket",
    ),
    landlock("umount2 /proc 0", "", "fs.change_topology device proc"),
    ceiling(
        "execve /tmp/script 0 0",
        "\"execute\"",
        "fs.execute /tmp/script",
    ),
    ceiling(
        "mknod /made 0x2180 0x103",
        "\"make_char\"",
        "fs.make_char /",
    ),
    ceiling(
        "ioctl fd:/dev/full 0x5401 0",
        "\"ioctl_dev\"",
        "fs.ioctl_dev /dev/full",
    ),
];

/// A policy whose filters contain a rule of each kind. Only the filters are used.
const FILTERS: [(&str, &str); 3] = [
    (
        "filters.toml",
        r#"seccomp = "filter.json"
landlock = "none"
landlock_reason = "filters alone"
[ceiling]
seccomp = "ceiling.json"
landlock = "none"
landlock_reason = "filters alone"
[process]
capabilities = "inherit"
no_new_privs = true
keep_groups = false
[process.environment]
mode = "inherit"
[tty]
session = "caller"
[fds]
preserve = false
"#,
    ),
    (
        "filter.json",
        r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    { "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "names": [
        "getpid",
        "getppid"
    ] },
    { "action": "SCMP_ACT_ERRNO", "names": ["kill"],
      "args": [{ "index": 0, "value": 77, "op": "SCMP_CMP_EQ" }] },
    { "action": "SCMP_ACT_ERRNO", "errnoRet": 97,
      "names": ["socket"],
      "args": [{ "index": 0, "value": 16, "op": "SCMP_CMP_EQ" }] },
    { "action": "SCMP_ACT_KILL_PROCESS", "names": ["sync"] },
    { "action": "SCMP_ACT_TRAP", "names": ["getcpu"] },
    { "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "names": ["getpgid"] }
  ]
}
"#,
    ),
    (
        "ceiling.json",
        r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    { "action": "SCMP_ACT_ERRNO", "errnoRet": 2, "names": ["getpgid",
        "sysinfo"] },
    { "action": "SCMP_ACT_ERRNO", "names": ["getpriority"],
      "args": [{ "index": 1, "value": 0, "op": "SCMP_CMP_EQ" }],
      "includes": { "arches": ["amd64", "arm64"] } },
    { "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "names": ["times"],
      "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_GE" },
               { "index": 1, "value": 3, "op": "SCMP_CMP_LT" }] },
    { "action": "SCMP_ACT_KILL_THREAD", "names": ["acct"] }
  ]
}
"#,
    ),
];

/// A policy whose domains handle every right, without a workload filter.
const DOMAINS: [(&str, &str); 4] = [
    (
        "domains.toml",
        r#"seccomp = "none"
seccomp_reason = "domains alone"
landlock = "rules.toml"
[ceiling]
seccomp = "all.json"
landlock = "ceiling.toml"
[process]
capabilities = "inherit"
no_new_privs = true
keep_groups = false
[process.environment]
mode = "inherit"
[tty]
session = "caller"
[fds]
preserve = false
"#,
    ),
    (
        "all.json",
        r#"{ "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [{ "action": "SCMP_ACT_ERRNO", "names": ["swapoff"] }] }
"#,
    ),
    (
        "rules.toml",
        r#"abi = 6
[[ruleset]]
handled_access_fs = [
  "read_file",
  "read_dir",
  "write_file",
  "truncate",
  "make_reg",
  "make_dir",
  "make_sym",
  "make_fifo",
  "make_sock",
  "remove_file",
  "remove_dir",
  "refer",
]
handled_access_net = [
  "bind_tcp",
  "connect_tcp",
]
scoped = [
  "abstract_unix_socket",
  "signal",
]
[[path_beneath]]
allowed_access = ["read_file", "write_file", "make_reg", "truncate"]
parent = ["/bin", "/tmp", "/dev"]
"#,
    ),
    (
        "ceiling.toml",
        r#"abi = 6
[[ruleset]]
handled_access_fs = ["execute",
  "make_char",
  "ioctl_dev", "refer"]
[[path_beneath]]
allowed_access = ["execute", "refer"]
parent = ["/bin", "/etc"]
"#,
    ),
];

/// A policy for kernels with and without Landlock: its Landlock layer is best_effort. Its
/// domain refuses to create files.
const LANDLOCK: [(&str, &str); 2] = [
    (
        "landlock.toml",
        r#"seccomp = "all.json"
landlock = "makes.toml"
[ceiling]
seccomp = "all.json"
landlock = "none"
landlock_reason = "one domain is enough"
[process]
capabilities = "inherit"
no_new_privs = true
keep_groups = false
[process.environment]
mode = "inherit"
[tty]
session = "caller"
[fds]
preserve = false
[[best_effort]]
layer = "landlock"
reason = "a test"
"#,
    ),
    (
        "makes.toml",
        r#"abi = 1
[[ruleset]]
handled_access_fs = ["make_reg"]
"#,
    ),
];

/// A target that contains `call`, a process that listens outside every domain, and the
/// policies as files.
struct Scene {
    target: Target,
    listener: Child,
    policies: Policies,
}

/// The policies as files.
struct Policies(PathBuf);

impl Policies {
    fn new() -> Self {
        let directory = temporary_directory("explained");
        for (name, content) in FILTERS.iter().chain(&DOMAINS).chain(&LANDLOCK) {
            fs::write(directory.join(name), content).unwrap();
        }
        Self(directory)
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Scene {
    fn new() -> Self {
        let target = Target::with_script(
            "mkdir -p mnt; echo '#!/bin/sh' >/tmp/script; chmod +x /tmp/script",
        );
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/call.c");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-static", "-o"])
            .arg(target.root().join("bin/call"))
            .arg(source);
        succeed(gcc);
        let mut listener = Command::new("nsenter")
            .args([
                "-t",
                &target.pid().to_string(),
                "-a",
                "/bin/call",
                "listen",
                "outside",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let stdout = listener.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        assert_eq!(ready, "listening\n");
        let policies = Policies::new();
        Self {
            target,
            listener,
            policies,
        }
    }

    /// The policy's argument, and the directory of its files.
    fn policy(&self, name: &str) -> (String, PathBuf) {
        match name {
            "filters" | "domains" => {
                let file = self.policies.0.join(format!("{name}.toml"));
                (file.display().to_string(), self.policies.0.clone())
            }
            ships => {
                let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
                (ships.to_owned(), policies)
            }
        }
    }

    fn call(&self, case: &Case, explain: Option<&str>) -> std::process::Output {
        let arch = Arch::native().unwrap();
        let (policy, _) = self.policy(case.policy);
        let mut words = case.call.split(' ');
        let number = arch.number(words.next().unwrap()).unwrap().to_string();
        let mut arguments = vec!["-a", "--policy", &policy];
        arguments.extend(explain);
        arguments.extend(["--", "/bin/call", &number]);
        arguments.extend(words);
        run(self.target.nsexec(arguments))
    }

    /// `FILE:LINE` of the rule, as printed in the table.
    fn place(&self, case: &Case) -> String {
        let (_, directory) = self.policy(case.policy);
        let path = directory.join(case.file);
        let shown = if case.policy == "default" {
            case.file.to_owned()
        } else {
            path.display().to_string()
        };
        let content = fs::read_to_string(path).unwrap();
        match content.find(case.on) {
            _ if case.on.is_empty() => shown,
            Some(at) => format!("{shown}:{}", content[..at].matches('\n').count() + 1),
            None => panic!("{} has no {}", case.file, case.on),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// Auditing is global for the machine: only one run at a time may switch it.
static AUDIT: Mutex<()> = Mutex::new(());

/// At least two blanks separate columns.
fn columns(line: &str) -> Vec<&str> {
    line.trim_start()
        .split("  ")
        .map(str::trim)
        .filter(|column| !column.is_empty())
        .collect()
}

impl Case {
    /// Only the kernel's audit records contain it.
    fn is_audited(&self) -> bool {
        let is_killed = ["\"sync\"", "\"getcpu\"", "\"acct\""].contains(&self.on);
        is_killed || self.layer.ends_with("landlock")
    }
}

/// Runs these cases with and without `option`, and returns the mismatches.
fn wrong_cases<'a>(option: &str, cases: impl Iterator<Item = &'a Case>) -> Vec<String> {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for case in cases {
        let plain = scene.call(case, None);
        let explained = scene.call(case, Some(option));
        let report = text(&explained.stderr);
        let outcome = |output: &std::process::Output| (text(&output.stdout), output.status.code());
        if outcome(&plain) != outcome(&explained) {
            wrong.push(format!("{}: {plain:?} became {explained:?}", case.call));
            continue;
        }
        let name = case.call.split(' ').next().unwrap();
        let refused = match case.refused {
            "" => format!("{name}("),
            text => text.to_owned(),
        };
        let place = scene.place(case);
        let rows: Vec<Vec<&str>> = report.lines().map(columns).collect();
        let found = rows.iter().any(|row| match row.as_slice() {
            [layer, rule, what, remedy] => {
                let rest = rule.strip_prefix(&*place);
                *layer == case.layer
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':']))
                    && what.starts_with(&refused)
                    && !remedy.is_empty()
            }
            _ => false,
        });
        if !found {
            wrong.push(format!(
                "{} at {place} of {}: {report}",
                case.call, case.layer
            ));
        }
    }
    wrong
}

#[test]
fn refusals_of_filters_are_reported_by_rule_and_stay_refused() {
    support::needs!(root);
    let _alone = AUDIT.lock();
    let before = support::needs::auditing_status();
    let cases = || CASES.iter().filter(|case| !case.is_audited());
    assert!(cases().count() >= 35);
    let wrong = wrong_cases("--explain", cases());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(
        support::needs::auditing_status(),
        before,
        "auditing was switched on"
    );
}

#[test]
fn audited_refusals_are_reported_by_rule_and_stay_refused() {
    support::needs!(root, feature("Landlock: log flags"), auditing);
    let _alone = AUDIT.lock();
    let cases = || CASES.iter().filter(|case| case.is_audited());
    assert!(cases().count() >= 20);
    let wrong = wrong_cases("--explain=audit", cases());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// `--explain` makes no claim about refusals that it does not read.
#[test]
fn unreported_layers_are_named() {
    support::needs!(root);
    let _alone = AUDIT.lock();
    let target = Target::new();
    let policies = Policies::new();
    // Landlock refuses to create the file.
    let domains = policies.0.join("landlock.toml").display().to_string();
    let explained = |option: &str| {
        let arguments = ["-a", "--policy", &domains, option, "--", "sh", "-c"];
        run(target.nsexec(arguments.into_iter().chain(["echo x >/made; true"])))
    };
    let has_domain = support::features::has("Landlock: execute");
    let printed = text(&explained("--explain").stderr);
    let before = support::needs::auditing_status();
    if before == 0 {
        assert!(printed.contains("no filter of the policy"), "{printed}");
        assert_eq!(
            printed.contains("the report lacks refusals by Landlock, and calls for which a filter killed the process"),
            has_domain,
            "{printed}"
        );
        assert!(printed.contains("--explain=audit"), "{printed}");
    }
    if before == 0 && std::env::var_os("NSEXEC_TEST_AUDITING").is_none() {
        assert_eq!(
            support::needs::auditing_status(),
            0,
            "auditing was switched on"
        );
        return;
    }
    let printed = text(&explained("--explain=audit").stderr);
    if support::features::has("Landlock: log flags") {
        assert!(printed.contains("fs.make_reg"), "{printed}");
        assert!(!printed.contains("the report lacks"), "{printed}");
    } else if has_domain {
        assert!(printed.contains("no filter of the policy"), "{printed}");
        assert!(printed.contains("Linux before 6.15"), "{printed}");
    } else {
        assert!(
            printed.contains("neither a filter nor Landlock"),
            "{printed}"
        );
    }
}

#[test]
fn explain_changes_neither_the_exit_status_nor_auditing() {
    support::needs!(root);
    let _alone = AUDIT.lock();
    let target = Target::new();
    let before = support::needs::auditing_status();
    let explained = |script: &str| {
        let output = run(target.nsexec(["-a", "--explain", "--", "sh", "-c", script]));
        (output.status, text(&output.stdout), text(&output.stderr))
    };
    let (status, out, report) = explained("echo fine; exit 7");
    assert_eq!((status.code(), out.as_str()), (Some(7), "fine\n"));
    let nothing = [
        "nsexec: neither a filter nor",
        "nsexec: no filter of the policy",
    ];
    let is_nothing = |report: &str| nothing.iter().any(|start| report.starts_with(start));
    assert!(is_nothing(&report), "{report}");

    // Children of the program run under the same filters.
    let (status, _, report) = explained("sh -c 'mount -t tmpfs x /tmp; mount -t tmpfs x /tmp'");
    assert!(!status.success());
    assert!(report.contains("mount() = EPERM (2 times)"), "{report}");

    use std::os::unix::process::ExitStatusExt;
    let (status, _, _) = explained("kill -9 $$");
    assert_eq!(status.signal(), Some(9));

    // Processes that outlive the program do not delay the end, and stay restricted.
    let begin = "(sleep 2; mount -t tmpfs x /tmp && touch /tmp/mounted; echo $? >/result)";
    let (status, _, report) = explained(&format!("{begin} >/dev/null 2>&1 & exit 0"));
    assert!(status.success() && is_nothing(&report), "{report}");
    let result = target.root().join("result");
    while !fs::read_to_string(&result).is_ok_and(|text| text.ends_with('\n')) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_ne!(fs::read_to_string(result).unwrap(), "0\n");
    assert_eq!(support::needs::auditing_status(), before);

    let missing = run(target.nsexec(["-a", "--explain", "--", "/no/such"]));
    assert_eq!(missing.status.code(), Some(127));
    assert!(!text(&missing.stderr).contains("refused"), "{missing:?}");
    assert_eq!(support::needs::auditing_status(), before);

    let planned = succeed(target.nsexec(["-a", "--explain", "--dry-run", "--", "true"]));
    assert!(planned.contains("\"explain\":true"), "{planned}");
}

#[test]
fn the_explainer_keeps_little_and_reports_missing_rights() {
    support::needs!(root);
    let _alone = AUDIT.lock();
    let before = support::needs::auditing_status();
    let target = Target::new();
    // While the program runs, the helper's other child has at most CAP_AUDIT_CONTROL, a
    // filter, and as descriptors only 2, its pipes and its socket.
    let mut helper = target
        .nsexec([
            "-a",
            "--explain",
            "--",
            "sh",
            "-c",
            "echo up; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut up = String::new();
    let stdout = helper.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut up).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", helper.id());
    let children = fs::read_to_string(children).unwrap();
    let explainer = children.split_whitespace().next().unwrap();
    let status = fs::read_to_string(format!("/proc/{explainer}/status")).unwrap();
    let field = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let held = u64::from_str_radix(&field("CapPrm:"), 16).unwrap();
    assert_eq!(held & !(1 << 30), 0, "{held:x}");
    assert_eq!(
        (field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()),
        ("1", "2")
    );
    let open = fs::read_dir(format!("/proc/{explainer}/fd"))
        .unwrap()
        .count();
    assert!(open <= 6, "{open}");
    assert_eq!(
        support::needs::auditing_status(),
        before,
        "auditing was switched on"
    );
    helper.kill().unwrap();
    helper.wait().unwrap();
    // It ends with the helper, and restores the state of auditing.
    while fs::metadata(format!("/proc/{explainer}/exe")).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    let setpriv = |less: &str, explain: &str| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--bounding-set", less, "--inh-caps", less]);
        setpriv
            .arg(support::NSEXEC)
            .args(["-t", &target.pid().to_string(), "-a", explain]);
        setpriv.args(["--", "sh", "-c", "mount -t tmpfs x /tmp"]);
        run(setpriv)
    };
    let without = setpriv("-sys_ptrace", "--explain");
    assert_eq!(without.status.code(), Some(125), "{without:?}");
    assert!(
        text(&without.stderr).contains("CAP_SYS_PTRACE"),
        "{without:?}"
    );
    let unaudited = text(&setpriv("-audit_control,-audit_read", "--explain").stderr);
    assert!(unaudited.contains("mount() = EPERM"), "{unaudited}");
    assert!(
        unaudited.contains("the report lacks") && unaudited.contains("CAP_AUDIT_CONTROL"),
        "{unaudited}"
    );
    // If auditing cannot be switched on, nothing is started.
    let refused = setpriv("-audit_control,-audit_read", "--explain=audit");
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
    let printed = text(&refused.stderr);
    assert!(printed.contains("CAP_AUDIT_CONTROL"), "{printed}");
}

#[test]
fn without_a_child_there_is_nothing_to_explain() {
    let mut both = Command::new(support::NSEXEC);
    both.args(["-t", "1", "--explain", "-F", "--", "true"]);
    let report = support::fail(both, 125);
    assert!(
        report.contains("--explain") && report.contains("--no-fork"),
        "{report}"
    );
}
