//! Probes for one test, and their events.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

pub mod cgroup;
pub mod driver;
pub mod gaps;
pub mod sums;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nsexec_audit::config::Backend;
use nsexec_audit::loader::probes::{self, Probes, Sizes};
use nsexec_audit::model::names::Name;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};
use nsexec_audit_abi::parts::{NamespaceSet, SLOT_NAMES};
use nsexec_audit_abi::record::Namespace;
pub use nsexec_test_support::leave_out;

/// The built-in probes. If this machine or user cannot load them, `test` is counted as left
/// out.
pub fn object(test: &str) -> Option<&'static [u8]> {
    let reason = match probes::embedded() {
        None => "the probes were not built; `cargo xtask probes` does",
        Some(_) if !nix::unistd::geteuid().is_root() => {
            "it loads programs into the kernel, as root"
        }
        Some(object) => return Some(object),
    };
    leave_out(test, reason);
    None
}

/// Selects the backend, if it is not the best that loads.
const BACKEND: &str = "NSEXEC_AUDIT_BACKEND";

/// The requested backend.
pub fn backend() -> Option<Backend> {
    let name = std::env::var_os(BACKEND)?;
    let backend = name.to_str().and_then(<Backend as Name>::from_name);
    assert!(
        backend.is_some(),
        "{BACKEND} is {name:?}; fentry or tracepoint"
    );
    backend
}

/// The same, as an option of the program.
pub fn backend_option() -> Option<String> {
    backend().map(|backend| format!("--backend={}", backend.name()))
}

/// Whether a program that `test` executes is installed; if not, the test is counted as left
/// out.
pub fn has(test: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !there {
        leave_out(test, &format!("there is no {program}"));
    }
    there
}

/// The first two numbers of the running kernel's release.
pub fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Attached probes, and all of their records.
pub struct Watched {
    pub probes: Probes,
    pub seen: Vec<Event>,
}

impl Watched {
    pub fn start(test: &str) -> Option<Self> {
        Self::with(test, Sizes::DEFAULT)
    }

    pub fn with(test: &str, sizes: Sizes) -> Option<Self> {
        let object = object(test)?;
        let offsets = probes::running_kernel().unwrap();
        let probes = Probes::start_with(object, &offsets, sizes, backend())
            .unwrap_or_else(|error| panic!("{error}"));
        Some(Self {
            probes,
            seen: Vec::new(),
        })
    }

    /// Reads all available records.
    pub fn drain(&mut self) {
        for ring in [NAMESPACE_RING, LINEAGE_RING] {
            let seen = &mut self.seen;
            while self.probes.next(ring, |event| seen.push(event)).unwrap() {}
        }
    }

    /// The first record that `pick` accepts, now or soon.
    #[track_caller]
    pub fn find<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.drain();
            if let Some(found) = self.seen.iter().find_map(&pick) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The first namespace event of a thread.
    #[track_caller]
    pub fn namespace(&mut self, tid: u32) -> Namespace {
        self.find("event of namespaces", |event| match event {
            Event::Namespace(record) if record.actor.tid == tid => Some(*record),
            _ => None,
        })
    }

    /// The namespace events of a thread that were read, by time.
    pub fn calls_of(&self, tid: u32) -> Vec<Namespace> {
        let own = |event: &Event| match event {
            Event::Namespace(record) if record.actor.tid == tid => Some(*record),
            _ => None,
        };
        let mut calls: Vec<_> = self.seen.iter().filter_map(own).collect();
        calls.sort_by_key(|record| record.header.boot_ns);
        calls
    }
}

/// A child that is killed when the test ends.
pub struct Sleeper(pub Child);

impl Sleeper {
    /// `unshare FLAGS sleep`, after it has started to sleep.
    pub fn new(flags: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sleep", "1000"]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::read_to_string(&comm).unwrap() != "sleep\n" {
            assert!(Instant::now() < deadline, "unshare(1) does not come up");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The inode number of a link like /proc/self/ns/uts.
pub fn inum(of: &str, name: &str) -> u32 {
    let link = fs::read_link(format!("/proc/{of}/ns/{name}")).unwrap();
    let text = link.to_str().unwrap().to_owned();
    let (_, rest) = text.split_once('[').unwrap();
    rest.trim_end_matches(']').parse().unwrap()
}

/// The index of a namespace in a namespace set.
pub fn slot(name: &str) -> usize {
    SLOT_NAMES.iter().position(|known| *known == name).unwrap()
}

/// The namespaces that a call changed.
pub fn changed(record: &Namespace) -> Vec<&'static str> {
    differing(&record.before, &record.after)
}

/// The slots in which two namespace sets differ.
pub fn differing(one: &NamespaceSet, other: &NamespaceSet) -> Vec<&'static str> {
    let differ = |at: &usize| (one.id[*at], one.inum[*at]) != (other.id[*at], other.inum[*at]);
    (0..SLOT_NAMES.len())
        .filter(differ)
        .map(|at| SLOT_NAMES[at])
        .collect()
}

pub fn own_tid() -> u32 {
    u32::try_from(nix::unistd::gettid().as_raw()).unwrap()
}
