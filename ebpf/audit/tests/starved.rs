//! An auditor that is stopped, killed or too slow: every loss is reported, and nothing of
//! the auditor stays in the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and counts are printed"
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

/// The path of the auditor on machines on which it was not built.
const PROGRAM: &str = "NSEXEC_AUDIT";

/// An auditor of its own process, which writes to a file.
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
        let mut output = String::new();
        let errors = auditor.child.stderr.take().unwrap();
        BufReader::new(errors).read_line(&mut output).unwrap();
        assert_eq!(output, "nsexec-audit: the probes are attached\n");
        Some(auditor)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// The ids of its BPF programs.
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

/// The ids of the BPF programs in the kernel.
fn loaded() -> HashSet<u32> {
    // A program may disappear while the test inspects it.
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
    // The first line is written before the first event.
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
    // Its counts start at zero, regardless of the killed auditor.
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

/// The counts of one processor for one ring, as reported.
#[derive(Debug, Default)]
struct ReportedCounts {
    sequences: HashSet<u64>,
    /// The lost events, by the `lost` lines.
    lost: u64,
}

/// An auditor that follows a program must know the program's children before it prints
/// their events, regardless of the number of queued events.
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
        // All events are read and queued.
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
    let (mut reported, mut lost) = (0, 0);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["kind"].as_str().unwrap() {
            "ns_noop" if line["actor"]["comm"] == "namespaces" => reported += 1,
            "lost" if line["ring"] == "namespaces" => lost += line["count"].as_u64().unwrap(),
            _ => {}
        }
    }
    println!(
        "followed: {reported} reported, {lost} lost, of {}",
        2 * EACH
    );
    // Other processes of this machine may have lost events as well.
    assert!(
        reported <= 2 * EACH && reported + lost >= 2 * EACH,
        "{reported} {lost}"
    );
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
    let mut reported: BTreeMap<(&str, usize), ReportedCounts> = BTreeMap::new();
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
                let reported = reported.entry(place(line)).or_default();
                let sequence = number(&line["cpu_seq"]);
                assert!(reported.sequences.insert(sequence), "{line}");
                *written.entry(hook.unwrap()).or_default() += 1;
            }
            "lost" => {
                reported.entry(place(line)).or_default().lost += number(&line["count"]);
            }
            "start" | "ns_gap" | "alert" | "health" => {}
            _ => panic!("{line}"),
        }
    }
    let health = lines.last().unwrap();
    assert_eq!(health["kind"], "health");
    // The auditor's own threads are not reported: its writer thread and the thread that
    // attached the probes may have ended after the attachment.
    let mut own = 0;
    let mut lost = 0;
    for ring in ["namespaces", "lineage"] {
        let positions = health["rings"][ring].as_array().unwrap();
        for (cpu, position) in positions.iter().enumerate() {
            let reported = reported.remove(&(ring, cpu)).unwrap_or_default();
            let read = u64::try_from(reported.sequences.len()).unwrap();
            let sequence = number(&position["sequence"]);
            let known = read + number(&position["lost"]);
            if ring == "lineage" {
                own += sequence - known;
            } else {
                assert_eq!(sequence, known, "{ring} {cpu}");
            }
            assert!(reported.sequences.iter().all(|one| *one < sequence));
            // The positions and the numbers of the missing events.
            assert_eq!(reported.lost, number(&position["lost"]), "{ring} {cpu}");
            lost += reported.lost;
        }
    }
    assert!(reported.is_empty(), "{reported:?}");
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
    println!("stopped: {read} reported, {lost} lost, each processor's sums agree");
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

/// Pseudo-random numbers from a seed: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The number of runs, and the seed.
const RUNS: &str = "NSEXEC_AUDIT_RUNS";
const SEED: &str = "NSEXEC_AUDIT_SEED";
const DEFAULT_RUNS: usize = 50;

const KINDS: [&str; 7] = [
    "rejoin", "refused", "unshare", "clone3", "fork", "exec", "thread",
];

#[test]
fn the_sums_agree_for_random_rings_loads_and_ends() {
    let test = "the_sums_agree_for_random_rings_loads_and_ends";
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
        // Reads now and then, and stops in the middle or after the end.
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
