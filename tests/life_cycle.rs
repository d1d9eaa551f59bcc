//! The helper beside its program: signals, dispositions, sessions, stops, and readers of
//! its output.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::protocol_a::hand_over;
use support::{NSEXEC, Target, fail, run, succeed, text};

/// A helper whose program is running: it has printed `ready`.
struct Running {
    helper: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut helper = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(helper.stdout.take().unwrap());
        let mut running = Self { helper, stdout };
        assert_eq!(running.line(), "ready\n");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.helper.id().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The program, in the test's pid namespace.
    fn program(&self) -> Pid {
        let pid = self.helper.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.trim().parse().unwrap())
    }

    /// The remaining output of the program, and the exit status of the helper.
    fn end(mut self) -> (String, ExitStatus) {
        let status = wait(&mut self.helper);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, status)
    }
}

/// The exit status of the helper; a hang makes the test fail, not hang.
#[track_caller]
fn wait(helper: &mut Child) -> ExitStatus {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = helper.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            helper.kill().unwrap();
            helper.wait().unwrap();
            panic!("no end after 20 seconds");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !look() {
        assert!(Instant::now() < end, "{what}: not after 20 seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The letter of the process's state in /proc/PID/stat.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A pipe that children of other tests do not inherit.
fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
}

/// A bash(1) script in which `nsexec ARGUMENTS` replaces NSEXEC.
fn bash(script: &str, target: &Target) -> Command {
    let mut command = Command::new("bash");
    let nsexec = format!("{NSEXEC} -t {} -a --", target.pid());
    command.args(["-c", &script.replace("NSEXEC", &nsexec)]);
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_caller_that_ignores_sigchld_gets_the_status() {
    support::needs!(root);
    let target = Target::new();
    for program in ["exit 7", "sleep 0.2; exit 7"] {
        let mut ignoring = Command::new("env");
        ignoring.args(["--ignore-signal=CHLD", NSEXEC, "-t"]);
        ignoring.args([&target.pid().to_string(), "-a", "--", "sh", "-c", program]);
        let mut helper = ignoring.stdin(Stdio::null()).spawn().unwrap();
        assert_eq!(wait(&mut helper).code(), Some(7), "{program}");
    }
}

#[test]
fn the_program_gets_the_callers_dispositions_and_mask() {
    support::needs!(root);
    let target = Target::new();
    let cases: [(&[&str], u64, u64); 3] = [
        (&[], 0, 0),
        // CHLD 17, PIPE 13, HUP 1
        (&["--ignore-signal=CHLD", "--ignore-signal=HUP"], 0, 0x10001),
        (
            &["--ignore-signal=PIPE", "--block-signal=TERM"],
            0x4000,
            0x1000,
        ),
    ];
    for (options, blocked, ignored) in cases {
        for fork in [None, Some("-F")] {
            let mut command = Command::new("env");
            // The caller starts with default dispositions, regardless of the test's.
            command.arg("--default-signal").args(options);
            command.args([NSEXEC, "-t", &target.pid().to_string(), "-u"]);
            // Not through a shell, which changes dispositions.
            command
                .args(fork)
                .args(["--", "/bin/grep", "-E", "SigBlk|SigIgn"]);
            command.arg("/proc/self/status");
            let sets: Vec<u64> = succeed(command)
                .lines()
                .map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap())
                // The signals that env(1) can set: without those of the C library and
                // real-time ones.
                .map(|set| set & 0x7fff_ffff)
                .collect();
            assert_eq!(sets, [blocked, ignored], "{options:?} {fork:?}");
        }
    }
}

#[test]
fn a_signal_that_the_caller_blocks_ends_the_helper() {
    support::needs!(root);
    let target = Target::new();
    let mut command = Command::new("env");
    command.args(["--block-signal=TERM", NSEXEC, "--seccomp-fd", "3", "-t"]);
    command.args([&target.pid().to_string(), "-a", "--", "true"]);
    // The writer of this filter never writes.
    let (pipe, end) = pipe().unwrap();
    hand_over(&mut command, vec![pipe]);
    let mut helper = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    kill(
        Pid::from_raw(helper.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(wait(&mut helper).signal(), Some(15));
    drop(end);
}

#[test]
fn a_program_that_is_stopped_and_continued_inside_does_not_stop_the_helper() {
    support::needs!(root);
    let target = Target::new();
    for signal in ["STOP", "TSTP"] {
        let script = format!("echo ready; (sleep 0.3; kill -CONT $$) & kill -{signal} $$; exit 4");
        let running = Running::start(target.nsexec(["-a", "--", "sh", "-c", &script]));
        assert_eq!(running.end().1.code(), Some(4), "{signal}");
    }
}

#[test]
fn a_stopped_program_is_continued_through_the_helper() {
    support::needs!(root);
    let target = Target::new();
    let script = "echo ready; kill -STOP $$; echo on; exit 5";
    let running = Running::start(target.nsexec(["-a", "--", "sh", "-c", script]));
    let program = running.program();
    eventually("the program's stop", || state(program) == Some('T'));
    running.signal(Signal::SIGCONT);
    let (rest, status) = running.end();
    assert_eq!((rest.as_str(), status.code()), ("on\n", Some(5)));
}

#[test]
fn a_kill_of_its_own_group_does_not_end_the_callers_script() {
    support::needs!(root);
    let target = Target::new();
    let script = "NSEXEC sh -c 'kill -KILL 0'; echo survived $?";
    let output = run(bash(script, &target));
    assert_eq!(text(&output.stdout), "survived 137\n");
}

#[test]
fn a_signal_to_the_whole_job_arrives_once() {
    support::needs!(root);
    let target = Target::new();
    // If two signals arrive in quick succession, a shell's trap runs once.
    let counts = "$| = 1; $SIG{INT} = sub { $n++ }; print \"ready\\n\"; \
                  select(undef, undef, undef, 0.05) for 1..20; print $n + 0, \"\\n\"";
    let nsexec = [
        NSEXEC,
        "-t",
        &target.pid().to_string(),
        "-u",
        "--",
        "perl",
        "-e",
        counts,
    ];
    // To its process group, as a shell with job control does.
    let mut command = Command::new("setsid");
    command
        .args(nsexec)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let running = Running::start(command);
    std::thread::sleep(Duration::from_millis(200));
    kill(Pid::from_raw(-running.pid().as_raw()), Signal::SIGINT).unwrap();
    assert_eq!(running.end().0, "1\n");
    // By a member of the group.
    let script = "trap '' INT; coproc env --default-signal=INT \"$@\"; \
                  read line <&${COPROC[0]}; kill -INT 0; cat <&${COPROC[0]}; wait";
    let mut command = Command::new("setsid");
    command.args(["bash", "-c", script, "bash"]).args(nsexec);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    assert_eq!(succeed(command), "1\n");
}

#[test]
fn a_signal_that_ends_the_helper_ends_the_program() {
    support::needs!(root);
    let target = Target::new();
    let script = "echo ready; sleep 1000; exit 3";
    for (signal, number) in [(Signal::SIGTERM, 15), (Signal::SIGINT, 2)] {
        let mut command = target.nsexec(["-a", "--", "sh", "-c", script]);
        command.stderr(Stdio::null());
        let running = Running::start(command);
        running.signal(signal);
        let (_, status) = running.end();
        assert_eq!(status.signal(), Some(number), "{signal}");
    }
}

#[test]
fn a_closed_reader_changes_nothing() {
    support::needs!(root);
    let target = Target::new();
    let command = |script: &str, end: OwnedFd| {
        let mut command = target.nsexec(["-a", "--status-fd", "3", "--", "sh", "-c", script]);
        hand_over(&mut command, vec![end]);
        command
    };
    // The reader never exists.
    let (reader, end) = pipe().unwrap();
    drop(reader);
    let output = run(command("echo ran; exit 9", end));
    assert_eq!(text(&output.stdout), "ran\n");
    assert_eq!(output.status.code(), Some(9));
    // The reader closes its end while the program runs.
    let (reader, end) = pipe().unwrap();
    let running = Running::start(command("echo ready; sleep 0.3; echo on; exit 9", end));
    drop(reader);
    let (rest, status) = running.end();
    assert_eq!((rest.as_str(), status.code()), ("on\n", Some(9)));
}

#[test]
fn an_unwritable_status_descriptor_is_refused_before_the_start() {
    support::needs!(root);
    let target = Target::new();
    let mut command = target.nsexec(["-a", "--status-fd", "3", "--", "echo", "ran"]);
    hand_over(
        &mut command,
        vec![fs::File::open("/dev/null").unwrap().into()],
    );
    let message = fail(command, 125);
    let wrong = "--status-fd 3: descriptor 3 is open for reading only; give a file";
    assert!(message.contains(wrong), "{message}");
    // A full device accepts no lines either. If it fills later, no status is lost.
    let mut command = target.nsexec(["-a", "--status-fd", "3", "--", "echo", "ran"]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    hand_over(&mut command, vec![full.into()]);
    assert!(fail(command, 125).contains("--status-fd 3: descriptor 3 takes no lines: ENOSPC"));
}

#[test]
fn the_supervisor_holds_five_descriptors() {
    support::needs!(root);
    let target = Target::new();
    let mut command = target.nsexec(["-a", "--status-fd", "3", "--"]);
    command.args(["sh", "-c", "echo ready; exec sleep 1000"]);
    let (lines, end) = pipe().unwrap();
    hand_over(&mut command, vec![end]);
    let running = Running::start(command);
    // The helper writes the last line but one once the program runs.
    let mut lines = BufReader::new(fs::File::from(lines));
    for _ in 0..2 {
        lines.read_line(&mut String::new()).unwrap();
    }
    let directory = format!("/proc/{}/fd", running.pid());
    let mut open: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let link = fs::read_link(entry.path()).unwrap();
            if entry.file_name() == "2" {
                "standard error".to_owned()
            } else if link.to_string_lossy().starts_with("pipe:") {
                "the status lines".to_owned()
            } else {
                link.to_string_lossy().into_owned()
            }
        })
        .collect();
    open.sort();
    let mut expected = [
        &format!("/proc/{}/status", running.program()),
        "standard error",
        "the status lines",
        "anon_inode:[pidfd]",
        "anon_inode:[signalfd]",
    ];
    expected.sort_unstable();
    running.signal(Signal::SIGTERM);
    running.end();
    assert_eq!(open, expected);
}
