//! The ten invariants of nsexec, H1 to H10, with at least one test each. The table names the file
//! of those that are tested elsewhere:
//!
//! | | holds | where |
//! |---|---|---|
//! | H1 | the helper opens nothing of the target before request and policy are compiled | here |
//! | H2 | nsexec never joins the wrong target | here |
//! | H3 | all requested namespaces are joined, or nothing is executed | here |
//! | H4, H5 | the requested layers are in force, and a missing layer is reported | `lock_down.rs`, `policies.rs` |
//! | H6 | the program inherits nothing that was not requested | `lock_down.rs`, here |
//! | H7 | the target cannot access the helper | here, `own_file.rs` |
//! | H8 | after any failure or kill no program runs with less, no orphan, no hang | `faults.rs` |
//! | H9 | invalid input never reaches a system call | `bad_input.rs`, `protocol_a.rs` |
//! | H10 | protocol A is implemented to the byte | `protocol_a.rs` |
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Build, NSEXEC, Target, fail, run, share, succeed, temporary_directory, text};

/// H1: with a wrong policy or option, no path of the target is opened.
#[test]
fn h1_nothing_of_the_target_is_opened_before_the_policy_is_compiled() {
    support::needs!(root);
    let target = Target::new();
    let directory = temporary_directory("h1");
    let manifest = directory.join("wrong.toml");
    fs::write(&manifest, "nonsense = 1\n").unwrap();
    let manifest = manifest.to_str().unwrap();
    let log = directory.join("log");
    for options in [
        &["-a", "--policy", manifest][..],
        &["-a", "--policy", "none-such"],
    ] {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-e",
            "trace=openat,open,openat2,pidfd_open,ioctl,setns",
            "-o",
        ]);
        command
            .arg(&log)
            .args(["--", NSEXEC, "-t", &target.pid().to_string()]);
        command
            .args(options)
            .args(["--", "true"])
            .stdin(Stdio::null());
        assert_eq!(run(command).status.code(), Some(125));
        let calls = fs::read_to_string(&log).unwrap();
        assert!(calls.contains("/proc"), "{calls}");
        assert!(!calls.contains("pidfd_open"), "{calls}");
        assert!(!calls.contains(&format!("\"{}/", target.pid())), "{calls}");
        assert!(!calls.contains("setns"), "{calls}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// H2: PID:INODE identifies one process until the machine restarts.
#[test]
fn h2_a_recycled_pid_is_an_error() {
    support::needs!(root, feature("pidfd inode numbers"));
    let target = Target::new();
    let (pid, inode) = (target.pid(), target.inode().unwrap());
    let with = |specification: String| {
        let mut command = Command::new(NSEXEC);
        command
            .args(["-a", "-t", &specification, "--", "hostname"])
            .stdin(Stdio::null());
        command
    };
    assert_eq!(succeed(with(format!("{pid}:{inode}"))), "target\n");
    let message = fail(with(format!("{pid}:{}", inode + 1)), 125);
    assert!(message.contains("not the one that was meant"), "{message}");
}

/// The counters of `tests/data/recycle.c`.
#[derive(Debug)]
struct Recycled {
    counts: BTreeMap<String, usize>,
    printed: String,
}

impl Recycled {
    /// Joins by `command`, three at a time.
    fn run(program: &Path, joins: usize, command: &[&str]) -> Self {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--pid", "--mount", "--mount-proc", "--fork", "--kill-child"])
            .arg(program)
            .args([&joins.to_string(), "3"])
            .args(command)
            .args(["-m", "-u", "-i", "-p", "--"])
            .arg(program)
            .arg("report")
            .stdin(Stdio::null());
        let printed = succeed(unshare);
        let count = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let counts = printed.lines().filter_map(count).collect();
        Self { counts, printed }
    }

    #[track_caller]
    fn of(&self, name: &str) -> usize {
        self.counts[name]
    }

    /// The results are joins and refusals only, and at least one of each.
    #[track_caller]
    fn assert_sound(&self, joins: usize) {
        let (joined, refused) = (self.of("joined"), self.of("refused"));
        let counted = joined + refused + self.of("ended") + self.of("other");
        assert_eq!(counted, joins, "{}", self.printed);
        assert!(joined > 0 && refused > 0, "{}", self.printed);
        let replaced = (self.of("earlier"), self.of("meanwhile"));
        assert!(replaced.0 > 0 && replaced.1 > 0, "{}", self.printed);
    }
}

/// H2 with pids that the kernel really reuses: targets end before and during the join, and
/// the next process gets the pid at once. A join by PID:INODE reaches the intended target
/// or fails; a join by pid reaches one process, and never parts of two.
#[test]
fn h2_holds_while_pids_are_given_again() {
    support::needs!(root, feature("pidfd inode numbers"));
    let joins = share::joins((400 / share::share()).max(100));
    let directory = temporary_directory("recycle");
    let program = directory.join("recycle");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-o"]).arg(&program);
    gcc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recycle.c"));
    succeed(gcc);

    for policy in ["default", "admin"] {
        let command = [NSEXEC, "--policy", policy, "-t", "%p:%i"];
        let recycled = Recycled::run(&program, joins.div_ceil(2), &command);
        println!("PID:INODE, {policy}\n{}", recycled.printed);
        recycled.assert_sound(joins.div_ceil(2));
        assert_eq!(recycled.of("other"), 0, "{}", recycled.printed);
    }
    // Without the inode number, the first owner of the pid is the intended target.
    let fewer = joins.div_ceil(10).max(100);
    let by_pid = Recycled::run(&program, fewer, &[NSEXEC, "-t", "%p"]);
    println!("PID\n{}", by_pid.printed);
    by_pid.assert_sound(fewer);
    assert!(by_pid.of("other") > 0, "{}", by_pid.printed);
    // The control, which checks no identity.
    let control = Recycled::run(&program, fewer, &["nsenter", "-t", "%p"]);
    println!("nsenter\n{}", control.printed);
    assert!(control.of("other") > 0, "{}", control.printed);
    fs::remove_dir_all(directory).unwrap();
}

/// H3: if one of several namespaces cannot be joined, the program does not start.
#[test]
fn h3_one_namespace_that_cannot_be_joined_stops_it_all() {
    support::needs!(root);
    let target = Target::with_user_namespace();
    // An ordinary user can join none of them. A user with CAP_SYS_ADMIN only over its own
    // user namespace cannot join the target's user namespace.
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65533",
        "--regid=65533",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    command.args([NSEXEC, "-u", "--policy", "default"]);
    command.arg(format!("--net=/proc/{}/ns/net", std::process::id()));
    command.args([
        "-t",
        &target.pid().to_string(),
        "--",
        "/bin/echo",
        "started",
    ]);
    command.stdin(Stdio::null());
    let message = fail(command, 125);
    assert!(!message.contains("started"), "{message}");
    // A pid namespace that is no descendant: the other namespaces are joined already, and
    // the program must not start.
    let own_pid = fs::read_link("/proc/self/ns/pid").unwrap();
    let script = format!(
        "mount -t proc proc /proc; exec {NSEXEC} --uts=/proc/self/ns/uts --pid=$OUTER -- echo started"
    );
    let directory = temporary_directory("h3");
    let outer = directory.join("pid");
    fs::write(&outer, "").unwrap();
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--uts",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
    ]);
    command.arg(format!(
        "mount --bind /proc/{}/ns/pid {} && OUTER={} && export OUTER && {script}",
        std::process::id(),
        outer.display(),
        outer.display()
    ));
    command.stdin(Stdio::null());
    let output = run(command);
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(
        output.status.code(),
        Some(125),
        "{own_pid:?} {}",
        text(&output.stderr)
    );
    assert_eq!(text(&output.stdout), "");
    assert!(
        text(&output.stderr).contains("descendants"),
        "{}",
        text(&output.stderr)
    );
}

/// H6: the program does not inherit supplementary groups of the caller.
#[test]
fn h6_groups_of_the_caller_do_not_cross() {
    support::needs!(root);
    let target = Target::new();
    let with = |options: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--groups=4,20",
            NSEXEC,
            "-t",
            &target.pid().to_string(),
            "-a",
        ]);
        command
            .args(options)
            .args(["--", "sh", "-c", "grep Groups: /proc/self/status | cut -f2"]);
        command.stdin(Stdio::null());
        succeed(command).trim().to_owned()
    };
    assert_eq!(with(&[]), "");
    assert_eq!(with(&["-S", "1000"]), "");
    assert_eq!(with(&["--preserve-credentials"]), "4 20");
    assert_eq!(with(&["--policy", "admin"]), "4 20");
}

/// H6: the program does not inherit ambient and inheritable capabilities of the caller.
#[test]
fn h6_ambient_capabilities_do_not_cross() {
    support::needs!(root);
    let target = Target::new();
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw", NSEXEC]);
    command.args([
        "-t",
        &target.pid().to_string(),
        "-a",
        "--",
        "grep",
        "-E",
        "CapInh|CapAmb",
    ]);
    command.arg("/proc/self/status").stdin(Stdio::null());
    let seen = succeed(command);
    assert_eq!(
        seen,
        "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"
    );
}

/// Options of setpriv(1): root with every capability but CAP_SYS_PTRACE.
const WITHOUT_PTRACE: [&str; 2] = ["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];

/// Waits for a process named nsexec, and tries to access it.
const REACH: &str = r#"
    n=0
    while [ $n -lt 200 ]; do
        for p in /proc/[0-9]*; do
            grep -q nsexec $p/comm 2>/dev/null || continue
            for link in exe root cwd; do
                if readlink $p/$link >/dev/null 2>&1; then echo reached $link; else echo refused $link; fi
            done
            if ( : < $p/mem ) 2>/dev/null; then echo reached mem; else echo refused mem; fi
            # Their numbers are no secret for root; what they lead to is.
            for fd in $p/fd/*; do
                if readlink $fd >/dev/null 2>&1; then echo reached $fd; exit; fi
                if ( : < $fd ) 2>/dev/null; then echo reached $fd; exit; fi
            done
            echo refused fd
            exit 0
        done
        usleep 20000; n=$((n+1))
    done
"#;

/// H7: from the join to the exec, a root process of the target without CAP_SYS_PTRACE finds
/// the child undumpable, and can open nothing of it.
#[test]
fn h7_the_child_cannot_be_reached_before_it_execs() {
    support::needs!(root);
    let target = Target::build(&Build {
        prefix: [&["setpriv"][..], &WITHOUT_PTRACE].concat(),
        ..Build::default()
    });
    // strace delays each execve, so that the child stays in this state for a second.
    let mut helper = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=execve:delay_enter=1000000",
        ])
        .args([
            "--",
            NSEXEC,
            "-t",
            &target.pid().to_string(),
            "-a",
            "--",
            "true",
        ])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut inside = Command::new("setpriv");
    inside
        .args(WITHOUT_PTRACE)
        .args(["nsenter", "-t", &target.pid().to_string(), "-a"]);
    inside.args(["/bin/sh", "-c", REACH]).stdin(Stdio::null());
    let seen = succeed(inside);
    helper.wait().unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 5, "the child was not seen: {seen}");
    assert!(
        lines.iter().all(|line| line.starts_with("refused")),
        "{seen}"
    );
}

/// A helper with more privileges than its caller refuses to run.
#[test]
fn a_set_user_id_helper_refuses() {
    support::needs!(root);
    use std::os::unix::fs::PermissionsExt;
    let directory = temporary_directory("setuid");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let helper = directory.join("nsexec");
    fs::copy(NSEXEC, &helper).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65533", "--regid=65533", "--clear-groups"]);
    command
        .arg(&helper)
        .args(["-r=/", "--", "/bin/true"])
        .stdin(Stdio::null());
    let message = fail(command, 125);
    fs::remove_dir_all(directory).unwrap();
    assert!(
        message.contains("privileges that its caller does not have"),
        "{message}"
    );
}

/// Processes that cannot be targets.
#[test]
fn invalid_targets_are_refused() {
    support::needs!(root);
    let with = |specification: &str| {
        let mut command = Command::new(NSEXEC);
        command
            .args(["-a", "-t", specification, "--", "true"])
            .stdin(Stdio::null());
        fail(command, 125)
    };
    assert!(with("2").contains("is a kernel thread"));
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id().to_string();
    // First a zombie, then no process.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(with(&pid).contains("has ended"));
    child.wait().unwrap();
    assert!(with(&pid).contains("there is no process"));
}

/// An ordinary user can join its own user namespace.
#[test]
fn an_unprivileged_caller_joins_its_own_user_namespace() {
    support::needs!(root);
    let script =
        "unshare --user --map-root-user --uts sh -c 'hostname mine; echo $$; exec sleep 1000'";
    let mut owner = Command::new("setpriv")
        .args([
            "--reuid=65533",
            "--regid=65533",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .args(["sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pid = line.trim().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65533",
        "--regid=65533",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    command.args([
        NSEXEC,
        "-t",
        &pid,
        "-U",
        "-u",
        "--",
        "/bin/sh",
        "-c",
        "id -u; hostname",
    ]);
    command.stdin(Stdio::null());
    let output = run(command);
    let killed: i32 = pid.parse().unwrap();
    let killed = nix::unistd::Pid::from_raw(killed);
    nix::sys::signal::kill(killed, nix::sys::signal::Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    assert_eq!(
        text(&output.stdout),
        "0\nmine\n",
        "{}",
        text(&output.stderr)
    );
}
