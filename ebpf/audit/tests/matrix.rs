//! Every call that changes namespaces, with every type, with success and with each refusal
//! of the kernel: each event is compared with the kernel's own data about the task.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and a count is printed"
)]

mod support;

use std::fmt;

use nix::errno::Errno;
use nsexec_audit::enrich::classify::classify;
use nsexec_audit::loader::probes::Sizes;
use nsexec_audit::model::event::Class;
use nsexec_audit::model::namespaces::HostNamespaces;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Abi, EventFlags, Hook, Source, Syscall};
use nsexec_audit_abi::parts::{Target, TaskId};
use nsexec_audit_abi::record::Namespace;

use support::driver::{Driver, DriverOutput, errno};
use support::gaps::gaps;
use support::{Watched, changed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    SetnsFd,
    SetnsPidfd,
    Unshare,
    Clone,
    Clone3,
}

const CALLS: [Call; 5] = [
    Call::SetnsFd,
    Call::SetnsPidfd,
    Call::Unshare,
    Call::Clone,
    Call::Clone3,
];

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::SetnsFd => "setns-fd",
            Self::SetnsPidfd => "setns-pidfd",
            Self::Unshare => "unshare",
            Self::Clone => "clone",
            Self::Clone3 => "clone3",
        }
    }

    fn syscall(self) -> Syscall {
        match self {
            Self::SetnsFd | Self::SetnsPidfd => Syscall::Setns,
            Self::Unshare => Syscall::Unshare,
            Self::Clone => Syscall::Clone,
            Self::Clone3 => Syscall::Clone3,
        }
    }

    fn makes_a_task(self) -> bool {
        matches!(self, Self::Clone | Self::Clone3)
    }

    fn hook(self, outcome: Outcome) -> Hook {
        match self {
            Self::SetnsFd | Self::SetnsPidfd => Hook::SetnsExit,
            Self::Unshare => Hook::UnshareExit,
            // A task that was created is recorded at its creation.
            Self::Clone | Self::Clone3 if outcome == Outcome::Success => Hook::TaskNewtask,
            Self::Clone => Hook::CloneExit,
            Self::Clone3 => Hook::Clone3Exit,
        }
    }
}

/// The types, with their flags of linux/sched.h.
const TYPES: [(&str, u64); 8] = [
    ("cgroup", 0x0200_0000),
    ("ipc", 0x0800_0000),
    ("mnt", 0x0002_0000),
    ("net", 0x4000_0000),
    ("pid", 0x2000_0000),
    ("time", 0x0000_0080),
    ("user", 0x1000_0000),
    ("uts", NEWUTS),
];
const NEWUTS: u64 = 0x0400_0000;
const NEWIPC: u64 = 0x0800_0000;
/// Other flags of that file.
const VM: u64 = 0x0000_0100;
const FS: u64 = 0x0000_0200;
const SIGHAND: u64 = 0x0000_0800;
const PTRACE: u64 = 0x0000_2000;
const THREAD: u64 = 0x0001_0000;
const SYSVSEM: u64 = 0x0004_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Eperm,
    Einval,
}

const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Eperm, Outcome::Einval];

/// One call with one type, and its result.
#[derive(Clone, Copy)]
struct Cell {
    call: Call,
    name: &'static str,
    flag: u64,
    outcome: Outcome,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.call.name(), self.name, self.outcome)
    }
}

/// A combination that no kernel supports, and the reason.
const CANNOT_EXIST: [(Call, &str, &str); 1] = [(
    Call::Clone,
    "time",
    "CLONE_NEWTIME is one of the bits that clone(2) takes for the signal of the child",
)];

impl Cell {
    /// The reason.
    fn cannot_exist(&self) -> Option<&'static str> {
        CANNOT_EXIST
            .iter()
            .find(|(call, name, _)| (*call, *name) == (self.call, self.name))
            .map(|(_, _, reason)| *reason)
    }

    /// Another type, combined with this one in calls that accept several.
    fn other(&self) -> (&'static str, u64) {
        if self.flag == NEWUTS {
            ("ipc", NEWIPC)
        } else {
            ("uts", NEWUTS)
        }
    }

    /// The argument of the call.
    fn flags(&self) -> u64 {
        let wrong = self.outcome == Outcome::Einval;
        match self.call {
            // A namespace of another type than requested.
            Call::SetnsFd if wrong => self.other().1,
            Call::SetnsFd => self.flag,
            // This flag creates no namespace.
            Call::SetnsPidfd if wrong => self.flag | self.other().1 | FS,
            Call::SetnsPidfd => self.flag | self.other().1,
            // This flag cannot be unshared.
            Call::Unshare if wrong => self.flag | PTRACE,
            Call::Clone | Call::Clone3 if wrong => self.flag | self.contradiction(),
            _ => self.flag,
        }
    }

    /// A resource that a task in such a new namespace cannot share.
    fn contradiction(&self) -> u64 {
        match self.name {
            "mnt" | "user" => FS,
            "pid" => THREAD | SIGHAND | VM,
            "ipc" => SYSVSEM,
            // No such resource: signal handlers without memory.
            _ => SIGHAND,
        }
    }

    /// The namespace of a join's target.
    fn resident(&self) -> u64 {
        match self.call {
            Call::SetnsFd => self.flag,
            Call::SetnsPidfd => self.flag | self.other().1,
            _ => 0,
        }
    }

    /// An ordinary user may create a user namespace, but not after chroot(2).
    fn who(&self) -> &'static str {
        let makes = !matches!(self.call, Call::SetnsFd | Call::SetnsPidfd);
        match self.outcome {
            Outcome::Eperm if makes && self.name == "user" => "chrooted",
            Outcome::Eperm => "user",
            _ => "root",
        }
    }

    fn error(&self) -> Option<Errno> {
        match self.outcome {
            Outcome::Success => None,
            Outcome::Eperm => Some(Errno::EPERM),
            Outcome::Einval => Some(Errno::EINVAL),
        }
    }

    /// The slots that change.
    fn changes(&self) -> Vec<&'static str> {
        let of_own = self.call.makes_a_task();
        let mut slots = match (self.outcome, self.name) {
            (Outcome::Eperm | Outcome::Einval, _) => return Vec::new(),
            (_, "pid") if of_own => vec!["pid", "pid_for_children"],
            (_, "pid") => vec!["pid_for_children"],
            // unshare(2) does not move the task; a join does.
            (_, "time") if self.call == Call::Unshare => vec!["time_for_children"],
            (_, "time") => vec!["time", "time_for_children"],
            (_, name) => vec![name],
        };
        if self.call == Call::SetnsPidfd {
            slots.push(self.other().0);
        }
        slots.sort_unstable();
        slots
    }

    fn class(&self) -> Class {
        match (self.outcome, self.call) {
            (Outcome::Eperm | Outcome::Einval, _) => Class::Denied,
            (_, Call::SetnsFd | Call::SetnsPidfd) => Class::JoinOther,
            _ => Class::Create,
        }
    }

    fn notes(&self) -> EventFlags {
        if self.call.hook(self.outcome) == Hook::Clone3Exit {
            EventFlags::FLAGS_RACY
        } else {
            EventFlags::NONE
        }
    }

    /// Lets the driver make the call.
    fn drive(&self, driver: &Driver, watched: &mut Watched) -> DriverOutput {
        let (flags, resident) = (self.flags().to_string(), self.resident().to_string());
        driver.run(
            watched,
            &[
                "one",
                self.call.name(),
                &flags,
                &resident,
                self.name,
                self.who(),
            ],
        )
    }

    /// Compares the event with the driver's output.
    fn check(&self, record: &Namespace, output: &DriverOutput, host: &HostNamespaces) {
        let (result, after) = output.call();
        assert_eq!(errno(result), self.error(), "{self}");
        assert_eq!(record.header.hook, self.call.hook(self.outcome), "{self}");
        let call = &record.call;
        assert_eq!(call.syscall, self.call.syscall(), "{self}");
        assert_eq!(call.abi, Abi::Native, "{self}");
        // The signal bits of clone(2) are no flags.
        assert_eq!(call.flags, self.flags(), "{self}");
        assert_eq!(call.ret, result, "{self}");
        assert_eq!(call.notes, self.notes(), "{self}");
        let joins = self.call.syscall() == Syscall::Setns;
        assert_eq!(call.fd >= 0, joins, "{self}");
        let target = match output.target.source {
            Source::Pidfd => Target {
                pid: output.pid,
                ..output.target
            },
            // Linux before 6.9 does not distinguish a pidfd from other anonymous files.
            Source::Other => Target {
                inum: 0,
                ..output.target
            },
            _ => output.target,
        };
        assert_eq!(call.target, target, "{self}");
        if self.call == Call::SetnsFd {
            assert_eq!(u64::from(call.target.flag), self.flag, "{self}");
        }
        assert_eq!(record.before, output.before, "{self}");
        assert_eq!(record.after, after, "{self}");
        assert_eq!(changed(record), self.changes(), "{self}");
        assert_eq!(classify(record, host), self.class(), "{self}");
        let actor = record.actor;
        assert_eq!((actor.tid, actor.tgid), (output.tid, output.tid), "{self}");
        let uid = if self.who() == "root" { 0 } else { 65534 };
        assert_eq!(actor.euid, uid, "{self}");
        if self.call.makes_a_task() && self.outcome == Outcome::Success {
            let child = record.child;
            assert_eq!(i64::from(child.tid), result, "{self}");
            assert_eq!(child.tid, child.tgid, "{self}");
            assert!(child.start_ns > actor.start_ns, "{self}");
        } else {
            assert_eq!(record.child, TaskId::NONE, "{self}");
        }
    }
}

#[test]
fn every_call_is_reported_as_the_kernel_used_it() {
    let test = "every_call_is_reported_as_the_kernel_used_it";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut watched) = Watched::with(test, Sizes::DEFAULT) else {
        return;
    };
    let tasks = watched.probes.snapshot().unwrap();
    let host = tasks.iter().find(|task| task.task.tgid == 2).unwrap();
    let host = HostNamespaces::of(&host.namespaces);
    let (mut seen, mut cannot, mut drivers) = (0, 0, Vec::new());
    for call in CALLS {
        for (name, flag) in TYPES {
            for outcome in OUTCOMES {
                let cell = Cell {
                    call,
                    name,
                    flag,
                    outcome,
                };
                if cell.cannot_exist().is_some() {
                    cannot += 1;
                    continue;
                }
                let output = cell.drive(&driver, &mut watched);
                let record = watched.namespace(output.tid);
                cell.check(&record, &output, &host);
                drivers.push(output.tid);
                seen += 1;
            }
        }
    }
    assert_eq!(seen + cannot, CALLS.len() * TYPES.len() * OUTCOMES.len());
    // Each task reported its call once, and nothing else happened to it.
    for tid in &drivers {
        let mut own = watched
            .seen
            .iter()
            .filter(|event| matches!(event, Event::Namespace(record) if record.actor.tid == *tid));
        assert!(own.next().is_some() && own.next().is_none(), "{tid}");
    }
    let gaps = gaps(&tasks, &watched.seen);
    let of_driver = gaps.iter().find(|gap| drivers.contains(&gap.tid));
    assert!(of_driver.is_none(), "{of_driver:?}");
    println!("matrix: {seen} cells seen, {cannot} cannot exist");
    for (call, name, reason) in CANNOT_EXIST {
        println!("matrix: {} {name}: {reason}", call.name());
    }
}

/// The flag is not reported, and not taken for a time namespace.
#[test]
fn clone_takes_the_flag_of_a_time_namespace_for_a_signal() {
    let test = "clone_takes_the_flag_of_a_time_namespace_for_a_signal";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let output = driver.run(&mut watched, &["one", "clone", "0x80", "0", "time", "root"]);
    let (result, after) = output.call();
    assert!(result > 0);
    assert_eq!(after, output.before);
    // The task ends without an earlier event.
    watched.find("exit", |event| match event {
        Event::Exit(record) if record.actor.tid == output.tid => Some(()),
        _ => None,
    });
    let reported = watched
        .seen
        .iter()
        .any(|event| matches!(event, Event::Namespace(record) if record.actor.tid == output.tid));
    assert!(!reported);
}
