//! The command line against a real target: the behaviour that nsenter(1) users expect, and
//! the additions.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::process::{Command, Stdio};

use support::{Build, NSEXEC, Target, fail, run, succeed, text};

const NAMESPACES: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

#[test]
fn all_namespaces_are_the_targets() {
    support::needs!(root);
    let target = Target::new();
    let links = "for n in cgroup ipc mnt net pid uts user time; do readlink /proc/self/ns/$n; done";
    let seen = target.shell(links);
    let mut expected: Vec<String> = NAMESPACES.iter().map(|ns| target.namespace(ns)).collect();
    expected.push(target.namespace("user"));
    expected.push(target.namespace("time"));
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    assert_eq!(target.shell("hostname"), "target\n");
    assert_eq!(target.shell("pwd"), "/\n");
}

#[test]
fn only_the_requested_namespaces_are_joined() {
    support::needs!(root);
    let target = Target::new();
    let own = |ns: &str| fs::read_link(format!("/proc/self/ns/{ns}")).unwrap();
    for (option, joined) in [
        ("-u", "uts"),
        ("-n", "net"),
        ("-i", "ipc"),
        ("-C", "cgroup"),
    ] {
        for namespace in ["uts", "net", "ipc", "cgroup", "mnt"] {
            let link = format!("/proc/self/ns/{namespace}");
            let seen = succeed(target.nsexec([option, "--", "/bin/readlink", &link]));
            let expected = if namespace == joined {
                target.namespace(namespace)
            } else {
                own(namespace).to_string_lossy().into_owned()
            };
            assert_eq!(seen.trim_end(), expected, "{option} {namespace}");
        }
    }
}

#[test]
fn a_target_alone_means_all_namespaces() {
    support::needs!(root);
    let target = Target::new();
    assert_eq!(succeed(target.nsexec(["hostname"])), "target\n");
}

#[test]
fn namespaces_can_be_files() {
    support::needs!(root);
    let target = Target::new();
    let file = format!("--uts=/proc/{}/ns/uts", target.pid());
    let mut command = Command::new(NSEXEC);
    command.args([&file, "--", "hostname"]);
    assert_eq!(succeed(command), "target\n");
    let mut wrong = Command::new(NSEXEC);
    wrong
        .arg(format!("--net=/proc/{}/ns/uts", target.pid()))
        .args(["--", "true"]);
    let message = fail(wrong, 125);
    assert!(message.contains("of the type uts, not net"), "{message}");
    let mut wrong = Command::new(NSEXEC);
    wrong.args(["--net=/etc/passwd", "--", "true"]);
    assert!(fail(wrong, 125).contains("is not a namespace file"));
}

#[test]
fn a_mount_namespace_as_a_file_brings_its_own_root() {
    support::needs!(root);
    let target = Target::new();
    let mut command = Command::new(NSEXEC);
    command.arg(format!("--mount=/proc/{}/ns/mnt", target.pid()));
    command.args(["--", "sh", "-c", "echo $HOME; pwd; ls /"]);
    let seen = succeed(command);
    assert_eq!(
        seen,
        "/root\n/\nbin\ndev\netc\nhome\nold\nproc\nroot\ntmp\n"
    );
}

#[test]
fn a_user_namespace_makes_root_inside() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    let seen = target.shell("id -u; id -g; cat /proc/self/uid_map; grep Groups /proc/self/status");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..2], ["0", "0"]);
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
    assert_eq!(lines[3].trim_end(), "Groups:");
    let map = fs::read_to_string(format!("/proc/{}/uid_map", target.pid())).unwrap();
    assert!(map.contains("100000"));
    assert_eq!(
        succeed(target.nsexec(["-a", "--", "readlink", "/proc/self/ns/user"])).trim_end(),
        target.namespace("user")
    );
}

#[test]
fn ids_are_the_requested_ones() {
    support::needs!(root);
    let target = Target::new();
    let ids = |options: &[&str]| {
        let mut command = target.nsexec(["-a"]);
        command
            .args(options)
            .args(["--", "sh", "-c", "id -u; id -g; id -G; echo $HOME $USER"]);
        succeed(command)
    };
    assert_eq!(
        ids(&["-S", "1000", "-G", "1000"]),
        "1000\n1000\n1000\n/home/ann ann\n"
    );
    assert_eq!(ids(&["-S", "4000"]), "4000\n0\n0\n/\n");
    assert_eq!(ids(&[]), "0\n0\n0\n/root root\n");
}

#[test]
fn follow_takes_the_targets_ids() {
    support::needs!(root);
    let target = Target::build(&Build {
        program: Some("su -s /bin/sh ann -c 'exec sleep 1000'".to_owned()),
        ..Build::default()
    });
    let mut command = target.nsexec(["-a", "-S", "follow", "-G", "follow"]);
    command.args(["--", "sh", "-c", "id -u; id -g"]);
    // The line "ready" appears before su(1) has changed the user.
    for _ in 0..100 {
        let status = fs::read_to_string(format!("/proc/{}/status", target.pid())).unwrap();
        if status.contains("Uid:\t1000") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(succeed(command), "1000\n1000\n");
}

#[test]
fn follow_is_translated_into_a_user_namespace() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    let mut command = target.nsexec(["-a", "-S", "follow", "-G", "follow"]);
    command.args(["--", "sh", "-c", "id -u; id -g"]);
    assert_eq!(succeed(command), "0\n0\n");
}

#[test]
fn the_program_gets_the_policys_environment() {
    support::needs!(root);
    let target = Target::new();
    let mut command = target.nsexec(["-a", "--env=ADDED=a=b", "--env=TAKEN", "--", "env"]);
    command.env_clear().envs([
        ("TERM", "xterm"),
        ("LC_ALL", "C"),
        ("SECRET", "s"),
        ("LD_PRELOAD", ""),
        ("TAKEN", "t"),
        ("PATH", "/nowhere"),
    ]);
    let mut seen: Vec<String> = succeed(command).lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "ADDED=a=b",
            "HOME=/root",
            "LC_ALL=C",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SHELL=/bin/sh",
            "TAKEN=t",
            "TERM=xterm",
            "USER=root",
        ]
    );
}

#[test]
fn e_takes_the_targets_environment() {
    support::needs!(root);
    let target = Target::build(&Build {
        program: Some("env -i FROM=target PATH=/bin sleep 1000".to_owned()),
        ..Build::default()
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    let seen = succeed(target.nsexec(["-a", "-e", "--", "env"]));
    assert_eq!(seen, "FROM=target\nPATH=/bin\n");
}

#[test]
fn directories_are_inside_the_target() {
    support::needs!(root);
    let target = Target::with_script("mkdir /tmp/work; ln -s /etc /tmp/link; cd /tmp/work;");
    let pwd = |options: &[&str]| {
        let mut command = target.nsexec(["-a"]);
        command.args(options).args(["--", "pwd", "-P"]);
        command
    };
    assert_eq!(succeed(pwd(&["-w"])), "/tmp/work\n");
    assert_eq!(succeed(pwd(&["-w=/tmp/link"])), "/etc\n");
    assert_eq!(succeed(pwd(&["-W", "/tmp/link"])), "/etc\n");
    assert_eq!(succeed(pwd(&["-w=/../../etc"])), "/etc\n");
    let message = fail(pwd(&["-w=/usr/share/doc"]), 125);
    assert!(
        message.contains("looked up inside the target's root"),
        "{message}"
    );
    fail(pwd(&["-W", "/proc/self/fd/0"]), 125);
    fail(pwd(&["-W", "/proc/self/cwd"]), 125);
}

#[test]
fn a_root_can_be_given_without_a_mount_namespace() {
    support::needs!(root);
    let target = Target::new();
    let mut command = target.nsexec(["-r", "-u", "--", "sh", "-c", "pwd; ls /; hostname"]);
    command.current_dir("/");
    assert_eq!(
        succeed(command),
        "/\nbin\ndev\netc\nhome\nold\nproc\nroot\ntmp\ntarget\n"
    );
    let mut outside = target.nsexec(["-u", "-r", "-w=/usr", "--", "/bin/true"]);
    outside.current_dir("/");
    let message = fail(outside, 125);
    assert!(message.contains("outside the program's root"), "{message}");
}

#[test]
fn exit_statuses_are_those_of_env() {
    support::needs!(root);
    let target = Target::with_script(
        "printf x > /tmp/plain; printf '#!/none\\n' > /tmp/script; chmod +x /tmp/script; printf 'x' > /tmp/text; chmod +x /tmp/text;",
    );
    for status in [0, 1, 7, 125, 126, 127, 255] {
        let output = run(target.nsexec(["-a", "--", "sh", "-c", &format!("exit {status}")]));
        assert_eq!(output.status.code(), Some(status));
    }
    for (program, status) in [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("/tmp/plain", 126),
        ("/tmp", 126),
        ("/tmp/script", 126),
        ("/tmp/text", 126),
    ] {
        let message = fail(target.nsexec(["-a", "--", program]), status);
        assert!(
            message.starts_with(&format!("nsexec: exec: {program:?}: ")),
            "{message}"
        );
    }
}

#[test]
fn a_signal_that_ends_the_program_ends_nsexec() {
    support::needs!(root);
    use std::os::unix::process::ExitStatusExt;
    let target = Target::new();
    // Not SIGQUIT, which the shell of busybox ignores.
    for signal in [1, 2, 6, 9, 11, 15, 35] {
        let script = format!("kill -{signal} $$; sleep 5");
        let status = run(target.nsexec(["-a", "--", "sh", "-c", &script])).status;
        assert_eq!(status.signal(), Some(signal), "{status}");
        assert!(!status.core_dumped());
    }
}

#[test]
fn signals_sent_to_nsexec_reach_the_program() {
    support::needs!(root);
    let target = Target::new();
    for signal in ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH"] {
        let script =
            format!("trap 'echo got; exit 3' {signal}; echo ready; while :; do sleep 0.05; done");
        let mut command = target.nsexec(["-a", "--", "sh", "-c", &script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        assert_eq!(line, "ready\n");
        let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
        succeed({
            let mut command = Command::new("kill");
            command.args(kill);
            command
        });
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
        assert_eq!(rest, "got\n", "{signal}");
        assert_eq!(child.wait().unwrap().code(), Some(3), "{signal}");
    }
}

#[test]
fn the_program_ends_with_nsexec() {
    support::needs!(root);
    let target = Target::new();
    let mut child = target
        .nsexec(["-a", "--", "sh", "-c", "echo $$; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The pipe ends when the last process with its write end, the program, ends.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    assert_eq!(rest, "");
    // Its parent is now the target's init, which does not reap: the process is a zombie
    // with an empty command line, or does not exist.
    let pid = line.trim();
    let gone = target.shell(&format!(
        "grep -q . /proc/{pid}/cmdline && echo there || echo gone"
    ));
    assert_eq!(gone, "gone\n");
}

#[test]
fn without_fork_nsexec_becomes_the_program() {
    support::needs!(root);
    let target = Target::new();
    let mut child = target
        .nsexec([
            "-m",
            "-u",
            "-F",
            "--",
            "sh",
            "-c",
            "hostname; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "target\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    let name = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(name, "sleep\n");
    let message = fail(
        target.nsexec(["-m", "-F", "--", "nothing-of-this-name"]),
        127,
    );
    assert!(message.contains("nothing-of-this-name"), "{message}");
}

#[test]
fn the_default_program_is_the_login_shell() {
    support::needs!(root);
    let target = Target::new();
    let mut command = target.nsexec(["-a"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    use std::io::Write;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo $0; hostname\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "-sh\ntarget\n");
}

#[test]
fn a_cgroup_is_joined_before_the_program_runs() {
    support::needs!(root);
    let Some(cgroup) = support::cgroup::Cgroup::new() else {
        panic!("no cgroup hierarchy can be written to");
    };
    let target = Target::new();
    cgroup.add(target.pid());
    let seen = succeed(target.nsexec(["-m", "-p", "-u", "-c", "--", "cat", "/proc/self/cgroup"]));
    assert!(seen.contains(cgroup.name()), "{seen}");
    // The default policy joins the cgroups without -c.
    let admin = [
        "-m",
        "-p",
        "-u",
        "--policy",
        "admin",
        "--",
        "cat",
        "/proc/self/cgroup",
    ];
    let without = succeed(target.nsexec(admin));
    assert!(!without.contains(cgroup.name()), "{without}");
}

#[test]
fn the_network_namespace_of_a_socket_can_be_joined() {
    support::needs!(root);
    let target = Target::build(&Build {
        program: Some("nc -l -p 4000".to_owned()),
        script: "ip link set lo up;".to_owned(),
        ..Build::default()
    });
    let mut socket = None;
    for _ in 0..100 {
        let directory = format!("/proc/{}/fd", target.pid());
        socket = fs::read_dir(directory)
            .unwrap()
            .flatten()
            .find_map(|entry| {
                let link = fs::read_link(entry.path()).ok()?;
                link.to_string_lossy()
                    .starts_with("socket:")
                    .then(|| entry.file_name())
            });
        if socket.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let socket = socket.expect("a listening socket").into_string().unwrap();
    let mut command = target.nsexec(["-N", &socket, "--", "/bin/readlink", "/proc/self/ns/net"]);
    command.stdin(Stdio::null());
    assert_eq!(succeed(command).trim_end(), target.namespace("net"));
}

#[test]
fn dry_run_changes_nothing_and_prints_the_plan() {
    support::needs!(root);
    let target = Target::new();
    let plan = succeed(target.nsexec(["-a", "--dry-run", "--", "touch", "/tmp/made"]));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    for (name, action) in [
        ("cgroup", "join"),
        ("ipc", "join"),
        ("uts", "join"),
        ("net", "join"),
        ("pid", "join"),
        ("mnt", "join"),
        ("time", "shared"),
        ("user", "shared"),
    ] {
        let decision = &plan["namespaces"][name];
        assert_eq!(decision["action"], action, "{name}");
        let link = target.namespace(name);
        let inode = decision["inode"].as_u64().unwrap();
        assert_eq!(link, format!("{name}:[{inode}]"));
    }
    assert_eq!(plan["target"]["pid"], target.pid());
    assert_eq!(plan["policy"], "default");
    assert_eq!(plan["layers"]["ceiling"]["seccomp"]["in_force"], true);
    assert_eq!(
        plan["layers"]["workload"]["landlock"]["in_force"],
        support::features::has("Landlock: refer")
    );
    assert_eq!(plan["program"], serde_json::json!(["touch", "/tmp/made"]));
    assert!(!target.root().join("tmp/made").exists());
}

#[test]
fn help_version_and_features_are_printed() {
    support::needs!(root);
    let printed = |option: &str| {
        let mut command = Command::new(NSEXEC);
        command.arg(option);
        succeed(command)
    };
    let help = printed("-h");
    assert_eq!(help, printed("--help"));
    assert!(
        help.lines().count() <= 45,
        "one screen: {}",
        help.lines().count()
    );
    assert!(help.lines().all(|line| line.chars().count() <= 80));
    assert_eq!(
        printed("-V"),
        format!("nsexec {}\n", env!("CARGO_PKG_VERSION"))
    );
    let features = printed("--features");
    assert!(features.starts_with("feature"), "{features}");
    assert!(features.contains("Landlock"), "{features}");
}

/// A process in a user namespace that is nested in another one, with a network namespace
/// that the inner one owns.
struct Grandchild {
    unshare: std::process::Child,
    pid: String,
    /// The outer user namespace.
    parent: String,
}

impl Grandchild {
    fn new() -> Self {
        let script = "readlink /proc/self/ns/user; \
                      exec unshare -Urn --fork --kill-child sh -c 'echo ready; exec sleep 1000'";
        let mut unshare = Command::new("unshare")
            .args(["-Ur", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(unshare.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
            line.trim_end().to_owned()
        };
        let parent = line();
        assert_eq!(line(), "ready");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = fs::read_to_string(children).unwrap().trim().to_owned();
        Self {
            unshare,
            pid,
            parent,
        }
    }

    fn namespace(&self, name: &str) -> String {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", self.pid)).unwrap();
        link.to_string_lossy().into_owned()
    }
}

impl Drop for Grandchild {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

#[test]
fn the_parent_of_a_user_namespace_can_be_joined() {
    support::needs!(root);
    let target = Grandchild::new();
    let (pid, net) = (target.pid.as_str(), target.namespace("net"));
    let (user, net_file) = (
        format!("--user=/proc/{pid}/ns/user"),
        format!("--net=/proc/{pid}/ns/net"),
    );
    let script = "readlink /proc/self/ns/user /proc/self/ns/net; id -u";
    for (options, owner) in [
        (&["-t", pid, "-n"][..], &target.parent),
        (&["-t", pid, "-n", "-U"], &target.parent),
        (&["-t", pid, "-a"], &target.parent),
        (&[&net_file, &user], &target.parent),
        // Without a target: the owner of the given namespace.
        (&[&net_file], &target.namespace("user")),
    ] {
        let mut command = Command::new(NSEXEC);
        command
            .args(options)
            .args(["--user-parent", "--", "/bin/sh", "-c", script]);
        let seen = succeed(command);
        let expected = [owner.as_str(), &net, "0"];
        assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{options:?}");
    }
    // The target's ids have other numbers there.
    for options in [["--user-parent", "-Sfollow"], ["--user-parent", "-Gfollow"]] {
        let mut command = Command::new(NSEXEC);
        command.args(["-t", pid, "-n", "-U"]).args(options);
        command.args(["--", "true"]).stdin(Stdio::null());
        let message = fail(command, 125);
        assert!(message.contains("give a number"), "{message}");
    }
    let mut command = Command::new(NSEXEC);
    command.args([
        "-t", pid, "-n", &user, "-Sfollow", "-Gfollow", "--", "id", "-u",
    ]);
    let inside = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    let inside = inside.split_whitespace().next().unwrap().to_owned();
    assert_eq!(succeed(command).trim(), inside);
    // The parent is the caller's own.
    let target = Target::with_user_namespace();
    let message = fail(target.nsexec(["-n", "--user-parent", "--", "true"]), 125);
    assert!(
        message.contains("leave -U and --user-parent out"),
        "{message}"
    );
}

#[test]
fn a_time_namespace_can_be_joined() {
    support::needs!(root);
    let mut holder = Command::new("unshare")
        .args([
            "--time",
            "--boottime",
            "100000000",
            "--fork",
            "--kill-child",
            "sleep",
            "1000",
        ])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let children = format!("/proc/{0}/task/{0}/children", holder.id());
    let pid = fs::read_to_string(children).unwrap().trim().to_owned();
    let mut command = Command::new(NSEXEC);
    command
        .args(["-t", &pid, "-T", "--", "/bin/cat", "/proc/uptime"])
        .stdin(Stdio::null());
    let uptime = succeed(command);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!(seconds > 1e8, "{uptime}");
}

#[test]
fn capabilities_of_a_user_namespace_are_kept_on_request() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    let ambient = |options: &[&str]| {
        let mut command = target.nsexec(["-a", "-S", "1000", "-G", "1000"]);
        command.args(options).args([
            "--",
            "sh",
            "-c",
            "grep -E 'CapEff|CapAmb' /proc/self/status",
        ]);
        succeed(command)
    };
    let none = "0000000000000000";
    assert_eq!(ambient(&[]), format!("CapEff:\t{none}\nCapAmb:\t{none}\n"));
    let kept = "00000000a00425fb";
    assert_eq!(
        ambient(&["--keep-caps"]),
        format!("CapEff:\t{kept}\nCapAmb:\t{kept}\n")
    );
}

#[test]
fn a_namespace_that_no_id_names_is_refused_with_the_reason() {
    support::needs!(root);
    // From Linux 6.19 on, small ids refer to namespaces.
    let mut command = Command::new(NSEXEC);
    command
        .args(["--uts=:4611686018427387904", "--", "true"])
        .stdin(Stdio::null());
    let message = fail(command, 125);
    assert!(
        message.contains("no namespace with the id 4611686018427387904"),
        "{message}"
    );
    assert!(message.contains("requires Linux 6.19"), "{message}");
}

#[test]
fn capabilities_are_kept_of_a_joined_user_namespace_only() {
    support::needs!(root);
    let target = Target::new();
    for policy in ["default", "admin", "strict"] {
        let name = "capabilities_are_kept_of_a_joined_user_namespace_only";
        if !support::features::can_use(policy, name) {
            continue;
        }
        let options = ["-a", "--policy", policy, "-S", "1000", "--keep-caps"];
        let message = fail(target.nsexec([&options[..], &["--", "true"]].concat()), 125);
        assert!(
            message.contains("--keep-caps: no user namespace"),
            "{message}"
        );
    }
    let message = fail(
        target.nsexec(["-n", "-S", "1000", "--keep-caps", "--", "true"]),
        125,
    );
    assert!(message.contains("--keep-caps"), "{message}");
}

#[test]
fn a_context_without_selinux_is_a_warning() {
    let test = "a_context_without_selinux_is_a_warning";
    support::needs!(root);
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        support::leave_out(test, "this kernel runs with SELinux");
        return;
    }
    let target = Target::new();
    let output = run(target.nsexec(["-Z", "--", "hostname"]));
    assert_eq!(text(&output.stdout), "target\n");
    assert!(output.status.success());
    let printed = text(&output.stderr);
    assert!(printed.contains("warning: -Z does nothing"), "{printed}");
}

#[test]
fn mistakes_of_nsenters_users_get_a_hint() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    for (words, expected) in [
        (&["-mt", &pid][..], "write the letters apart"),
        (&["-t", &pid, "-muinp"], "the namespace file uinp: ENOENT"),
        (&["-t", &pid, "--foo"], "unknown option --foo; see --help"),
        (&["-t", &pid, "--polcy=x"], "did you mean --policy?"),
        (&["-t", &pid, "-N", "99"], "descriptor 99 of process"),
        (&["-t", &pid, "-N", "99"], "is not open"),
        (&["-t", &pid, "-N", "99"], "/fd lists those that are"),
    ] {
        let mut command = Command::new(NSEXEC);
        command
            .args(words)
            .args(["--", "true"])
            .stdin(Stdio::null());
        let message = fail(command, 125);
        assert!(message.contains(expected), "{words:?}: {message}");
    }
}

/// Joining a user namespace fills the bounding set, regardless of the caller's.
#[test]
fn a_caller_with_few_capabilities_joins_a_user_namespace() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    for options in [
        &["--policy=default"][..],
        &["--policy=admin", "--keep-caps"],
    ] {
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", "-net_raw,-kill", NSEXEC, "-t"])
            .arg(target.pid().to_string())
            .args(options)
            .args(["--", "hostname"]);
        assert_eq!(succeed(command), "target\n", "{options:?}");
    }
}
