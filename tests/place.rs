//! The program runs in the requested place, or it does not run.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::tracer::{self, Action};
use support::{NSEXEC, Target, fail, succeed, temporary_directory};

/// A process in new namespaces whose main thread has ended. It is pid 1 of its pid
/// namespace.
struct LeaderEnded {
    unshare: Child,
    pid: String,
}

impl LeaderEnded {
    fn new() -> Self {
        let directory = temporary_directory("leader");
        let program = directory.join("leader_ends");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-static", "-pthread", "-o"]).arg(&program);
        gcc.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/leader_ends.c"
        ));
        succeed(gcc);
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--fork"])
            .arg("--kill-child")
            .arg(&program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let stdout = unshare.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        std::fs::remove_dir_all(directory).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = std::fs::read_to_string(children).unwrap().trim().to_owned();
        // The thread that printed the line ends right after it.
        while !std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .unwrap()
            .contains(") Z ")
        {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Self { unshare, pid }
    }
}

impl Drop for LeaderEnded {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// The kernel shows no namespace of such a process. nsexec must not conclude that the
/// kernel has no namespaces, and must not run the program outside them.
#[test]
fn a_target_whose_main_thread_has_ended_is_refused() {
    support::needs!(root);
    let target = LeaderEnded::new();
    for policy in ["default", "strict", "admin"] {
        for letters in [&[][..], &["-a"], &["-n"], &["-m", "-p"]] {
            let mut command = Command::new(NSEXEC);
            command.args(["-t", &target.pid, "--policy", policy]);
            command.args(letters).args(["--", "echo", "ran"]);
            let message = fail(command, 125);
            let expected = format!("the main thread of process {} has ended", target.pid);
            assert!(message.contains(&expected), "{letters:?}: {message}");
        }
    }
}

/// An option that does not select namespaces must not cancel the joins.
#[test]
fn other_options_do_not_cancel_the_joins() {
    support::needs!(root);
    let target = Target::new();
    for options in [
        &["-c"][..],
        &["-e"],
        &["-W", "/"],
        &["-w"],
        &["-w=/"],
        &["-r"],
        &["-r=/"],
        &["--env=K=V"],
        &["-S", "1000", "-G", "1000", "-w"],
    ] {
        let mut command = target.nsexec(options);
        command.args(["--", "/bin/hostname"]);
        assert_eq!(succeed(command), "target\n", "{options:?}");
    }
}

/// A target that shares the caller's mount namespace may have another root. The mount
/// namespace is requested, so nsexec uses the target's root.
#[test]
fn a_chroot_in_the_callers_mount_namespace_is_the_programs_root() {
    support::needs!(root);
    let root = temporary_directory("chroot");
    std::fs::create_dir(root.join("bin")).unwrap();
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let mut target = Command::new("chroot")
        .arg(&root)
        .args(["/bin/busybox", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = target.id().to_string();
    let entered = || std::fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|at| at == root);
    while !entered() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    for letters in [&[][..], &["-a"]] {
        let mut command = Command::new(NSEXEC);
        command.args(["-t", &pid]).args(letters);
        command.args(["--", "/bin/busybox", "ls", "/"]);
        assert_eq!(succeed(command), "bin\n", "{letters:?}");
    }
    target.kill().unwrap();
    target.wait().unwrap();
    std::fs::remove_dir_all(root).unwrap();
}

/// A target in the middle of unshare(2) has the new mount namespace and still the root in
/// the old one. Callers that see less in /proc refuse it as well.
#[test]
fn a_root_outside_the_joined_mount_namespace_is_refused() {
    support::needs!(root);
    let without = ["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];
    let root = temporary_directory("outside");
    std::fs::copy("/bin/busybox", root.join("busybox")).unwrap();
    let ready = "echo ready; exec /busybox sleep 1000";
    let script = format!(
        "exec 9<{}; exec unshare --mount --propagation private \
         sh -c \"cd /proc/self/fd/9 && exec chroot . /busybox sh -c '{ready}'\"",
        root.display()
    );
    let mut target = Command::new("setpriv")
        .args(without)
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(target.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let pid = target.id().to_string();
    let echo = ["/busybox", "echo", "started"];
    let refused = |mut command: Command| {
        command.args(["-t", &pid, "-m", "--"]).args(echo);
        fail(command, 125)
    };
    let mut messages = vec![refused(Command::new(NSEXEC))];
    let mut caller = Command::new("setpriv");
    caller.args(without).arg(NSEXEC);
    messages.push(refused(caller));
    let exec = support::protocol_a::Exec::into(pid.parse().unwrap());
    let outcome = exec.run_config(&support::protocol_a::config(&echo));
    messages.push(outcome.stderr.clone());
    target.kill().unwrap();
    target.wait().unwrap();
    std::fs::remove_dir_all(root).unwrap();
    assert_eq!(line, "ready\n");
    assert_eq!(outcome.line, "", "{outcome:?}");
    let wrong = "its root is not in the mount namespace that was joined";
    assert!(
        messages.iter().all(|message| message.contains(wrong)),
        "{messages:#?}"
    );
}

/// A process that unshares, pivots and chroots for ever, so that its namespaces and
/// its root belong together only most of the time.
struct Restless {
    child: Child,
    directory: PathBuf,
}

impl Restless {
    fn new() -> Self {
        let directory = temporary_directory("restless");
        let program = directory.join("restless");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-static", "-o"]).arg(&program);
        gcc.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/restless.c"
        ));
        succeed(gcc);
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(&program)
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Self { child, directory }
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The exit status of a joiner that started a program in the restless target, and the
/// program's output: the numbers of its host name and of its root.
fn numbers_seen(joiner: &[&str]) -> (Option<i32>, Vec<String>) {
    let script = "read uts </proc/sys/kernel/hostname 2>/dev/null || uts=$(/busybox hostname); \
                  read root </generation; echo $uts $root";
    let mut command = Command::new(joiner[0]);
    command.args(&joiner[1..]);
    command.args(["/busybox", "sh", "-c", script]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let words = support::text(&output.stdout);
    let words = words.split_whitespace().map(str::to_owned).collect();
    (output.status.code(), words)
}

/// Each generation of the target has a host name and a root with the same number. A program
/// that sees two numbers is in a mixed set.
#[test]
fn a_target_that_changes_is_joined_as_it_is_at_one_moment() {
    support::needs!(root);
    let rounds = support::share::joins(60);
    let target = Restless::new();
    let pid = target.child.id().to_string();
    let (mut joined, mut refused) = (0, 0);
    // On a slow machine the target changes in the middle of nearly every join.
    while joined + refused < rounds || (joined == 0 && refused < 2000) {
        match numbers_seen(&[NSEXEC, "-t", &pid, "--policy", "admin", "--"]) {
            (Some(125), words) => {
                assert_eq!(words, [""; 0]);
                refused += 1;
            }
            (_, words) => {
                assert!(words.len() == 2 && words[0] == words[1], "mixed: {words:?}");
                joined += 1;
            }
        }
    }
    println!("{joined} joined whole, {refused} refused");
    assert!(joined > 0, "none of {refused} was joined");
    // The control, which verifies nothing: one join in twenty is mixed.
    let (mut joins, mut mixed) = (0, 0);
    while joins < rounds || (mixed == 0 && joins < 2000) {
        let (_, words) = numbers_seen(&["nsenter", "-t", &pid, "-m", "-u", "-r"]);
        mixed += usize::from(words.len() == 2 && words[0] != words[1]);
        joins += 1;
    }
    println!("nsenter: {mixed} of {joins} mixed");
    assert!(mixed > 0, "the target holds still");
}

/// If /proc hides other users' processes, the verifier still sees the child, including a
/// child that has become another user in a user namespace.
#[test]
fn the_verifier_sees_the_child_if_proc_hides_processes() {
    support::needs!(root);
    for target in [Target::new(), Target::with_user_namespace()] {
        for option in ["hidepid=1", "hidepid=2", "hidepid=4", "subset=pid"] {
            let script = format!(
                "mount -t proc -o {option} proc /proc && exec {NSEXEC} -t {} -- hostname",
                target.pid()
            );
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &script]);
            command.stdin(Stdio::null());
            assert_eq!(succeed(command), "target\n", "{option}");
        }
    }
}

/// A caller without CAP_SYS_PTRACE: its verifier sees neither namespaces nor root of the
/// undumpable child. So the helper compares its own namespaces before the clone.
#[test]
fn a_caller_without_privileges_verifies_its_own_namespaces() {
    support::needs!(root);
    let directory = temporary_directory("rootless");
    let program = directory.join("nsexec");
    std::fs::copy(NSEXEC, &program).unwrap();
    let log = directory.join("log");
    let script = format!(
        "unshare -U --map-root-user -muinpf --mount-proc sleep 1000 & unshare=$!
         until target=$(cat /proc/$unshare/task/$unshare/children) && [ -n \"$target\" ] &&
               [ \"$(readlink /proc/${{target% }}/exe)\" = \"$(readlink -f $(command -v sleep))\" ]
         do sleep 0.01; done
         target=${{target% }}
         strace -f -qq -e trace=readlinkat,clone,setns -o {0} -- \
           {1} -t $target -- sh -c 'readlink /proc/self/ns/user'
         readlink /proc/$target/ns/user
         kill -9 $target; wait",
        log.display(),
        program.display()
    );
    std::os::unix::fs::chown(&directory, Some(1001), Some(1001)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=1001",
        "--regid=1001",
        "--clear-groups",
        "sh",
        "-c",
        &script,
    ]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stdout = support::text(&output.stdout);
    let calls = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    let lines: Vec<&str> = stdout.lines().collect();
    let stderr = support::text(&output.stderr);
    assert!(
        lines.len() == 2 && lines[0] == lines[1],
        "{stdout} {stderr}"
    );
    assert!(lines[0].starts_with("user:["), "{stdout}");
    // After the join and before the last clone, through descriptors of its own links.
    let (_, after) = calls.split_once("setns(").unwrap();
    let (before_clone, _) = after.split_once("clone(").unwrap();
    assert!(before_clone.contains("readlinkat("), "{calls}");
}

/// A process of tests/data/nested_user.c: user 1000 of a user namespace.
struct NestedUser {
    program: Child,
    pid: String,
}

impl NestedUser {
    fn start(program: &Path) -> Self {
        let mut program = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        let stdout = program.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut pid).unwrap();
        let pid = pid.trim().to_owned();
        Self { program, pid }
    }

    /// Its user namespace.
    fn namespace(&self) -> String {
        let link = std::fs::read_link(format!("/proc/{}/ns/user", self.pid)).unwrap();
        link.to_string_lossy().into_owned()
    }

    /// Enters the nested user namespace.
    fn enter(&mut self) {
        let before = self.namespace();
        let stdin = self.program.stdin.as_mut().unwrap();
        stdin.write_all(b"x").unwrap();
        while self.namespace() == before {
            std::thread::yield_now();
        }
    }
}

impl Drop for NestedUser {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

/// The target enters a nested user namespace, in which it is root, at each call of the helper
/// that opens a file. The program runs with the target's ids in the joined namespace, or not at
/// all.
#[test]
fn follow_is_never_another_user_while_the_target_changes_its_namespace() {
    support::needs!(root);
    let directory = temporary_directory("nested-user");
    let program = directory.join("nested_user");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o"])
        .arg(&program);
    gcc.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/nested_user.c"
    ));
    succeed(gcc);
    let open = |name: &str| std::fs::File::create(directory.join(name)).unwrap();
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    // The result if the target enters at this call, and the number of calls.
    let run = |moment: usize| {
        let mut target = NestedUser::start(&program);
        let net = format!("--net=/proc/{}/ns/net", target.pid);
        let words = [NSEXEC, "-t", &target.pid.clone(), "-U", &net];
        let script = "echo $(readlink /proc/self/ns/user) $(id -u) $(id -g)";
        let follow = [
            "-S", "follow", "-G", "follow", "--", "/bin/sh", "-c", script,
        ];
        let words = [&words[..], &follow].concat();
        let outer = target.namespace();
        let mut opened = 0;
        let ended = tracer::run(&words, open("out"), open("err"), |stop| {
            let opens = stop.number == libc::SYS_openat.cast_unsigned();
            if opens && stop.place == 0 && stop.result.is_none() {
                if opened == moment {
                    target.enter();
                }
                opened += 1;
            }
            Action::Go
        });
        let result = match ended.status {
            0 => read("out").trim().replace(&outer, "outer"),
            status => {
                assert_eq!(read("out"), "", "{}", read("err"));
                format!("status {status}")
            }
        };
        (result.replace(&target.namespace(), "nested"), opened)
    };
    let (without, calls) = run(usize::MAX);
    assert_eq!(without, "outer 1000 1000", "the control");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for moment in 0..calls {
        *seen.entry(run(moment).0).or_default() += 1;
    }
    std::fs::remove_dir_all(directory).unwrap();
    println!("{seen:?}");
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    let right = ["nested 0 0", "outer 1000 1000", "status 125"];
    assert!(kinds.iter().all(|kind| right.contains(kind)), "{seen:?}");
    assert!(seen.contains_key("status 125"), "{calls} calls: {seen:?}");
}
