//! Protocol A against a real target, with this test as libcontainer.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::sys::wait::WaitStatus;
use serde_json::json;
use support::protocol_a::{Exec, assert_exited, assert_success, config, hand_over, pid_of, shell};
use support::{Build, NSEXEC, Target, temporary_directory};

#[test]
fn the_program_runs_in_the_targets_namespaces() {
    support::needs!(root);
    let target = Target::new();
    let links = "for n in ipc uts net pid mnt user; do readlink /proc/self/ns/$n; done; pwd";
    let outcome = Exec::into(target.pid()).run_config(&shell(links));
    assert_success(&outcome);
    let mut expected: Vec<String> = ["ipc", "uts", "net", "pid", "mnt", "user"]
        .map(|ns| target.namespace(ns))
        .into();
    expected.push("/".to_owned());
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_cgroup_namespace_is_left_as_it_is() {
    support::needs!(root);
    let target = Target::new();
    let outcome = Exec::into(target.pid()).run_config(&shell("readlink /proc/self/ns/cgroup"));
    assert_ne!(outcome.stdout.trim_end(), target.namespace("cgroup"));
}

#[test]
fn the_reported_pid_is_the_childs_to_the_byte() {
    support::needs!(root);
    let target = Target::new();
    let outcome = Exec::into(target.pid()).run_config(&shell("echo $$"));
    // pid_of checks every byte; waitpid shows that it is a child of this process.
    let pid = pid_of(&outcome.line);
    assert!(matches!(outcome.child, Some(WaitStatus::Exited(child, 0)) if child.as_raw() == pid));
    assert!(outcome.helper.success());
}

#[test]
fn the_environment_comes_from_initconfig() {
    support::needs!(root);
    let target = Target::new();
    let mut config = config(&["env"]);
    config["env"] = json!(["PATH=/bin", "A=1", "B=x=y", "A=2", "EMPTY="]);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(
        outcome.stdout,
        "PATH=/bin\nA=2\nB=x=y\nEMPTY=\nHOME=/root\n"
    );
}

#[test]
fn home_is_the_users_unless_it_is_given() {
    support::needs!(root);
    let target = Target::new();
    let home = |user: &str, env: serde_json::Value| {
        let mut config = shell("echo $HOME");
        config["user"] = json!(user);
        config["env"] = env;
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_success(&outcome);
        outcome.stdout
    };
    assert_eq!(home("ann", json!(["PATH=/bin"])), "/home/ann\n");
    assert_eq!(home("ann", json!(["PATH=/bin", "HOME="])), "/home/ann\n");
    assert_eq!(home("ann", json!(["PATH=/bin", "HOME=/x"])), "/x\n");
    assert_eq!(home("4711", json!(["PATH=/bin"])), "/\n");
}

#[test]
fn users_and_groups_are_the_containers() {
    support::needs!(root);
    let target = Target::new();
    let ids = |user: &str, additional: serde_json::Value| {
        let mut config = shell("id -u; id -g; grep Groups: /proc/self/status | cut -f2");
        config["user"] = json!(user);
        config["config"]["additional_groups"] = additional;
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_success(&outcome);
        outcome
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids("", json!(null)), "0 0 29");
    assert_eq!(ids("ann", json!(null)), "1000 1000 29 50");
    assert_eq!(ids("1000", json!(null)), "1000 1000 29 50");
    assert_eq!(ids("ann:staff", json!(null)), "1000 50");
    assert_eq!(ids("1000:0", json!(["audio", "77"])), "1000 0 29 77");
    assert_eq!(ids("4711", json!(null)), "4711 0");
    // CVE-2016-3697: a user named "1001" has uid 0 in the passwd file.
    assert_eq!(ids("1001", json!(null)), "1001 0");
}

#[test]
fn capabilities_are_exactly_those_of_initconfig() {
    support::needs!(root);
    let target = Target::new();
    let sets = |user: &str, capabilities: serde_json::Value| {
        let mut config = shell("grep Cap /proc/self/status | cut -f2");
        config["user"] = json!(user);
        config["capabilities"] = capabilities;
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_success(&outcome);
        outcome
            .stdout
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let none = "0000000000000000";
    let docker = "00000000a80425fb";
    // Inheritable, permitted, effective, bounding, ambient. The sample contains Docker's
    // default list.
    assert_eq!(sets("", json!(null)), [none, docker, docker, docker, none]);
    assert_eq!(sets("ann", json!(null)), [none, none, none, docker, none]);
    assert_eq!(sets("", json!([])), [none; 5]);
    let kill = "0000000000000020";
    assert_eq!(
        sets("", json!(["CAP_KILL"])),
        [none, kill, kill, kill, none]
    );
}

#[test]
fn limits_and_directory_and_oom_are_set() {
    support::needs!(root);
    let target = Target::with_script("mkdir /tmp/work; chown ann /tmp/work; chmod 700 /tmp/work;");
    let mut config = shell("pwd; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj");
    config["cwd"] = json!("/tmp/work");
    config["user"] = json!("ann");
    config["config"]["oom_score_adj"] = json!(500);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "/tmp/work\n900\n1000\n500\n");
}

#[test]
fn oom_score_adj_reaches_a_user_namespace() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    let mut config = shell("cat /proc/self/oom_score_adj");
    config["config"]["oom_score_adj"] = json!(300);
    let mut exec = Exec::into(target.pid());
    // libcontainer changes the owner of the pipes to the container's root before.
    exec.owner = Some(support::OUTSIDE);
    let outcome = exec.run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "300\n");
}

#[test]
fn a_directory_outside_is_refused() {
    support::needs!(root);
    let target = Target::with_script("ln -s /proc/self/fd/3 /tmp/out;");
    for cwd in [
        "/proc/self/fd/3",
        "/proc/self/fd/4",
        "/tmp/out",
        "/proc/1/root",
        "/nowhere",
    ] {
        let mut config = shell("pwd");
        config["cwd"] = json!(cwd);
        config["passed_files_count"] = json!(1);
        let mut exec = Exec::into(target.pid());
        exec.files.push(File::open("/").unwrap().into());
        let outcome = exec.run_config(&config);
        assert_exited(&outcome, 1);
        assert_ne!(outcome.message(), "");
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn only_passed_files_are_inherited() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("passed");
    let path = directory.join("file");
    fs::write(&path, "content\n").unwrap();
    let mut exec = Exec::into(target.pid());
    exec.files.push(File::open(&path).unwrap().into());
    exec.files.push(File::open("/dev/null").unwrap().into());
    let mut config = shell("cat <&3; ls /proc/$$/fd; true");
    config["passed_files_count"] = json!(2);
    let outcome = exec.run_config(&config);
    fs::remove_dir_all(directory).unwrap();
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "content\n0\n1\n2\n3\n4\n");
}

#[test]
fn standard_descriptors_belong_to_the_user() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("stdio");
    let path = directory.join("input");
    fs::write(&path, "").unwrap();
    let mut exec = Exec::into(target.pid());
    exec.stdin = File::open(&path).unwrap().into();
    let mut config = shell("stat -L -c %u:%g /proc/self/fd/0");
    config["user"] = json!("ann");
    let outcome = exec.run_config(&config);
    fs::remove_dir_all(directory).unwrap();
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "1000:1000\n");
    // /dev/null belongs to all users: nsexec does not change its owner.
    let owner = fs::metadata("/dev/null").unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
}

#[test]
fn the_configs_seccomp_filter_is_in_force() {
    support::needs!(root);
    let target = Target::new();
    let mut config =
        shell("mkdir /tmp/made 2>&1; grep Seccomp_filters /proc/self/status | cut -f2");
    config["config"]["seccomp"] = json!({
        "default_action": -1,
        "architectures": ["amd64", "x86", "x32"],
        "syscalls": [
            { "name": "mkdir", "action": -3, "args": null },
            { "name": "mkdirat", "action": -3, "args": [] },
            { "name": "no_such_call", "action": -3, "args": null },
        ],
    });
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert!(
        outcome.stdout.contains("Operation not permitted"),
        "{outcome:?}"
    );
    assert!(
        outcome.stdout.ends_with("2\n"),
        "the ceiling and this: {outcome:?}"
    );
    assert!(outcome.stderr.contains("no_such_call"), "{outcome:?}");
}

#[test]
fn a_2015_allow_list_runs_a_program() {
    support::needs!(root);
    // The list contains neither seccomp(2) nor close_range(2) nor setuid(2).
    let target = Target::new();
    let names = [
        "execve",
        "brk",
        "arch_prctl",
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "mprotect",
        "prlimit64",
        "readlinkat",
        "readlink",
        "getrandom",
        "write",
        "exit_group",
        "uname",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "fstat",
        "newfstatat",
        "ioctl",
        "mmap",
    ];
    let syscalls: Vec<_> = names
        .iter()
        .map(|name| json!({ "name": name, "action": -1, "args": null }))
        .collect();
    let mut config = config(&["echo", "fine"]);
    config["user"] = json!("ann");
    config["config"]["seccomp"] =
        json!({ "default_action": -3, "architectures": null, "syscalls": syscalls });
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "fine\n");
}

#[test]
fn programs_are_looked_up_in_the_containers_path() {
    support::needs!(root);
    let target = Target::with_script(
        "mkdir /tmp/own; printf '#!/bin/sh\\necho own' > /tmp/own/tool; chmod +x /tmp/own/tool; touch /tmp/plain; printf '#!/no/such\\n' > /tmp/orphan; chmod +x /tmp/orphan;",
    );
    let mut config = config(&["tool"]);
    config["env"] = json!(["PATH=/nowhere:/tmp/own"]);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "own\n");
    // Engines distinguish "not found" and "not executable" by these texts.
    for (program, text) in [
        (
            "unexistent",
            "exec: \"unexistent\": executable file not found in $PATH",
        ),
        (
            "/no/such",
            "exec: \"/no/such\": stat /no/such: no such file or directory",
        ),
        ("/tmp/plain", "exec: \"/tmp/plain\": permission denied"),
        ("/tmp", "exec: \"/tmp\": permission denied"),
        (
            "/tmp/orphan",
            "exec: \"/tmp/orphan\": no such file or directory",
        ),
    ] {
        let outcome = Exec::into(target.pid()).run_config(&support::protocol_a::config(&[program]));
        assert_exited(&outcome, 1);
        assert!(outcome.message().starts_with(text), "{outcome:?}");
        assert!(outcome.stderr.contains(text), "{outcome:?}");
    }
    let mut elsewhere = support::protocol_a::config(&["true"]);
    elsewhere["cwd"] = json!("/no/such");
    let outcome = Exec::into(target.pid()).run_config(&elsewhere);
    assert_exited(&outcome, 1);
    let message = outcome.message();
    assert!(message.contains("no such file or directory"), "{message}");
}

#[test]
fn the_console_is_the_controlling_terminal() {
    support::needs!(root);
    let target = Target::new();
    let pty = nix::pty::openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let mut exec = Exec::into(target.pid());
    exec.set("_LIBCONTAINER_CONSOLE_PATH", path.to_str().unwrap());
    // The program is a session leader with its own session, process group and terminal. The
    // script uses no pipe, because the shell would keep its end open; and ls is not the
    // last command, because the shell would execute ls in its own process.
    let script = "cut -d' ' -f1,5,6,7 /proc/$$/stat; test -t 0 && test -t 1 && test -t 2 && echo tty; ls -1 /proc/$$/fd; :";
    let mut config = shell(script);
    config["user"] = json!("ann");
    let outcome = exec.run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "", "standard output is the console");
    drop(pty.slave);
    let mut seen = String::new();
    // EIO: the last process has closed its end.
    let _ = File::from(pty.master).read_to_string(&mut seen);
    let lines: Vec<&str> = seen.lines().collect();
    let stat: Vec<i64> = lines[0].split(' ').map(|n| n.parse().unwrap()).collect();
    assert_eq!((stat[1], stat[2]), (stat[0], stat[0]), "{seen}");
    assert_ne!(stat[3], 0, "{seen}");
    assert_eq!(lines[1..], ["tty", "0", "1", "2"]);
}

#[test]
fn without_a_console_the_child_leads_a_session() {
    support::needs!(root);
    let target = Target::new();
    let outcome = Exec::into(target.pid()).run_config(&shell("cut -d' ' -f1,5,6,7 /proc/$$/stat"));
    let stat: Vec<i64> = outcome
        .stdout
        .trim()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(stat, [stat[0], stat[0], stat[0], 0]);
}

#[test]
fn another_policy_can_be_named() {
    support::needs!(root);
    let target = Target::new();
    let mount = |arguments: &[&str]| {
        let mut exec = Exec::into(target.pid());
        exec.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let mut config = shell("mount -t tmpfs tmpfs /tmp && echo mounted");
        config["capabilities"] = json!(["CAP_SYS_ADMIN"]);
        exec.run_config(&config).stdout
    };
    assert_eq!(mount(&["init"]), "");
    assert_eq!(
        mount(&["--policy", "libcontainer-privileged", "init"]),
        "mounted\n"
    );
    let mut exec = Exec::into(target.pid());
    exec.arguments = vec!["--policy".into(), "nonesuch".into(), "init".into()];
    let outcome = exec.run_config(&shell("echo started"));
    assert_eq!(outcome.helper.code(), Some(1));
    assert!(outcome.stderr.contains("nonesuch"), "{outcome:?}");
}

#[test]
fn labels_go_through_the_callers_procfs() {
    support::needs!(root);
    // The container has mounted its own file at attr/exec (CVE-2019-16884). This kernel
    // runs without AppArmor and SELinux, so that the real file refuses the label.
    let script = "mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/attr /proc/thread-self/attr; : > /proc/self/attr/exec; : > /proc/thread-self/attr/exec;";
    let target = Target::build(&Build {
        script: script.to_owned(),
        ..Build::default()
    });
    for key in ["apparmor_profile", "process_label"] {
        let mut config = shell("echo started");
        config["config"][key] = json!("label");
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_exited(&outcome, 1);
        assert!(outcome.message().contains("label"), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
    for file in ["self/attr/exec", "thread-self/attr/exec"] {
        assert_eq!(
            fs::read(target.root().join("proc").join(file)).unwrap(),
            b""
        );
    }
}

#[test]
fn parents_in_each_cgroup_version_are_answered_alike() {
    support::needs!(root);
    // If v1 and v2 are mounted, both are tested; the machine has at least one.
    let mut tried = 0;
    for parent in support::cgroup::HIERARCHIES {
        let Some(cgroup) = support::cgroup::Cgroup::beneath(parent) else {
            continue;
        };
        tried += 1;
        let target = Target::new();
        cgroup.add(target.pid());
        // libcontainer moves the child by its pid before it sends initConfig.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut command = Command::new(NSEXEC);
        command.env_clear().arg("init").stdout(Stdio::piped());
        command.env("_LIBCONTAINER_INITPID", target.pid().to_string());
        command.env("_LIBCONTAINER_INITPIPE", "3");
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        hand_over(&mut command, vec![theirs.into()]);
        let mut helper = command.spawn().unwrap();
        drop(command);
        let mut stdout = helper.stdout.take().unwrap();
        assert!(helper.wait().unwrap().success());
        let mut line = [0; 64];
        let read = (&ours).read(&mut line).unwrap();
        let pid = pid_of(std::str::from_utf8(&line[..read]).unwrap());
        cgroup.add(pid);
        let config = shell("cat /proc/self/cgroup").to_string();
        (&ours).write_all(config.as_bytes()).unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        let mut seen = String::new();
        stdout.read_to_string(&mut seen).unwrap();
        let child = nix::unistd::Pid::from_raw(pid);
        assert_eq!(
            nix::sys::wait::waitpid(child, None).unwrap(),
            WaitStatus::Exited(child, 0)
        );
        assert!(seen.contains(cgroup.name()), "{seen}");
    }
    assert_ne!(tried, 0);
}

#[test]
fn oom_score_adj_goes_through_the_callers_procfs() {
    support::needs!(root);
    // The container has mounted its own files there (CVE-2025-52881).
    let script = "mount -t tmpfs tmpfs /proc; mkdir -p /proc/self; : > /proc/self/oom_score_adj;";
    let target = Target::with_script(script);
    let mut config = shell("sleep 1");
    config["config"]["oom_score_adj"] = json!(250);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(
        fs::read(target.root().join("proc/self/oom_score_adj")).unwrap(),
        b""
    );
}

#[test]
fn the_null_device_of_the_host_keeps_its_owner() {
    support::needs!(root);
    // CVE-2025-31133: /dev/null in the container is a regular file; standard input is the
    // host's, recognised by its device number.
    let target = Target::with_script("umount /dev/null; rm /dev/null; : > /dev/null;");
    let mut config = shell("id -u; stat -L -c %u /proc/self/fd/0");
    config["user"] = json!("ann");
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    assert_eq!(outcome.stdout, "1000\n0\n");
}

/// An engine's profile names a hundred calls of other architectures, and standard error
/// belongs to the program.
#[test]
fn unknown_calls_of_a_profile_cause_one_warning() {
    support::needs!(root);
    let target = Target::new();
    let printed = |names: &[&str]| {
        let mut config = config(&["/bin/true"]);
        let call = |name: &&str| json!({ "name": name, "action": -3, "args": null });
        config["config"]["seccomp"] = json!({
            "default_action": -1,
            "architectures": ["amd64"],
            "syscalls": names.iter().map(call).collect::<Vec<_>>(),
        });
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_success(&outcome);
        outcome.stderr
    };
    assert_eq!(
        printed(&["chown32", "_llseek", "mmap2", "riscv_flush_icache"]),
        ""
    );
    assert_eq!(
        printed(&["b\x1b[2J", "chown32", "c\n\u{9b}", "a\x7f", "a\x7f"]),
        "nsexec: warning: seccomp: 3 names are not system calls and are ignored: \
         a\\u{7f}, b\\u{1b}[2J, c\\n\\u{9b}\n"
    );
    let many: Vec<String> = (0..84).map(|n| format!("call{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        printed(&many),
        "nsexec: warning: seccomp: 84 names are not system calls and are ignored: \
         call00, call01, call02, ...\n"
    );
}

#[test]
fn names_in_errors_are_escaped() {
    support::needs!(root);
    let target = Target::new();
    let name = "no\x1b[2J\n\u{9b}\x7f\u{e9}";
    let message = support::fail(target.nsexec(["-a", "--", name]), 127);
    assert_eq!(message.lines().count(), 1, "{message:?}");
    assert!(
        message.contains("no\\u{1b}[2J\\n\\u{9b}\\u{7f}\u{e9}"),
        "{message:?}"
    );
    let planned = support::succeed(target.nsexec(["-a", "--dry-run", "--", name]));
    let controls = planned.chars().filter(|c| c.is_control()).count();
    assert_eq!(controls, 1, "the newline: {planned:?}");
    let plan: serde_json::Value = serde_json::from_str(&planned).unwrap();
    assert_eq!(plan["program"], json!([name]));
}
