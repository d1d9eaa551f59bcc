//! An auditor that is stopped, killed or too slow: nothing is lost unsaid, and nothing
//! of it stays in the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test, a panic is how it fails, and counts are printed"
)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsexec_audit::loader::probes::Sizes;
use serde_json::Value;

use support::driver::{Driver, count};
use support::sums::sums_agree;
use support::{Watched, leave_out, object};

/// The auditor, on machines where it is not where it was built.
const PROGRAM: &str = "NSEXEC_AUDIT";

/// An auditor of its own process, whose lines go to a file.
struct Auditor {
    child: Child,
    lines: PathBuf,
}

impl Auditor {
    fn start(test: &str) -> Option<Self> {
        object(test)?;
        let built = env!("CARGO_BIN_EXE_nsexec-audit");
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| built.into());
        let name = format!("nsexec-audit-{}-{test}", std::process::id());
        let lines = std::env::temp_dir().join(name);
        let started = Command::new(program)
            .args(support::backend_option())
            .args(["--format", "json", "--lineage"])
            .stdin(Stdio::null())
            .stdout(File::create(&lines).unwrap())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(child) = started else {
            let _ = fs::remove_file(&lines);
            leave_out(test, &format!("no auditor here, and {PROGRAM} names none"));
            return None;
        };
        let mut auditor = Self { child, lines };
        let mut said = String::new();
        let errors = auditor.child.stderr.take().unwrap();
        BufReader::new(errors).read_line(&mut said).unwrap();
        assert_eq!(said, "nsexec-audit: the probes are attached\n");
        Some(auditor)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// The programs that it holds, by their ids.
    fn programs(&self) -> HashSet<u32> {
        let mut ids = HashSet::new();
        for entry in fs::read_dir(format!("/proc/{}/fdinfo", self.child.id())).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
            ids.extend(id.map(|id| id.trim().parse::<u32>().unwrap()));
        }
        ids
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.lines);
    }
}

/// The programs in the kernel, by their ids.
fn loaded() -> HashSet<u32> {
    // One may go while it is looked at.
    loaded_programs().flatten().map(|info| info.id()).collect()
}

#[test]
fn an_auditor_that_is_killed_leaves_nothing_and_the_next_begins_anew() {
    let test = "an_auditor_that_is_killed_leaves_nothing_and_the_next_begins_anew";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut auditor) = Auditor::start(test) else {
        return;
    };
    let at_work = ["0", "1"]
        .map(|cpu| driver.start(&["load", "10000000", cpu, "unshare", "fork", "refused"]));
    let deadline = Instant::now() + Duration::from_secs(20);
    // The first line is there before the first event.
    while fs::read_to_string(&auditor.lines).unwrap().lines().count() < 100 {
        assert!(Instant::now() < deadline, "it tells nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    let held = auditor.programs();
    assert!(held.len() >= 6, "{held:?}");
    assert!(held.is_subset(&loaded()));
    auditor.signal(Signal::SIGKILL);
    auditor.child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !held.is_disjoint(&loaded()) {
        assert!(Instant::now() < deadline, "its programs are still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut watched = Watched::start(test).unwrap();
    let tid = at_work[0].pid();
    watched.namespace(tid);
    drop(at_work);
    let (read, lost) = sums_agree(&mut watched);
    // It counts from the beginning, whatever the other one did.
    for ring in watched.probes.positions().unwrap() {
        let taken: u64 = ring.iter().map(|position| position.sequence).sum();
        assert!(taken > 0);
    }
    let first = watched
        .seen
        .iter()
        .filter(|event| event.header().sequence == 0);
    assert!(first.count() >= 2);
    println!(
        "killed: {} programs gone; the next one read {read}, lost {lost}",
        held.len()
    );
}

/// What one processor had for one ring, as it was told.
#[derive(Debug, Default)]
struct OutputEvent {
    sequences: HashSet<u64>,
    /// By lines that said so.
    said: u64,
}

/// An auditor that follows a program has to know who its children are before it is shown
/// what they do, however much of that waits to be told.
#[test]
fn calls_of_children_in_a_flood_are_reported_or_counted_as_lost() {
    let test = "calls_of_children_in_a_flood_are_reported_or_counted_as_lost";
    const EACH: u64 = 100_000;
    let (Some(driver), Some(_)) = (Driver::build(test), object(test)) else {
        return;
    };
    let built = env!("CARGO_BIN_EXE_nsexec-audit");
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| built.into());
    let script = format!(
        "flood() {{ \"$0\" load {EACH} $1 rejoin >/dev/null; }}
         flood 0 & sleep 0.2; flood 1 & wait"
    );
    let output = Command::new(program)
        .args(support::backend_option())
        // All of it is read, and waits.
        .args(["--ring", "64M", "--format", "json"])
        .args(["--", "sh", "-c", &script])
        .arg(driver.program())
        .output();
    let Ok(output) = output else {
        leave_out(test, &format!("no auditor here, and {PROGRAM} names none"));
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut told, mut lost) = (0, 0);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["kind"].as_str().unwrap() {
            "ns_noop" if line["actor"]["comm"] == "namespaces" => told += 1,
            "lost" if line["ring"] == "namespaces" => lost += line["count"].as_u64().unwrap(),
            _ => {}
        }
    }
    println!("followed: {told} told, {lost} lost, of {}", 2 * EACH);
    // Others on this machine may have lost some as well.
    assert!(told <= 2 * EACH && told + lost >= 2 * EACH, "{told} {lost}");
}

#[test]
fn a_stopped_auditor_reports_its_losses() {
    let test = "a_stopped_auditor_reports_its_losses";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut auditor) = Auditor::start(test) else {
        return;
    };
    let load = |count: &str| {
        let both = ["0", "1"]
            .map(|cpu| driver.start(&["load", count, cpu, "unshare", "refused", "fork", "exec"]));
        both.map(|running| running.end().tid)
    };
    load("100");
    auditor.signal(Signal::SIGSTOP);
    load("3000");
    auditor.signal(Signal::SIGCONT);
    load("100");
    auditor.signal(Signal::SIGINT);
    assert!(auditor.child.wait().unwrap().success());
    let text = fs::read_to_string(&auditor.lines).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let number = |value: &Value| value.as_u64().unwrap();
    let mut told: BTreeMap<(&str, usize), OutputEvent> = BTreeMap::new();
    let mut written: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &lines {
        let (kind, hook) = (line["kind"].as_str().unwrap(), line["backend"].as_str());
        let lineage = matches!(kind, "fork" | "exec" | "exit");
        let ring = match line["ring"].as_str() {
            Some(ring) => ["namespaces", "lineage"]
                .into_iter()
                .find(|one| *one == ring),
            None if lineage => Some("lineage"),
            None => Some("namespaces"),
        };
        let ring = ring.unwrap();
        let place = |line: &Value| (ring, usize::try_from(number(&line["cpu"])).unwrap());
        match kind {
            "ns_join" | "ns_create" | "ns_denied" | "ns_noop" | "fork" | "exec" | "exit" => {
                let told = told.entry(place(line)).or_default();
                let sequence = number(&line["cpu_seq"]);
                assert!(told.sequences.insert(sequence), "{line}");
                *written.entry(hook.unwrap()).or_default() += 1;
            }
            "lost" => {
                told.entry(place(line)).or_default().said += number(&line["count"]);
            }
            "start" | "ns_gap" | "alert" | "health" => {}
            _ => panic!("{line}"),
        }
    }
    let health = lines.last().unwrap();
    assert_eq!(health["kind"], "health");
    // What the auditor does is told to nobody: it made the thread that writes, and the
    // one that put the probes in may have ended after that.
    let mut own = 0;
    let mut lost = 0;
    for ring in ["namespaces", "lineage"] {
        let positions = health["rings"][ring].as_array().unwrap();
        for (cpu, position) in positions.iter().enumerate() {
            let told = told.remove(&(ring, cpu)).unwrap_or_default();
            let read = u64::try_from(told.sequences.len()).unwrap();
            let sequence = number(&position["sequence"]);
            let known = read + number(&position["lost"]);
            if ring == "lineage" {
                own += sequence - known;
            } else {
                assert_eq!(sequence, known, "{ring} {cpu}");
            }
            assert!(told.sequences.iter().all(|one| *one < sequence));
            // Where they are missing, and how many.
            assert_eq!(told.said, number(&position["lost"]), "{ring} {cpu}");
            lost += told.said;
        }
    }
    assert!(told.is_empty(), "{told:?}");
    assert!((1..=2).contains(&own), "{own}");
    for (hook, written) in &written {
        let own = match *hook {
            "task_newtask_any" => 1,
            "sched_process_exit" => own - 1,
            _ => 0,
        };
        assert_eq!(health["hooks"][hook]["written"], *written + own, "{hook}");
    }
    assert!(lost > 0, "the rings hold more than this test does");
    let read: u64 = written.values().sum();
    println!("stopped: {read} told, {lost} lost, each processor's sums agree");
}

#[test]
fn a_small_ring_is_exact_under_load_from_two_processors() {
    let test = "a_small_ring_is_exact_under_load_from_two_processors";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let sizes = Sizes {
        namespaces: 64 << 10,
        lineage: 64 << 10,
    };
    let Some(mut watched) = Watched::with(test, sizes) else {
        return;
    };
    let mut both = ["0", "1"].map(|cpu| {
        driver.start(&[
            "load", "1000", cpu, "rejoin", "refused", "unshare", "clone3", "fork", "exec",
        ])
    });
    while both.iter_mut().any(|one| one.runs()) {
        watched.drain();
        std::thread::sleep(Duration::from_millis(20));
    }
    let tids = both.map(|one| one.end().tid);
    let (read, lost) = sums_agree(&mut watched);
    assert!(lost > 0, "{read} were read, and none lost");
    for tid in tids {
        assert!(!watched.calls_of(tid).is_empty());
    }
    println!("small: {read} read, {lost} lost, each processor's sums agree");
}

/// Numbers that look random, and are the same for the same seed: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How many runs, and with which seed.
const RUNS: &str = "NSEXEC_AUDIT_RUNS";
const SEED: &str = "NSEXEC_AUDIT_SEED";
const DEFAULT_RUNS: usize = 50;

const KINDS: [&str; 7] = [
    "rejoin", "refused", "unshare", "clone3", "fork", "exec", "thread",
];

#[test]
fn the_sums_agree_whatever_the_rings_the_load_and_the_end() {
    let test = "the_sums_agree_whatever_the_rings_the_load_and_the_end";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let runs = count(RUNS, DEFAULT_RUNS);
    let seed = count(SEED, usize::try_from(std::process::id()).unwrap());
    println!("runs: seed {seed}");
    let mut random = Random(u64::try_from(seed).unwrap() | 1 << 40);
    let (mut read, mut lost, mut cut) = (0, 0, 0);
    for run in 0..runs {
        let size = |random: &mut Random| 4096 << random.below(10);
        let sizes = Sizes {
            namespaces: size(&mut random),
            lineage: size(&mut random),
        };
        let mut loads = Vec::new();
        for cpu in 0..1 + random.below(3) {
            let mut words = vec!["load".to_owned()];
            words.push((1 + random.below(300)).to_string());
            words.push(cpu.to_string());
            for _ in 0..1 + random.below(4) {
                let kind = random.below(u64::try_from(KINDS.len()).unwrap());
                words.push(KINDS[usize::try_from(kind).unwrap()].to_owned());
            }
            loads.push(words);
        }
        println!("run {run}: {sizes:?} {loads:?}");
        let Some(mut watched) = Watched::with(test, sizes) else {
            return;
        };
        let mut loads: Vec<_> = loads
            .iter()
            .map(|words| driver.start(&words.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        // Looks now and then, and stops in the middle or after the end.
        let pause = random.below(4);
        let mut looks = random.below(60);
        while looks > 0 && loads.iter_mut().any(|one| one.runs()) {
            if pause > 0 {
                watched.drain();
            }
            std::thread::sleep(Duration::from_millis(pause));
            looks -= 1;
        }
        cut += usize::from(loads.iter_mut().any(|one| one.runs()));
        let (run_read, run_lost) = sums_agree(&mut watched);
        read += run_read;
        lost += run_lost;
    }
    println!(
        "runs: the sums agree in {runs} of {runs}, {cut} of them cut off; {read} read, {lost} lost"
    );
}
