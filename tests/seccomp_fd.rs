//! Filters that the caller passes on descriptors: in force in addition to the policy.
//! nsexec refuses invalid programs and programs that prevent the later steps.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::process::Command;

use nsexec_policy_engine::seccomp::table::Arch;
use serde_json::{Value, json};
use support::protocol_a::hand_over;
use support::{NSEXEC, Target, fail, run, succeed, temporary_directory, text};

/// An instruction: `struct sock_filter`.
type Instruction = (u16, u8, u8, u32);

const ALLOW: Instruction = (0x06, 0, 0, 0x7fff_0000);
/// Offsets in seccomp_data: the number, and the first argument.
const NUMBER: Instruction = (0x20, 0, 0, 0);
const FIRST: Instruction = (0x20, 0, 0, 16);

const fn errno(number: u32) -> Instruction {
    (0x06, 0, 0, 0x0005_0000 | number)
}

fn call(name: &str) -> u32 {
    Arch::native().unwrap().number(name).unwrap()
}

/// A program that returns one action for this call, and allows all others.
fn answers(name: &str, answer: Instruction) -> Vec<Instruction> {
    vec![NUMBER, (0x15, 0, 1, call(name)), answer, ALLOW]
}

fn bytes(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, jt, jf, k) in program {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*jt, *jf]);
        bytes.extend(k.to_ne_bytes());
    }
    bytes
}

/// A file without a name, at offset 0.
fn file(content: &[u8]) -> OwnedFd {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let mut file = File::from(nix::sys::memfd::memfd_create(c"filter", flags).unwrap());
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file.into()
}

/// A pipe with this content, whose write end is closed.
fn pipe(content: &[u8]) -> OwnedFd {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    File::from(write).write_all(content).unwrap();
    read
}

/// `nsexec -t PID -a OPTIONS -- sh -c SCRIPT` with these files on descriptors 3, 4, ...
fn nsexec(target: &Target, files: Vec<OwnedFd>, options: &[&str], script: &str) -> Command {
    let mut command = target.nsexec(["-a"]);
    command.args(options).args(["--", "sh", "-c", script]);
    hand_over(&mut command, files);
    command
}

/// The result of statfs(2), and the number of filters.
const LOOK: &str = "stat -f -c %l / 2>&1; grep Seccomp_filters /proc/self/status";
/// The longest file name: the kernel executes statfs(2).
const EXECUTED: &str = "255\n";
/// Errno 77, EBADFD.
const REFUSED: &str =
    "stat: can't read file system information for '/': File descriptor in bad state\n";
/// EBADF
const REFUSED_AS_9: &str =
    "stat: can't read file system information for '/': Bad file descriptor\n";

#[test]
fn a_filter_is_in_force_besides_the_policys() {
    support::needs!(root);
    let target = Target::new();
    let filter = bytes(&answers("statfs", errno(77)));
    let one = ["--seccomp-fd", "3"];
    for (policy, filters, mount) in [
        ("default", 3, "no"),
        ("strict", 3, "no"),
        ("admin", 2, "yes"),
    ] {
        if !support::features::can_use(policy, "a_filter_is_in_force_besides_the_policys") {
            continue;
        }
        for handed in [file(&filter), pipe(&filter)] {
            let options = ["--policy", policy, "--seccomp-fd", "3"];
            let script =
                format!("{LOOK}; mount -t tmpfs t /tmp 2>/dev/null && echo yes || echo no");
            let seen = succeed(nsexec(&target, vec![handed], &options, &script));
            let expected = format!("{REFUSED}Seccomp_filters:\t{filters}\n{mount}\n");
            assert_eq!(seen, expected, "{policy}");
        }
        let without = succeed(nsexec(&target, vec![], &["--policy", policy], LOOK));
        assert_eq!(
            without,
            format!("{EXECUTED}Seccomp_filters:\t{}\n", filters - 1)
        );
    }
    // As another user: without no_new_privs, loading a filter requires CAP_SYS_ADMIN until
    // exec.
    let ann = [
        "--policy",
        "admin",
        "-S",
        "1000",
        "-G",
        "1000",
        "--seccomp-fd",
        "3",
    ];
    let script = format!("{LOOK}; grep -E 'CapEff|NoNewPrivs' /proc/self/status");
    let seen = succeed(nsexec(&target, vec![file(&filter)], &ann, &script));
    let expected = "Seccomp_filters:\t2\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\n";
    assert_eq!(seen, format!("{REFUSED}{expected}"));
    // Without a fork.
    let mut unforked = target.nsexec(["-u", "-m", "-F"]);
    unforked
        .args(one)
        .args(["--", "sh", "-c", "stat -f -c %l / 2>&1"]);
    hand_over(&mut unforked, vec![file(&filter)]);
    assert_eq!(text(&run(unforked).stdout), REFUSED);
}

#[test]
fn several_filters_are_in_force_in_their_order() {
    support::needs!(root);
    let target = Target::new();
    // EBADFD, and EBADF; of equally strict filters the newest determines the errno.
    let files = || {
        [errno(77), errno(9)]
            .map(|errno| file(&bytes(&answers("statfs", errno))))
            .into()
    };
    let order = |first, second| ["--seccomp-fd", first, "--seccomp-fd", second];
    let seen = succeed(nsexec(&target, files(), &order("3", "4"), LOOK));
    assert_eq!(seen, format!("{REFUSED_AS_9}Seccomp_filters:\t4\n"));
    let seen = succeed(nsexec(&target, files(), &order("4", "3"), LOOK));
    assert_eq!(seen, format!("{REFUSED}Seccomp_filters:\t4\n"));
    // A kill is stricter than an errno, in either order.
    let kill = bytes(&answers("statfs", (0x06, 0, 0, 0x8000_0000)));
    let files = vec![file(&kill), file(&bytes(&answers("statfs", errno(77))))];
    let seen = succeed(nsexec(
        &target,
        files,
        &order("3", "4"),
        "stat -f /; echo $?",
    ));
    assert_eq!(seen, "159\n", "128 and SIGSYS");
}

#[test]
fn no_added_filter_allows_a_refused_call() {
    support::needs!(root);
    let target = Target::new();
    let allows = || vec![file(&bytes(&[ALLOW]))];
    let script = "unshare -m true 2>&1; mount -t tmpfs t /tmp 2>&1; umask 0; echo x >/tmp/x; \
                  grep -E 'Seccomp|NoNewPrivs|Cap' /proc/self/status | grep -v filters";
    let with = run(nsexec(&target, allows(), &["--seccomp-fd", "3"], script));
    let without = run(nsexec(&target, vec![], &[], script));
    assert_eq!(text(&with.stdout), text(&without.stdout));
    assert!(text(&with.stdout).contains("Operation not permitted"));
    // If both refuse, the policy's errno is returned: its filter is the newest.
    let both = vec![file(&bytes(&answers("unshare", errno(77))))];
    let seen = succeed(nsexec(
        &target,
        both,
        &["--seccomp-fd", "3"],
        "unshare -m true 2>&1; true",
    ));
    assert!(seen.contains("Operation not permitted"), "{seen}");
}

/// The child's calls in one exec from close_range(2) on, by strace(1): each seccomp(2) with
/// the length of its program.
fn last_calls(target: &Target, filters: &[Vec<u8>], options: &[&str]) -> Vec<String> {
    let directory = temporary_directory("strace");
    let log = directory.join("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log);
    command.args(["--", NSEXEC, "-t", &target.pid().to_string(), "-a"]);
    command.args(options).args(["--", "true"]);
    hand_over(
        &mut command,
        filters.iter().map(|filter| file(filter)).collect(),
    );
    succeed(command);
    let log = fs::read_to_string(log).unwrap();
    fs::remove_dir_all(directory).unwrap();
    let all = support::trace::calls(&log);
    let helper = &all[0].0;
    let others = all.iter().filter(|(pid, _)| pid != helper);
    let calls: Vec<&str> = others.map(|(_, call)| call.as_str()).collect();
    let exec = calls.iter().position(|call| call.starts_with("execve"));
    let name = |call: &&str| match call.split_once("len=") {
        Some((_, rest)) => format!("seccomp {}", rest.split(',').next().unwrap()),
        None => call.split('(').next().unwrap().to_owned(),
    };
    let last = calls[..exec.unwrap()].iter().map(name).collect::<Vec<_>>();
    let allocates = ["brk", "mmap", "munmap", "mremap", "futex"];
    assert!(
        last.iter().all(|call| !allocates.contains(&call.as_str())),
        "{last:?}"
    );
    let closed = last.iter().rposition(|call| call == "close_range").unwrap();
    // fcntl(2) checks that close_range was executed.
    let last = last[closed..].iter().filter(|call| *call != "fcntl");
    last.cloned().collect()
}

#[test]
fn filters_are_loaded_right_before_the_policys_own() {
    support::needs!(root);
    let target = Target::new();
    let filters = [vec![ALLOW; 7], vec![ALLOW; 3]].map(|filter| bytes(&filter));
    let options = ["--seccomp-fd", "4", "--seccomp-fd", "3"];
    let calls = last_calls(&target, &filters, &options);
    let [closed, first, second, last] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let found = [closed, first, second].map(String::as_str);
    assert_eq!(found, ["close_range", "seccomp 3", "seccomp 7"]);
    let own = last.strip_prefix("seccomp ").unwrap();
    assert!(own.parse::<u32>().unwrap() > 50, "the policy's own: {last}");
    let admin = ["--policy", "admin", "--seccomp-fd", "3"];
    let calls = last_calls(&target, &filters, &admin);
    assert_eq!(
        calls,
        ["close_range", "seccomp 7"],
        "admin has none of its own"
    );
}

#[test]
fn the_descriptors_end_with_the_helper() {
    support::needs!(root);
    let target = Target::new();
    let list = |files: Vec<OwnedFd>, options: &[&str]| {
        succeed(nsexec(&target, files, options, "ls /proc/$$/fd; true"))
    };
    let filter = || file(&bytes(&[ALLOW]));
    let null = || File::open("/dev/null").unwrap().into();
    assert_eq!(list(vec![filter()], &["--seccomp-fd", "3"]), "0\n1\n2\n");
    let options = ["--preserve-fds", "1", "--seccomp-fd", "4"];
    assert_eq!(list(vec![null(), filter()], &options), "0\n1\n2\n3\n");
}

#[test]
fn plan_and_status_lines_list_the_filters() {
    support::needs!(root);
    let target = Target::new();
    let files = || -> Vec<OwnedFd> {
        let first = file(&bytes(&answers("statfs", errno(1))));
        vec![first, file(&bytes(&[ALLOW]))]
    };
    let options = ["--seccomp-fd", "4", "--seccomp-fd", "3"];
    let expected = json!([
        { "fd": 4, "in_force": true, "instructions": 1, "answers": ["ALLOW"] },
        { "fd": 3, "in_force": true, "instructions": 4, "answers": ["ERRNO(EPERM)", "ALLOW"] },
    ]);
    let dry: Vec<&str> = options.into_iter().chain(["--dry-run"]).collect();
    let mark = "touch /tmp/mark";
    let plan: Value = serde_json::from_str(&succeed(nsexec(&target, files(), &dry, mark))).unwrap();
    assert_eq!(plan["layers"]["seccomp-fd"], expected);
    assert!(!target.root().join("tmp/mark").exists());
    let none: Value = serde_json::from_str(&succeed(target.nsexec(["--dry-run"]))).unwrap();
    assert_eq!(none["layers"]["seccomp-fd"], json!([]));

    // Also if the other layers are unknown before the join.
    let mut later = Command::new(NSEXEC);
    later.arg(format!("--mount=/proc/{}/ns/mnt", target.pid()));
    later.args(dry);
    hand_over(&mut later, files());
    let plan: Value = serde_json::from_str(&succeed(later)).unwrap();
    assert_eq!(plan["layers"]["seccomp-fd"], expected);
    assert_eq!(plan["layers"]["workload"], Value::Null);

    let directory = temporary_directory("status");
    let path = directory.join("lines");
    let mut handed = files();
    handed.push(File::create(&path).unwrap().into());
    let status: Vec<&str> = options.into_iter().chain(["--status-fd", "5"]).collect();
    succeed(nsexec(&target, handed, &status, "true"));
    let lines = fs::read_to_string(&path).unwrap();
    fs::remove_dir_all(directory).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines[..2] {
        assert_eq!(line["layers"]["seccomp-fd"], expected, "{line}");
    }
    let observed = &lines[1]["observed"]["seccomp_filters"];
    assert!(observed.is_null() || *observed == 4, "{observed}");
}

/// Runs it with a program that would create a file; returns the reason of the refusal.
#[track_caller]
fn refused(target: &Target, files: Vec<OwnedFd>, options: &[&str]) -> String {
    let script = "echo started; touch /tmp/mark";
    let message = fail(nsexec(target, files, options, script), 125);
    assert!(!target.root().join("tmp/mark").exists(), "it was started");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn invalid_bpf_programs_are_refused() {
    support::needs!(root);
    let target = Target::new();
    let long = vec![ALLOW; 4097];
    let cases: [(Vec<u8>, &str); 9] = [
        (vec![], "the input is empty"),
        (vec![0; 12], "4 are left over"),
        (bytes(&long), "at most 4096 instructions"),
        (
            bytes(&[(0x94, 0, 0, 2), ALLOW]),
            "seccomp does not accept instruction 0",
        ),
        (bytes(&[(0x20, 0, 0, 64), ALLOW]), "instruction 0 loads no"),
        (
            bytes(&[ALLOW, (0x05, 0, 0, 1), ALLOW]),
            "instruction 1 jumps out",
        ),
        (
            bytes(&[(0x60, 0, 0, 0), ALLOW]),
            "may not have been written",
        ),
        (
            bytes(&answers("statfs", (0x06, 0, 0, 0x7fc0_0000))),
            "SECCOMP_RET_USER_NOTIF",
        ),
        (bytes(&[NUMBER, (0x16, 0, 0, 0)]), "return constants"),
    ];
    for (content, expected) in cases {
        // A program that is too long for a pipe's buffer comes from a file.
        let message = refused(&target, vec![file(&content)], &["--seccomp-fd", "3"]);
        let begins = message.starts_with("nsexec: --seccomp-fd 3: ");
        assert!(begins && message.contains(expected), "{message}");
    }
}

#[test]
fn descriptors_that_give_nothing_are_refused() {
    support::needs!(root);
    let target = Target::new();
    let filter = || file(&bytes(&[ALLOW]));
    let (_read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let cases: [(Vec<OwnedFd>, &[&str], &str); 7] = [
        (
            vec![],
            &["--seccomp-fd", "3"],
            "--seccomp-fd 3: descriptor 3 is not open",
        ),
        // A copy of the first descriptor must not replace the second.
        (
            vec![filter()],
            &["--seccomp-fd", "3", "--seccomp-fd", "4"],
            "--seccomp-fd 4: descriptor 4 is not open",
        ),
        (vec![write], &["--seccomp-fd", "3"], "open for reading"),
        (
            vec![File::open("/").unwrap().into()],
            &["--seccomp-fd", "3"],
            "--seccomp-fd 3: descriptor 3 is a directory",
        ),
        (
            vec![filter()],
            &["--seccomp-fd", "1"],
            "from 3 to 2147483647",
        ),
        (
            vec![filter()],
            &["--seccomp-fd", "3", "--preserve-fds", "1"],
            "--preserve-fds uses that descriptor already",
        ),
        (
            vec![filter()],
            &["--seccomp-fd", "3", "--explain"],
            "exclude each other",
        ),
    ];
    for (files, options, expected) in cases {
        let message = refused(&target, files, options);
        assert!(message.contains(expected), "{options:?}: {message}");
    }
}

#[test]
fn a_filter_that_denies_a_later_step_is_refused_before_the_join() {
    support::needs!(root);
    let target = Target::new();
    let denied = |filter: &[Instruction]| {
        refused(&target, vec![file(&bytes(filter))], &["--seccomp-fd", "3"])
    };
    for name in ["execve", "write", "exit_group", "seccomp"] {
        for (answer, shown) in [(errno(0), "ERRNO(0)"), ((0x06, 0, 0, 0), "KILL_THREAD")] {
            let message = denied(&answers(name, answer));
            let wrong = format!("--seccomp-fd 3: its program may answer {name} with {shown}; ");
            assert!(message.contains(&wrong), "{message}");
        }
    }
    let all = denied(&[errno(1)]);
    assert!(
        all.contains("may answer seccomp with ERRNO(EPERM)"),
        "{all}"
    );
    // The result depends on unknown data: the pointer argument of seccomp(2), for which the
    // filter would pretend success.
    let pointer = [
        NUMBER,
        (0x15, 0, 3, call("seccomp")),
        (0x20, 0, 0, 32),
        (0x45, 0, 1, 0x10),
        errno(0),
        ALLOW,
    ];
    assert!(denied(&pointer).contains("may answer seccomp with ERRNO(0)"));
    // The filter may refuse other operations of seccomp(2).
    let other = [
        NUMBER,
        (0x15, 0, 3, call("seccomp")),
        FIRST,
        (0x15, 0, 1, 2),
        errno(1),
        ALLOW,
    ];
    let other = vec![file(&bytes(&other))];
    succeed(nsexec(&target, other, &["--seccomp-fd", "3"], "true"));

    // nsexec has neither joined the target nor opened its files.
    let directory = temporary_directory("strace");
    let log = directory.join("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log);
    command.args(["--", NSEXEC, "-t", &target.pid().to_string(), "-a"]);
    command.args(["--seccomp-fd", "3", "--", "true"]);
    hand_over(
        &mut command,
        vec![file(&bytes(&answers("execve", errno(1))))],
    );
    assert_eq!(run(command).status.code(), Some(125));
    let log = fs::read_to_string(log).unwrap();
    fs::remove_dir_all(directory).unwrap();
    let calls = log.lines().filter(|call| !call.contains("execve"));
    let log = calls.collect::<Vec<_>>().join("\n");
    assert!(log.contains("fcntl(3, F_DUPFD_CLOEXEC"), "{log}");
    for absent in [
        "setns(",
        "pidfd_open(",
        &format!("\"{}", target.pid()),
        "clone(",
    ] {
        assert!(!log.contains(absent), "{absent}: {log}");
    }
}

#[test]
fn more_instructions_than_the_kernel_takes_are_refused_before_the_join() {
    support::needs!(root);
    let target = Target::new();
    // The kernel counts two instructions per return: three such programs have 24,600 of the
    // 32,768 instructions, four have too many.
    let files = |count| (0..count).map(|_| file(&bytes(&[ALLOW; 4096]))).collect();
    let options = ["3", "4", "5", "6"].map(|fd| ["--seccomp-fd", fd]).concat();
    let seen = succeed(nsexec(&target, files(3), &options[..6], LOOK));
    assert_eq!(seen, format!("{EXECUTED}Seccomp_filters:\t5\n"));
    let message = refused(&target, files(4), &options);
    assert!(
        message.contains("at most 32768 can be in force"),
        "{message}"
    );
}
