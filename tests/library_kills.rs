//! Stages that are killed at any moment: no stage waits for a dead one, none is left
//! behind, and no failure is reported as a success.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use nsexec_protocol::netlink::encode;
use support::Target;
use support::protocol_a::{become_subreaper, hand_over, pid_of};
use support::protocol_b::{joining, pids};
use support::runtime::{Link, runtime};

/// The join during which stages are killed: how often, per protocol.
const JOINS: u32 = 500;
/// The time limit for the end of all stages.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    A,
    B,
}

/// The results of the joins.
#[derive(Debug, Default)]
struct Count {
    /// The kill came too late: the process had ended or done its part, and the runtime took
    /// over.
    taken_over: u32,
    /// Reported as a failure, correctly.
    failed: u32,
    /// The runtime's own process was killed after its pid was reported: the runtime reads
    /// an end of file and a signal in the wait status. No helper can report more.
    killed_after_report: u32,
    /// The number of kills.
    kills: u32,
}

#[test]
fn a_killed_stage_is_reported_and_blocks_no_process() {
    support::needs!(root);
    become_subreaper();
    let target = Target::new();
    let program = runtime(Link::Static);
    let mut random = Random(20_150_408);
    for protocol in [Protocol::A, Protocol::B] {
        let mut calm = Count::default();
        let mut join = |kill| one(protocol, &target, &program, kill, &mut calm, "calm");
        let longest = (0..5).map(|_| join(None)).max().unwrap();
        assert_eq!(calm.taken_over, 5, "{calm:?}");
        let mut count = Count::default();
        for join in 0..JOINS {
            let what = format!("{protocol:?}, join {join}");
            let kill = Kill {
                after: longest.mul_f64(1.5 * random.fraction()),
                stage: random.below(3).try_into().unwrap(),
            };
            one(protocol, &target, &program, Some(kill), &mut count, &what);
        }
        println!("protocol {protocol:?}, {JOINS} joins: {count:?}");
        // Most kills must reach a running stage, or the test shows nothing.
        assert!(count.kills > JOINS / 2, "{count:?}");
        assert!(count.failed > JOINS / 10, "{count:?}");
        assert!(count.taken_over > 0, "{count:?}");
    }
}

/// A kill of one stage.
#[derive(Clone, Copy, Debug)]
struct Kill {
    /// The time since the start of the first stage.
    after: Duration,
    /// Stage 0, 1 or 2, or the last existing one.
    stage: usize,
}

/// One join, and the time that its first stage took.
#[expect(
    clippy::zombie_processes,
    reason = "it is waited for by its pid, as the other stages are"
)]
fn one(
    protocol: Protocol,
    target: &Target,
    program: &PathBuf,
    wanted: Option<Kill>,
    count: &mut Count,
    what: &str,
) -> Duration {
    let kept = children();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.env("_LIBCONTAINER_INITPIPE", "3");
    if protocol == Protocol::A {
        command.env("_LIBCONTAINER_INITPID", target.pid().to_string());
    }
    hand_over(&mut command, vec![theirs.into()]);
    let started = Instant::now();
    let stage0 = command.spawn().unwrap();
    drop(command);
    if protocol == Protocol::B {
        let message = encode(
            &joining(target.pid(), &["ipc", "uts", "net", "pid", "mnt"]),
            1,
        );
        let _ = (&ours).write_all(&message.unwrap());
    }
    let stage0 = Pid::from_raw(i32::try_from(stage0.id()).unwrap());
    let victim = wanted.and_then(|wanted| {
        while started.elapsed() < wanted.after {
            std::hint::spin_loop();
        }
        let stages: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| !kept.contains(pid))
            .collect();
        stages.get(wanted.stage).or(stages.last()).copied()
    });
    if let Some(victim) = victim {
        // It is an unreaped child of this process: the pid is still its own.
        kill(victim, Signal::SIGKILL).unwrap();
        count.kills += 1;
    }

    let status = waitpid(stage0, None).unwrap();
    let took = started.elapsed();
    assert!(took < TIMEOUT, "{what}: stage 0 hung");
    let success = matches!(status, WaitStatus::Exited(_, 0));
    // A released stage waits for the configuration; this ends it.
    let _ = ours.shutdown(Shutdown::Write);
    let mut report = String::new();
    if let Err(error) = std::io::Read::read_to_string(&mut &ours, &mut report) {
        // The other side was closed with the message unread.
        let closed = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(closed, "{what}: the pipe stays open: {error}");
    }

    // The remaining stages end by themselves, at once.
    let mut ended = Vec::new();
    for pid in children().into_iter().filter(|pid| !kept.contains(pid)) {
        while started.elapsed() < TIMEOUT {
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_micros(100)),
                Ok(status) => {
                    ended.push(status);
                    break;
                }
                Err(Errno::ECHILD) => break,
                Err(errno) => panic!("{what}: {errno}"),
            }
        }
    }
    let left: Vec<Pid> = children()
        .into_iter()
        .filter(|pid| !kept.contains(pid))
        .collect();
    assert!(
        left.is_empty(),
        "{what}: {left:?} hang, {victim:?} was killed"
    );

    let took_over = ended
        .iter()
        .any(|status| matches!(status, WaitStatus::Exited(_, 7)));
    if !success {
        count.failed += 1;
        return took;
    }
    let last = match protocol {
        Protocol::A => pid_of(&report),
        Protocol::B => pids(&report)[1],
    };
    if took_over {
        count.taken_over += 1;
    } else if victim == Some(Pid::from_raw(last)) {
        count.killed_after_report += 1;
    } else {
        panic!(
            "{what}: success was reported, but no runtime took over: {ended:?}, {victim:?} was killed"
        );
    }
    took
}

/// The children of this process, including zombies.
fn children() -> Vec<Pid> {
    let mut all = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // A thread that has ended meanwhile has no children.
        let list = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        all.extend(pids.map(Pid::from_raw));
    }
    all
}

/// Marsaglia's xorshift: the same moments in each run, as far as the machine permits.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    /// At least 0, less than 1.
    fn fraction(&mut self) -> f64 {
        f64::from(self.below(1_000_000)) / 1e6
    }
}
