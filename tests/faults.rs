//! H8: any failure at any system call, and a SIGKILL at any point: nothing was
//! started with less than its policy, no orphan, no hang.
//!
//! strace(1) makes the n-th call of a name fail, or kills the caller there, for
//! every name and n that one exec has. Then either the program was not started,
//! or every call that puts a layer in force had succeeded as often as in a calm
//! run, and what the program sees of itself is the same.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use support::share::{self, share};
use support::{NSEXEC, Target, temporary_directory};

/// The calls without whose success something of the policy is missing.
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

/// What of /proc/self/status a lost layer would change.
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

/// strace's log up to the moment when the program is there.
#[derive(Debug, Default)]
struct Log {
    /// How often each process made each call.
    calls: BTreeMap<(String, String), usize>,
    /// How often each of LAYERS succeeded; of setns, how many namespaces it joined.
    layers: BTreeMap<&'static str, usize>,
    /// The program was executed.
    started: bool,
}

impl Log {
    fn parse(text: &str) -> Self {
        let mut log = Self::default();
        let helper = text.split(' ').next().unwrap_or("").to_owned();
        let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines() {
            let Some((pid, call)) = line.split_once(' ') else {
                continue;
            };
            let call = call.trim_start();
            let whole = if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
                unfinished.insert(pid.to_owned(), begun.to_owned());
                continue;
            } else if call.starts_with("<... ") {
                let begun = unfinished.remove(pid).unwrap_or_default();
                format!(
                    "{begun}{}",
                    call.split_once("resumed>").map_or("", |(_, rest)| rest)
                )
            } else {
                call.to_owned()
            };
            let Some((name, _)) = whole.split_once('(') else {
                continue;
            };
            let succeeded = whole.contains(" = 0");
            *log.calls
                .entry((pid.to_owned(), name.to_owned()))
                .or_default() += 1;
            if let Some(layer) = LAYERS.into_iter().find(|layer| whole.starts_with(layer))
                && succeeded
            {
                // One setns(2) joins one namespace, or all.
                let count = match layer {
                    "setns" => whole.matches("CLONE_NEW").count(),
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

    /// The most that a process makes of each call: strace counts per process.
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
        // A hang is a failure, and must not become one of the test itself.
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

    /// As [`Self::run`], with the fault in the child alone: the helper stops
    /// itself at the first call of its own lock-down, when the child waits to be
    /// let go, and goes on once strace(1) is attached to the child.
    fn run_child(&self, inject: &str) -> Run {
        let log: &Path = &self.directory.join("child-log");
        let helper_log = self.directory.join("helper-log");
        let _ = fs::remove_file(log);
        let _ = fs::remove_file(&helper_log);
        let pid = self.target.pid().to_string();
        let mut helper = Command::new("strace");
        helper.args(["-qq", "-o"]).arg(&helper_log);
        helper.args(["-e", "inject=capset:signal=STOP:when=1", "--"]);
        helper.args([NSEXEC, "-t", &pid, "-a", "--", "cat", "/proc/self/status"]);
        helper.arg("/proc/sys/kernel/hostname").stdin(Stdio::null());
        let helper = helper
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace");
        eventually("the helper's stop", || {
            let log = fs::read_to_string(&helper_log).ok()?;
            log.contains("--- stopped by SIGSTOP ---").then_some(())
        });
        // Not before: strace has children of its own while it starts.
        let nsexec = eventually("the helper", || only_child(helper.id()));
        let child = eventually("the child", || only_child(nsexec));
        eventually("the child's wait", || {
            status_field(child, "State")?.starts_with('S').then_some(())
        });
        let switches = || -> Option<u64> {
            let count = status_field(child, "voluntary_ctxt_switches")?;
            count.parse().ok()
        };
        let before = switches().expect("the child waits");
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o"]).arg(log);
        strace.args(["-p", &child.to_string()]);
        if !inject.is_empty() {
            strace.arg("-e").arg(format!("inject={inject}"));
        }
        let mut strace = strace
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace");
        eventually("strace's attachment", || {
            // The fault may end the child at once, and strace with it.
            let ended = strace.try_wait().expect("strace").is_some();
            // It is the tracer's before it is stopped for the first time: stopped, and
            // waiting again, it has given its processor away twice.
            let stopped = switches().is_some_and(|count| count >= before + 2);
            let waits = status_field(child, "State").is_some_and(|state| state.starts_with('S'));
            (ended || (stopped && waits)).then_some(())
        });
        let nsexec = Pid::from_raw(nsexec.try_into().expect("a pid"));
        nix::sys::signal::kill(nsexec, Signal::SIGCONT).expect("kill");
        let output = helper.wait_with_output().expect("strace");
        strace.wait().expect("strace");
        // A line without its pid: there is one process only.
        let text = fs::read_to_string(log).unwrap_or_default();
        let text: String = text.lines().map(|line| format!("child {line}\n")).collect();
        Run {
            status: output.status,
            stdout: support::text(&output.stdout),
            log: Log::parse(&format!("helper\n{text}")),
        }
    }

    /// What holds after every run.
    #[track_caller]
    fn assert_whole_or_nothing(&self, calm: &Run, run: &Run, inject: &str) {
        if run.log.started {
            // More is right: where no mount can be cloned, a fault can make the helper
            // copy itself once more.
            let count = |call: &&str| run.log.layers.get(call).copied().unwrap_or(0);
            let mut calm = calm.log.layers.iter();
            assert!(
                calm.all(|(call, calm)| count(call) >= *calm),
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
                found.is_none() || found == of(&calm.stdout),
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
            // Whoever loses its parent in there becomes a child of its init;
            // whoever has not is in the same pid namespace still.
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

/// The first child of a process.
fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// A field of /proc/PID/status.
fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| *field == name)?;
    Some(value.trim().to_owned())
}

/// What another process brings about, however busy the machine is.
#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not there after 20 seconds");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The bounding set is dropped in forty equal calls: the first and the last few
/// stand for all.
fn turns(count: usize) -> impl Iterator<Item = usize> {
    (1..=count).filter(move |n| *n <= 8 || *n + 4 > count)
}

/// Each name of a call, with its turns; no more than `most` of one name.
fn injections(calm: &Run, most: usize) -> Vec<(String, usize)> {
    let all = calm.log.most().into_iter().flat_map(move |(name, count)| {
        let turns = turns(count).take(most);
        turns.map(move |n| (name.clone(), n))
    });
    share::of(all).collect()
}

#[test]
fn a_failing_call_never_starts_a_program_with_less() {
    if support::left_out_without_root("a_failing_call_never_starts_a_program_with_less") {
        return;
    }
    let bench = Bench::new("faults");
    let calm = bench.run("");
    assert!(calm.status.success() && calm.log.started && calm.stdout.ends_with("target\n"));
    let (mut cases, mut started) = (0, 0);
    for (name, n) in injections(&calm, usize::MAX) {
        for error in ["EPERM", "ENOMEM"] {
            let inject = format!("{name}:error={error}:when={n}");
            let run = bench.run(&inject);
            bench.assert_whole_or_nothing(&calm, &run, &inject);
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
fn a_failing_call_of_the_child_never_starts_a_program_with_less() {
    if support::left_out_without_root(
        "a_failing_call_of_the_child_never_starts_a_program_with_less",
    ) {
        return;
    }
    let bench = Bench::new("child-faults");
    let calm = bench.run_child("");
    assert!(
        calm.log.started && calm.stdout.ends_with("target\n"),
        "{}",
        calm.stdout
    );
    let (mut cases, mut started) = (0, 0);
    for (name, n) in injections(&calm, usize::MAX) {
        let inject = format!("{name}:error=EPERM:when={n}");
        let run = bench.run_child(&inject);
        bench.assert_whole_or_nothing(&calm, &run, &inject);
        cases += 1;
        started += usize::from(run.log.started);
    }
    println!("{cases} faults of the child; after {started} the program was started, whole");
    assert!(cases * share() >= 30, "only {cases} faults were tried");
    assert!(
        started < cases / 2,
        "most faults have to keep the program from starting"
    );
}

#[test]
fn a_kill_at_any_call_leaves_nothing_behind() {
    if support::left_out_without_root("a_kill_at_any_call_leaves_nothing_behind") {
        return;
    }
    let bench = Bench::new("kills");
    let calm = bench.run("");
    let mut cases = 0;
    for (name, n) in injections(&calm, 6) {
        let inject = format!("{name}:signal=KILL:when={n}");
        let run = bench.run(&inject);
        bench.assert_whole_or_nothing(&calm, &run, &inject);
        cases += 1;
        let whole = run.stdout == calm.stdout;
        let ended = run.status.signal().is_some() || !run.status.success();
        assert!(whole || ended, "{inject}: {} {:?}", run.status, run.stdout);
    }
    println!("{cases} kills");
    assert!(cases * share() >= 100, "only {cases} kills were tried");
}
