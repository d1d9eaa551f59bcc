//! H8: after any failure of any system call, and after a SIGKILL at any point, no program
//! runs with less than its policy, no process is orphaned, and nothing hangs.
//!
//! strace(1) makes the n-th call of a name fail, or kills the caller there, for every name
//! and n of one exec. Afterwards either the program was not started, or every call that
//! enforces a layer succeeded as often as in an undisturbed run, and the program sees the
//! same state of itself.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::share::{self, share};
use support::trace;
use support::tracer::{self, Action};
use support::{NSEXEC, Target, temporary_directory};

/// The calls that enforce a layer of the policy.
const LAYERS: [&str; 9] = [
    "setns",
    "landlock_restrict_self",
    "seccomp",
    "capset",
    "close_range",
    "chroot",
    "fchdir",
    "prctl(PR_SET_NO_NEW_PRIVS",
    "prctl(PR_SET_PDEATHSIG",
];

/// The lines of /proc/self/status that a lost layer would change.
const FIELDS: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// One exec under strace.
struct Run {
    status: ExitStatus,
    stdout: String,
    log: Log,
}

/// The log of strace until the program runs.
#[derive(Debug, Default)]
struct Log {
    /// How often each process made each call.
    calls: BTreeMap<(String, String), usize>,
    /// How often each call of LAYERS succeeded; for setns, the number of joined namespaces.
    layers: BTreeMap<&'static str, usize>,
    /// The program was executed.
    started: bool,
}

impl Log {
    fn parse(text: &str) -> Self {
        let mut log = Self::default();
        let helper = text.split(' ').next().unwrap_or("").to_owned();
        for (pid, whole) in trace::calls(text) {
            let Some((name, _)) = whole.split_once('(') else {
                continue;
            };
            let succeeded = whole.contains(" = 0");
            *log.calls.entry((pid.clone(), name.to_owned())).or_default() += 1;
            if let Some(layer) = LAYERS.into_iter().find(|layer| whole.starts_with(layer))
                && succeeded
            {
                let count = match layer {
                    // One call of setns(2) joins one namespace, or all of them.
                    "setns" => whole.matches("CLONE_NEW").count(),
                    // The helper closes its open descriptors in as many ranges as it needs;
                    // the program inherits the descriptors that the child leaves open.
                    "close_range" if pid == helper => 0,
                    _ => 1,
                };
                *log.layers.entry(layer).or_default() += count;
            }
            if name == "execve" && pid != helper && succeeded {
                log.started = true;
                return log;
            }
        }
        log
    }

    /// The highest number of times that a process makes each call: strace counts per
    /// process.
    fn most(&self) -> BTreeMap<String, usize> {
        let mut most = BTreeMap::new();
        for ((_, name), count) in &self.calls {
            let entry = most.entry(name.clone()).or_insert(0);
            *entry = *count.max(entry);
        }
        most
    }
}

struct Bench {
    target: Target,
    directory: PathBuf,
}

impl Bench {
    fn new(purpose: &str) -> Self {
        Self {
            target: Target::new(),
            directory: temporary_directory(purpose),
        }
    }

    fn run(&self, inject: &str) -> Run {
        let log: &Path = &self.directory.join("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(log);
        if !inject.is_empty() {
            command.arg("-e").arg(format!("inject={inject}"));
        }
        command.args([
            "--",
            NSEXEC,
            "-t",
            &self.target.pid().to_string(),
            "-a",
            "--",
        ]);
        command.args(["cat", "/proc/self/status", "/proc/sys/kernel/hostname"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().expect("strace");
        // A hang is reported as a failure, and must not make the test itself hang.
        while child.try_wait().expect("strace").is_none() {
            if started.elapsed() > Duration::from_secs(20) {
                child.kill().expect("strace");
                panic!("{inject}: no end after 20 seconds");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().expect("strace");
        let log = Log::parse(&fs::read_to_string(log).expect("the log"));
        Run {
            status: output.status,
            stdout: support::text(&output.stdout),
            log,
        }
    }

    /// Like [`Self::run`], but with the fault only in the child: in the n-th call of this
    /// number.
    fn run_child(&self, fault: Option<(u64, usize)>) -> (Run, Vec<(u64, usize)>) {
        /// The child is the fourth process: finder and verifier were cloned before it.
        const CHILD: usize = 3;
        let open = |name: &str| fs::File::create(self.directory.join(name)).expect("a file");
        let pid = self.target.pid().to_string();
        let mut words = vec![NSEXEC, "-t", &pid, "-a", "--", "cat", "/proc/self/status"];
        words.push("/proc/sys/kernel/hostname");
        let mut log = Log::default();
        let mut calls = Vec::new();
        let ended = tracer::run(&words, open("child-out"), open("child-err"), |stop| {
            if stop.place != CHILD || log.started {
                return Action::Go;
            }
            match stop.result {
                None => {
                    calls.push((stop.number, stop.before));
                    let fails = fault == Some((stop.number, stop.before));
                    return if fails {
                        Action::Fail(libc::EPERM)
                    } else {
                        Action::Go
                    };
                }
                Some(0) => {
                    let number = i64::try_from(stop.number).expect("a number");
                    log.started = number == libc::SYS_execve;
                    if let Some(layer) = layer_of(number, stop.argument) {
                        *log.layers.entry(layer).or_default() += 1;
                    }
                }
                Some(_) => {}
            }
            Action::Go
        });
        let stdout = fs::read(self.directory.join("child-out")).expect("the output");
        let run = Run {
            status: ExitStatus::from_raw(ended.status << 8),
            stdout: support::text(&stdout),
            log,
        };
        (run, calls)
    }

    /// The checks after every run.
    #[track_caller]
    fn assert_whole_or_nothing(&self, undisturbed: &Run, run: &Run, inject: &str) {
        if run.log.started {
            // More is accepted: if no mount can be cloned, a fault can make the helper copy
            // itself once more.
            let count = |call: &&str| run.log.layers.get(call).copied().unwrap_or(0);
            let mut undisturbed = undisturbed.log.layers.iter();
            assert!(
                undisturbed.all(|(call, undisturbed)| count(call) >= *undisturbed),
                "{inject}: started with less: {:?}",
                run.log.layers
            );
        }
        for field in FIELDS {
            let of = |text: &str| {
                let line = text
                    .lines()
                    .find(|line| line.split(':').next() == Some(field));
                line.map(str::to_owned)
            };
            let found = of(&run.stdout);
            assert!(
                found.is_none() || found == of(&undisturbed.stdout),
                "{inject}: {found:?}"
            );
        }
        let other = run.stdout.lines().filter(|line| !line.contains(':'));
        assert!(
            other.clone().all(|line| line == "target"),
            "{inject}: {other:?}"
        );
        if !run.log.started {
            assert!(!run.status.success(), "{inject}: a silent success");
        }
        self.assert_no_orphan(inject);
    }

    #[track_caller]
    fn assert_no_orphan(&self, inject: &str) {
        let children = format!("/proc/{0}/task/{0}/children", self.target.pid());
        for _ in 0..300 {
            // An orphan inside becomes a child of the target's init; any other process is
            // still in the same pid namespace.
            let adopted = fs::read_to_string(&children).expect("the target");
            if adopted.trim().is_empty() && self.others_inside() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{inject}: a process was left in the target");
    }

    /// Processes in the target's pid namespace beside its init.
    fn others_inside(&self) -> usize {
        let namespace = self.target.namespace("pid");
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let inside = processes.filter(|entry| {
            fs::read_link(entry.path().join("ns/pid"))
                .is_ok_and(|link| link.to_string_lossy() == namespace)
        });
        inside.count().saturating_sub(1)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The entry of LAYERS that a call of the child belongs to.
fn layer_of(number: i64, argument: u64) -> Option<&'static str> {
    let option = |option: i32| u64::try_from(option).is_ok_and(|option| option == argument);
    Some(match number {
        libc::SYS_landlock_restrict_self => "landlock_restrict_self",
        libc::SYS_seccomp => "seccomp",
        libc::SYS_capset => "capset",
        libc::SYS_close_range => "close_range",
        libc::SYS_chroot => "chroot",
        libc::SYS_fchdir => "fchdir",
        libc::SYS_prctl if option(libc::PR_SET_NO_NEW_PRIVS) => "prctl(PR_SET_NO_NEW_PRIVS",
        libc::SYS_prctl if option(libc::PR_SET_PDEATHSIG) => "prctl(PR_SET_PDEATHSIG",
        _ => return None,
    })
}

/// The bounding set is dropped in forty equal calls: the first and the last few represent
/// all of them.
fn turns(count: usize) -> impl Iterator<Item = usize> {
    (1..=count).filter(move |n| *n <= 8 || *n + 4 > count)
}

/// Each name of a call with its indices; at most `most` indices per name.
fn injections(undisturbed: &Run, most: usize) -> Vec<(String, usize)> {
    let all = undisturbed
        .log
        .most()
        .into_iter()
        .flat_map(move |(name, count)| {
            let turns = turns(count).take(most);
            turns.map(move |n| (name.clone(), n))
        });
    share::of(all).collect()
}

#[test]
fn a_failing_call_never_starts_a_program_with_less() {
    support::needs!(root);
    let bench = Bench::new("faults");
    let undisturbed = bench.run("");
    assert!(
        undisturbed.status.success()
            && undisturbed.log.started
            && undisturbed.stdout.ends_with("target\n")
    );
    let (mut cases, mut started) = (0, 0);
    for (name, n) in injections(&undisturbed, usize::MAX) {
        for error in ["EPERM", "ENOMEM"] {
            let inject = format!("{name}:error={error}:when={n}");
            let run = bench.run(&inject);
            bench.assert_whole_or_nothing(&undisturbed, &run, &inject);
            cases += 1;
            started += usize::from(run.log.started);
        }
    }
    println!("{cases} faults; after {started} of them the program was started, whole");
    assert!(cases * share() >= 200, "only {cases} faults were tried");
    assert!(
        started < cases / 2,
        "most faults have to keep the program from starting"
    );
}

#[test]
fn a_failed_close_blocks_no_process() {
    support::needs!(root);
    let bench = Bench::new("closes");
    let undisturbed = bench.run("");
    let closes = undisturbed.log.most().get("close").copied().unwrap_or(0);
    assert!(closes >= 20, "only {closes} descriptors are closed");
    // Each of them, because one is the end of a pipe on whose other end a process waits.
    for n in 1..=closes {
        let inject = format!("close:error=EIO:when={n}");
        let run = bench.run(&inject);
        bench.assert_whole_or_nothing(&undisturbed, &run, &inject);
    }
}

#[test]
fn a_failing_call_of_the_child_never_starts_a_program_with_less() {
    support::needs!(root);
    let bench = Bench::new("child-faults");
    let (undisturbed, calls) = bench.run_child(None);
    assert!(
        undisturbed.log.started && undisturbed.stdout.ends_with("target\n"),
        "{}",
        undisturbed.stdout
    );
    let most = |number| calls.iter().filter(|(known, _)| *known == number).count();
    let (mut cases, mut started) = (0, 0);
    let chosen = calls
        .iter()
        .filter(|(number, before)| turns(most(*number)).any(|n| n == before + 1));
    for (number, before) in share::at_least(30, chosen) {
        let (run, _) = bench.run_child(Some((*number, *before)));
        let inject = format!("call {number}, time {before}");
        bench.assert_whole_or_nothing(&undisturbed, &run, &inject);
        cases += 1;
        started += usize::from(run.log.started);
    }
    println!("{cases} faults of the child; after {started} the program was started, whole");
    assert!(cases >= 30, "only {cases} faults were tried");
    assert!(
        started < cases / 2,
        "most faults have to keep the program from starting"
    );
}

#[test]
fn a_kill_at_any_call_leaves_nothing_behind() {
    support::needs!(root);
    let bench = Bench::new("kills");
    let undisturbed = bench.run("");
    let mut cases = 0;
    for (name, n) in injections(&undisturbed, 6) {
        let inject = format!("{name}:signal=KILL:when={n}");
        let run = bench.run(&inject);
        bench.assert_whole_or_nothing(&undisturbed, &run, &inject);
        cases += 1;
        let whole = run.stdout == undisturbed.stdout;
        let ended = run.status.signal().is_some() || !run.status.success();
        assert!(whole || ended, "{inject}: {} {:?}", run.status, run.stdout);
    }
    println!("{cases} kills");
    assert!(cases * share() >= 100, "only {cases} kills were tried");
}
