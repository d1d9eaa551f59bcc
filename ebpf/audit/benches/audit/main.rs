//! The cost of the auditor: for processes that make system calls, compared with no
//! observer, strace(1) and perf-trace(1); the calls that it reads in a flood; and its
//! start-up time and memory. In interleaved rounds.
//!
//! `cargo bench --package nsexec-audit --bench audit -- [--rounds N] [--save]`, as root, on
//! an otherwise idle machine. The benchmark asserts no times: it prints them beside their
//! limits, and `--save` stores the samples.

#![expect(clippy::print_stdout, reason = "a benchmark is for people to read")]

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

mod auditor;
mod load;
mod table;

use auditor::{Auditor, Memory};
use load::{Load, Options};
use nsexec_test_support::samples::{self, WARM_UP};

const ROUNDS: usize = 30;
/// Calls per processor in a flood: together more than 400 times the capacity of a ring.
const FLOOD: u32 = 800_000;
/// Calls per second on both processors: the rate that must be read without loss.
const FLOOD_RATE: u32 = 250_000;
/// Floods take long, and a few of them suffice.
const FLOODS: usize = 5;

/// A system call, and the number of calls per sample: without an observer or with the
/// auditor, and with observers that take ten times as long or more.
struct Call {
    name: &'static str,
    often: u32,
    seldom: u32,
}

const CALLS: [Call; 3] = [
    Call {
        name: "getppid",
        often: 100_000,
        seldom: 1000,
    },
    Call {
        name: "setns",
        often: 20_000,
        seldom: 1000,
    },
    Call {
        name: "unshare",
        often: 10_000,
        seldom: 1000,
    },
];

/// The observer.
struct Watcher {
    name: &'static str,
    by: By,
}

enum By {
    Nobody,
    Auditor,
    /// Runs under this command.
    Tracer(&'static [&'static str]),
    /// Runs under this command, which only counts.
    Counter(&'static [&'static str]),
}

const WATCHERS: [Watcher; 6] = [
    Watcher {
        name: "no observer",
        by: By::Nobody,
    },
    Watcher {
        name: "nsexec-audit",
        by: By::Auditor,
    },
    // The overhead of the kernel for every call once any call has a tracepoint at its entry
    // and exit.
    Watcher {
        name: "two tracepoints, counted by perf",
        by: By::Counter(&[
            "perf",
            "stat",
            "-a",
            "-o/dev/null",
            "-esyscalls:sys_enter_setns,syscalls:sys_exit_setns",
            "--",
        ]),
    },
    Watcher {
        name: "strace, with a filter",
        by: By::Tracer(&[
            "strace",
            "--seccomp-bpf",
            "-f",
            "-o/dev/null",
            "-etrace=setns,unshare,clone",
        ]),
    },
    Watcher {
        name: "strace",
        by: By::Tracer(&["strace", "-f", "-o/dev/null", "-etrace=setns,unshare,clone"]),
    },
    Watcher {
        name: "perf trace",
        by: By::Tracer(&[
            "perf",
            "trace",
            "-o/dev/null",
            "-esetns,unshare,clone",
            "--",
        ]),
    },
];

/// The result of one observer for one call.
struct Samples {
    watcher: &'static str,
    call: &'static str,
    /// The time of a thousand calls.
    times: Vec<Duration>,
}

/// The auditor's own figures, on one processor.
#[derive(Default)]
struct Auditing {
    attach_time: Vec<Duration>,
    resident: Vec<u64>,
    peak: Vec<u64>,
    sizes: Vec<usize>,
    counts: EventCounts,
}

/// Whether every call was reported or counted as lost.
#[derive(Clone, Copy, Debug, Default)]
struct EventCounts {
    made: u64,
    reported: u64,
    lost: u64,
}

impl EventCounts {
    fn add(&mut self, made: u64, reported: usize, lost: u64) {
        self.made += made;
        self.reported += u64::try_from(reported).unwrap_or(u64::MAX);
        self.lost += lost;
    }
}

/// A flood, and its result.
struct Flood {
    name: &'static str,
    rate: u32,
    options: &'static [&'static str],
    times: Vec<Duration>,
    counts: EventCounts,
    /// On both processors, before the flood.
    attach_time: Vec<Duration>,
    /// KiB
    peak: u64,
}

fn main() -> io::Result<()> {
    let options = samples::Options::parse(ROUNDS)?;
    let anywhere = sched_getaffinity(Pid::from_raw(0))?;
    let processors: Vec<usize> = (0..CpuSet::count())
        .filter(|number| anywhere.is_set(*number).unwrap_or(false))
        .take(2)
        .collect();
    let [first, second] = processors[..] else {
        return Err(io::Error::other("it takes two processors"));
    };
    let load = Load::compile(Path::new(env!("CARGO_TARGET_TMPDIR")))?;

    // The load runs alone on the first processor.
    let mut other = CpuSet::new();
    other.set(second)?;
    sched_setaffinity(Pid::from_raw(0), &other)?;
    let (ready, left_out) = watchers(&load, first);
    let mut auditing = Auditing::default();
    let samples = rounds(&load, first, &ready, options.rounds, &mut auditing)?;

    sched_setaffinity(Pid::from_raw(0), &anywhere)?;
    let mut floods = floods();
    for _ in 0..FLOODS.min(options.rounds) {
        for flood in &mut floods {
            flood.run(&load, [first, second])?;
        }
    }

    let mut report = table::calls(&samples);
    report.push_str(&table::floods(&floods));
    report.push_str(&table::auditing(&auditing, &floods));
    for (name, reason) in &left_out {
        let _ = writeln!(report, "left out: {name}: {reason}");
    }
    let rounds = options.rounds;
    let _ = writeln!(
        report,
        "{rounds} rounds after {WARM_UP} to warm up, interleaved; the calls on a processor of \
         their own, floods on two that the auditor shares"
    );
    print!("{report}");
    if options.save {
        let named: Vec<(String, &[Duration])> = samples
            .iter()
            .map(|one| {
                let name = format!("1000 {}, {}", one.call, one.watcher);
                (name, one.times.as_slice())
            })
            .chain([("attach_time".to_owned(), auditing.attach_time.as_slice())])
            .collect();
        let named: Vec<(&str, &[Duration])> = named
            .iter()
            .map(|(name, times)| (name.as_str(), *times))
            .collect();
        println!("{}", samples::save("audit", &named, &report)?.display());
    }
    Ok(())
}

/// The observers that work here, and the errors of the others.
fn watchers(load: &Load, processor: usize) -> (Vec<&'static Watcher>, Vec<(&'static str, String)>) {
    let (mut ready, mut left_out) = (Vec::new(), Vec::new());
    for watcher in &WATCHERS {
        let works = match watcher.by {
            By::Nobody | By::Auditor => Ok(()),
            By::Tracer(command) | By::Counter(command) => load
                .ready(
                    command,
                    Options {
                        call: "setns",
                        count: 1,
                        rate: 0,
                        processors: &[processor],
                    },
                )
                .and_then(|ready| ready.go())
                .map(drop),
        };
        match works {
            Ok(()) => ready.push(watcher),
            Err(error) => left_out.push((watcher.name, error.to_string())),
        }
    }
    (ready, left_out)
}

/// Each round runs each observer with each call once, and begins with a different one.
fn rounds(
    load: &Load,
    processor: usize,
    watchers: &[&'static Watcher],
    rounds: usize,
    auditing: &mut Auditing,
) -> io::Result<Vec<Samples>> {
    let mut samples: Vec<Samples> = CALLS
        .iter()
        .flat_map(|call| watchers.iter().map(move |watcher| (call, watcher)))
        .map(|(call, watcher)| Samples {
            watcher: watcher.name,
            call: call.name,
            times: Vec::new(),
        })
        .collect();
    for round in 0..WARM_UP + rounds {
        for (at, call) in CALLS.iter().enumerate() {
            for place in 0..watchers.len() {
                let which = (round + place) % watchers.len();
                let Some(watcher) = watchers.get(which) else {
                    continue;
                };
                let warm = round >= WARM_UP;
                let taken = once(
                    load,
                    processor,
                    watcher,
                    call,
                    warm.then_some(&mut *auditing),
                )
                .map_err(|error| io::Error::other(format!("{}: {error}", watcher.name)))?;
                let row = samples.get_mut(at * watchers.len() + which);
                if let Some(row) = row.filter(|_| warm) {
                    row.times.push(taken);
                }
            }
        }
    }
    Ok(samples)
}

/// The time of a thousand calls.
fn once(
    load: &Load,
    processor: usize,
    watcher: &Watcher,
    call: &Call,
    auditing: Option<&mut Auditing>,
) -> io::Result<Duration> {
    let processors = [processor];
    let options = |count| Options {
        call: call.name,
        count,
        rate: 0,
        processors: &processors,
    };
    let (taken, count) = match watcher.by {
        By::Nobody => load.ready(&[], options(call.often))?.go()?,
        By::Tracer(command) => load.ready(command, options(call.seldom))?.go()?,
        By::Counter(command) => load.ready(command, options(call.often))?.go()?,
        By::Auditor => {
            let ready = load.ready(&[], options(call.often))?;
            let auditor = Auditor::start(ready.pid(), &[])?;
            let (attach_time, memory) = (auditor.attach_time, auditor.memory);
            let (taken, count) = ready.go()?;
            // getppid has no probe and produces no event.
            let changes = call.name != "getppid";
            let done = auditor.stop(if changes { call.name } else { "setns" })?;
            if let Some(auditing) = auditing {
                auditing.attach_time.push(attach_time);
                auditing.resident.push(memory.resident);
                auditing.peak.push(memory.peak);
                if changes {
                    auditing.counts.add(count, done.sizes.len(), done.lost);
                    auditing.sizes.extend(done.sizes);
                }
            }
            (taken, count)
        }
    };
    let count = u32::try_from(count).map_err(io::Error::other)?;
    Ok(taken * 1000 / count.max(1))
}

fn floods() -> [Flood; 4] {
    // No event matches the filter.
    let nothing: &[&str] = &["--class", "denied"];
    [
        (
            "flood at the limit's rate, all reported",
            FLOOD_RATE,
            &[][..],
        ),
        (
            "flood at the limit's rate, none reported",
            FLOOD_RATE,
            nothing,
        ),
        ("flood, all reported", 0, &[]),
        ("flood, none reported", 0, nothing),
    ]
    .map(|(name, rate, options)| Flood {
        name,
        rate,
        options,
        times: Vec::new(),
        counts: EventCounts::default(),
        attach_time: Vec::new(),
        peak: 0,
    })
}

impl Flood {
    fn run(&mut self, load: &Load, processors: [usize; 2]) -> io::Result<()> {
        let ready = load.ready(
            &[],
            Options {
                call: "setns",
                count: FLOOD,
                rate: self.rate / 2,
                processors: &processors,
            },
        )?;
        let auditor = Auditor::start(ready.pid(), self.options)?;
        self.attach_time.push(auditor.attach_time);
        let (taken, count) = ready.go()?;
        let done = auditor.stop("setns")?;
        let Memory { peak, .. } = done.memory;
        self.peak = self.peak.max(peak);
        self.times.push(taken);
        let reported = if self.options.is_empty() {
            done.sizes.len()
        } else {
            // The sums of the probes and the absence of an error show that the events were
            // read.
            usize::try_from(done.seen.saturating_sub(done.lost)).unwrap_or(usize::MAX)
        };
        self.counts.add(count, reported, done.lost);
        Ok(())
    }
}
