//! Events that do not fit are reported, up to the last one, and can end the auditor.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsexec_audit::enrich::enricher::Enricher;
use nsexec_audit::ingest::reader::EventSink as _;
use nsexec_audit::loader::probes::Sizes;
use nsexec_audit::model::event::{OutputEvent, Ring};
use nsexec_audit_abi::Event;
use serde_json::Value;

use support::{Sleeper, Watched, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");

/// Without a reader: more joins than fit into the smallest ring, and then this command.
fn without_reader(then: &str) -> String {
    format!(
        "kill -STOP $PPID; for i in $(seq 20); do nsenter --uts=/proc/self/ns/uts true; done; \
         kill -CONT $PPID; {then}"
    )
}

fn run(options: &[&str], script: &str) -> Output {
    Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--format=json", "--ring=4K"])
        .args(options)
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The number of lost events of a ring in a `health` line.
fn counted(health: &Value, ring: &str) -> u64 {
    let positions = health["rings"][ring].as_array().unwrap();
    positions
        .iter()
        .map(|one| one["lost"].as_u64().unwrap())
        .sum()
}

fn reported(lines: &[Value], ring: &str) -> u64 {
    let lost = lines.iter().filter(|line| line["kind"] == "lost");
    lost.filter(|line| line["ring"] == ring)
        .map(|line| line["count"].as_u64().unwrap())
        .sum()
}

/// No event follows the lost ones, and they are reported all the same.
#[test]
fn a_loss_at_the_end_is_reported() {
    if object("a_loss_at_the_end_is_reported").is_none() {
        return;
    }
    // If other processes of this machine cause an event afterwards, that event reports the
    // loss.
    for round in 1..=10 {
        let output = run(&[], &without_reader("exit 7"));
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        let lines = lines(&output);
        let health = lines.last().unwrap();
        assert_eq!(
            (&health["kind"], &health["ended"]),
            (&"health".into(), &true.into())
        );
        assert_eq!(health["broken"], serde_json::json!([]));
        for ring in ["namespaces", "lineage"] {
            assert!(counted(health, ring) > 0, "{ring}");
            assert_eq!(reported(&lines, ring), counted(health, ring), "{ring}");
        }
        // By default the loss is only reported.
        assert!(lines.iter().all(|line| line["rule"] != "events-lost"));
        let at_end = |line: &Value| line["kind"] == "lost" && line["backend"] == "positions";
        if lines.iter().any(at_end) {
            println!("end: the loss is reported, in round {round}");
            return;
        }
    }
    panic!("no round lost an event after the last reported one");
}

#[test]
fn a_loss_can_raise_an_alert() {
    if object("a_loss_can_raise_an_alert").is_none() {
        return;
    }
    let output = run(&["--on-loss=alert"], &without_reader("exit 7"));
    // The exit status is the program's own.
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let lines = lines(&output);
    let alert = lines.iter().find(|line| line["rule"] == "events-lost");
    let alert = alert.unwrap();
    let about = alert["exec_id"].as_str().unwrap();
    assert!(about.starts_with(&format!("{}.", alert["tgid"])), "{alert}");
    assert_ne!(about.split_once('.').unwrap().1, "0");
}

#[test]
fn a_loss_can_end_the_auditor_and_leaves_the_program_alone() {
    let test = "a_loss_can_end_the_auditor_and_leaves_the_program_alone";
    if object(test).is_none() {
        return;
    }
    let done = std::env::temp_dir().join(format!("nsexec-{}-done", std::process::id()));
    // It waits until no tracer watches it, with a time limit.
    let then = "for i in $(seq 400); do kill -0 $auditor 2>/dev/null || break; sleep 0.05; done; \
                : >$done; exit 7";
    let script = format!(
        "auditor=$PPID done={}; {}",
        done.display(),
        without_reader(then)
    );
    let mut auditor = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--on-loss=fail", "--ring=4K", "--", "sh", "-c", &script])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = String::new();
    for line in BufReader::new(auditor.stderr.take().unwrap()).lines() {
        output.push_str(&line.unwrap());
        if output.contains("keeps running") {
            break;
        }
    }
    assert!(
        output.contains("keeps running without being monitored"),
        "{output}"
    );
    assert_eq!(auditor.wait().unwrap().code(), Some(4));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done.exists() {
        assert!(Instant::now() < deadline, "the program does not go on");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::remove_file(done).unwrap();
}

/// An auditor of this process, which runs until [`status`] ends it.
fn auditor(options: &[&str]) -> Child {
    let mut auditor = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(options)
        .args(["--pid", &std::process::id().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(auditor.stderr.as_mut().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready, "nsexec-audit: the probes are attached\n");
    auditor
}

fn send(auditor: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(auditor.id()).unwrap()), signal).unwrap();
}

fn status(mut auditor: Child) -> Option<i32> {
    send(&auditor, Signal::SIGTERM);
    auditor.wait().unwrap().code()
}

/// Makes this many joins of the thread's own namespace.
fn rejoin(times: usize) {
    let own = std::fs::File::open("/proc/thread-self/ns/uts").unwrap();
    for _ in 0..times {
        setns(&own, CloneFlags::CLONE_NEWUTS).unwrap();
    }
}

#[test]
fn without_a_program_an_alert_and_a_loss_are_a_status() {
    let test = "without_a_program_an_alert_and_a_loss_are_a_status";
    if object(test).is_none() {
        return;
    }
    for (options, expected) in [
        (&["--alert-status"][..], 3),
        (&["--alert-status", "--no-rule=time-namespace"], 0),
        (&[], 0),
    ] {
        let auditor = auditor(options);
        drop(Sleeper::new(&["--time"]));
        assert_eq!(status(auditor), Some(expected), "{options:?}");
    }
    for (on_loss, expected) in [("mark", 0), ("alert", 4), ("fail", 4)] {
        let on_loss = format!("--on-loss={on_loss}");
        let auditor = auditor(&[&on_loss, "--alert-status", "--ring=4K"]);
        send(&auditor, Signal::SIGSTOP);
        rejoin(20);
        send(&auditor, Signal::SIGCONT);
        assert_eq!(status(auditor), Some(expected), "{on_loss}");
    }
}

/// The way in which a task shows its namespaces after the lost change.
#[derive(Clone, Copy, Debug)]
enum Next {
    Exit,
    Exec,
}

/// Makes one change that does not fit into the ring; returns the task.
#[expect(clippy::disallowed_methods, reason = "a thread is what ends")]
fn lose(next: Next) -> u32 {
    match next {
        Next::Exit => {
            let changed = std::thread::spawn(|| {
                unshare(CloneFlags::CLONE_NEWUTS).unwrap();
                support::own_tid()
            });
            changed.join().unwrap()
        }
        Next::Exec => {
            let mut child = Command::new("unshare")
                .args(["--uts", "true"])
                .spawn()
                .unwrap();
            assert!(child.wait().unwrap().success());
            child.id()
        }
    }
}

/// The line of the loss reports that an event is missing; the gap reports the task of the
/// change.
#[test]
fn a_lost_change_is_detected_at_the_next_event_of_its_task() {
    let test = "a_lost_change_is_detected_at_the_next_event_of_its_task";
    let sizes = Sizes {
        namespaces: 4096,
        ..Sizes::DEFAULT
    };
    let Some(mut watched) = Watched::with(test, sizes) else {
        return;
    };
    let mut enricher = Enricher::start(Vec::new()).unwrap();
    let tasks = watched.probes.snapshot().unwrap();
    enricher.load_snapshot(&tasks);
    for round in 0..50 {
        let next = if round % 2 == 0 {
            Next::Exit
        } else {
            Next::Exec
        };
        rejoin(20);
        let tid = lose(next);
        let mut reported = Vec::new();
        // A process that waits for a thread runs before the auditor sees the thread's end.
        watched.find("end of the task", |event| match event {
            Event::Exit(record) if record.actor.tid == tid => Some(()),
            _ => None,
        });
        for event in watched.seen.drain(..) {
            if let Event::Namespace(record) = &event {
                assert_ne!(record.actor.tid, tid, "it was not lost");
            }
            enricher.push(event);
        }
        let positions = watched.probes.positions().unwrap();
        while enricher.emit_next(None, |one| reported.push(one)) {}
        reported.extend(enricher.losses_until(&positions));
        let lost: u64 = reported
            .iter()
            .map(|reported| match reported {
                OutputEvent::Lost(line) if line.ring == Ring::Namespaces => line.count,
                _ => 0,
            })
            .sum();
        // At most seven of twenty-one events fit.
        assert!(lost >= 14, "round {round}: {lost}");
        let gaps: Vec<_> = reported
            .iter()
            .filter_map(|reported| match reported {
                OutputEvent::Gap(line) if line.tid == tid => {
                    Some((line.found_at.name(), line.ns.changed.names().collect()))
                }
                _ => None,
            })
            .collect();
        let found_at = match next {
            Next::Exit => "exit",
            Next::Exec => "exec",
        };
        assert_eq!(gaps, [(found_at, vec!["uts"])], "round {round}");
    }
}
