//! `nsexec-audit selftest`: checks that each call is reported as it happened, or
//! counted as lost.
//!
//! It makes known calls while no process reads the rings, and then looks for the event of each: it was
//! read and matches the call, or it was counted as lost.

mod cost;
mod text;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{EventFlags, Hook, Kind, Slot, Syscall};
use nsexec_audit_abi::counters::NAMESPACE_RING;
use nsexec_audit_abi::parts::{Header, NamespaceSet};
use nsexec_audit_abi::record::Namespace;
use serde::Serialize;

use self::cost::Cost;
use super::{exit_status, probes, write_json};
use crate::cli::options::SelftestOptions;
use crate::config::Format;
use crate::ingest::accounting::Sample;
use crate::ingest::reader::{EventSink, Reader};
use crate::loader::probes::{Probes, Sizes};
use crate::loader::self_check::own_namespaces;

/// Makes calls and looks for their events, and measures the cost of the probes. Returns
/// the exit status.
///
/// # Errors
/// The probes cannot be loaded, a call fails, or the output cannot be written.
pub fn run(options: &SelftestOptions, out: &mut dyn io::Write) -> Result<u8, Box<dyn Error>> {
    let sizes = options.ring.map_or(Sizes::DEFAULT, Sizes::of);
    let start = || probes::load(options.probes.as_deref(), sizes, options.backend);
    let mut report = test(&mut start()?, sizes.namespaces, options.events())?;
    report.cost = cost::measure(start, sizes.namespaces)?;
    match options.format.unwrap_or_default() {
        Format::Json => write_json(&report, out)?,
        Format::Text => write!(out, "{report}")?,
    }
    Ok(if report.ok {
        0
    } else {
        exit_status::NOT_VERIFIED
    })
}

/// A call that is made. The times of the kernel and of this process are not quite the
/// same, so that a call can seem to have ended before it began, by less than this.
const CLOCKS_NS: u64 = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// setns(2) into the namespace that it is in.
    Rejoin,
    /// setns(2) with the wrong type.
    Refused,
    /// unshare(2)
    Make,
    /// setns(2) back.
    Return,
}

impl Act {
    /// In the order in which they are made, again and again.
    const ALL: [Self; 4] = [Self::Rejoin, Self::Refused, Self::Make, Self::Return];

    fn name(self) -> &'static str {
        match self {
            Self::Rejoin => "setns, its own",
            Self::Refused => "setns, refused",
            Self::Make => "unshare",
            Self::Return => "setns, back",
        }
    }

    fn flag(self) -> CloneFlags {
        match self {
            Self::Refused => CloneFlags::CLONE_NEWNET,
            _ => CloneFlags::CLONE_NEWUTS,
        }
    }
}

/// A call that was made.
struct Made {
    act: Act,
    from_ns: u64,
    /// As /proc has them, before and after.
    before: Vec<u32>,
    after: Vec<u32>,
}

/// The outcome of the calls of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub call: &'static str,
    pub made: u64,
    pub read: u64,
    pub lost: u64,
}

/// A check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckResult {
    pub what: &'static str,
    pub holds: bool,
    pub why: String,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub kind: &'static str,
    pub ok: bool,
    pub backend: &'static str,
    /// The ring of namespaces, in bytes.
    pub ring: u32,
    pub calls: Vec<Row>,
    pub held: Vec<CheckResult>,
    pub cost: Vec<Cost>,
}

/// The events that were read.
struct Found<F> {
    /// Of the ring of namespaces: processor and number.
    numbers: BTreeSet<(u32, u64)>,
    own: Vec<Namespace>,
    is_own: F,
}

impl<F: Fn(&Namespace) -> bool> EventSink for Found<F> {
    fn has_room(&self, _: u32) -> bool {
        true
    }

    fn push(&mut self, event: Event) {
        let header: &Header = event.header();
        if header.kind == Kind::Namespace {
            self.numbers.insert((header.cpu, header.sequence));
        }
        if let Event::Namespace(record) = event
            && (self.is_own)(&record)
        {
            self.own.push(record);
        }
    }
}

/// Makes `events` calls with these probes, and finds each of them. `ring` is the size of
/// the ring.
fn test(probes: &mut Probes, ring: u32, events: u32) -> Result<Report, Box<dyn Error>> {
    let tid = u32::try_from(gettid().as_raw())?;
    let at_first = own_namespaces()?;
    let pid_ns = at_first.get(Slot::Pid.index()).copied();
    let mut reader = Reader::default();
    let mut found = Found {
        numbers: BTreeSet::new(),
        own: Vec::new(),
        is_own: |record: &Namespace| {
            record.actor.ns_tid == tid && Some(record.after.get(Slot::Pid).0) == pid_ns
        },
    };
    reader.read(probes, &mut found)?;
    // Calls before those that are made here.
    found.own.clear();
    let made = make(events)?;
    reader.read(probes, &mut found)?;
    probes.stop();
    let (sample, mismatches) = reader.finish(probes, &mut found)?;
    let matched = find(&made, &found.own);
    let calls = rows(&made, &matched);
    let sums: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    let held = vec![
        no_call_is_missing(&calls, &sample),
        numbers(&found.numbers, &sample),
        check_result("the sums agree", sums, "every hook and processor"),
        records_match_calls(&made, &matched, found.own.len()),
        ids(&made, &matched),
    ];
    Ok(Report {
        kind: "selftest",
        ok: held.iter().all(|one| one.holds),
        backend: sample.backend,
        ring,
        calls,
        held,
        cost: Vec::new(),
    })
}

fn make(events: u32) -> Result<Vec<Made>, Box<dyn Error>> {
    let home = File::open("/proc/thread-self/ns/uts")?;
    let mut before = own_namespaces()?;
    let mut all = Vec::new();
    let acts = Act::ALL.into_iter().cycle();
    for act in acts.take(usize::try_from(events)?) {
        let from_ns = now()?;
        match (act, call(act, &home)) {
            (Act::Refused, Err(Errno::EINVAL)) => {}
            (Act::Rejoin | Act::Make | Act::Return, Ok(())) => {}
            (_, result) => {
                let _ = setns(&home, CloneFlags::CLONE_NEWUTS);
                return Err(format!("{}: {result:?}; it takes CAP_SYS_ADMIN", act.name()).into());
            }
        }
        let after = own_namespaces()?;
        all.push(Made {
            act,
            from_ns,
            before: std::mem::replace(&mut before, after.clone()),
            after,
        });
    }
    Ok(all)
}

fn call(act: Act, home: &File) -> nix::Result<()> {
    match act {
        Act::Make => unshare(act.flag()),
        _ => setns(home, act.flag()),
    }
}

fn now() -> io::Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    let seconds = u64::try_from(time.tv_sec()).map_err(io::Error::other)?;
    let rest = u64::try_from(time.tv_nsec()).map_err(io::Error::other)?;
    Ok(seconds * 1_000_000_000 + rest)
}

/// The record of each call, by its time. A second one for a call is not found.
fn find<'a>(made: &[Made], own: &'a [Namespace]) -> Vec<Option<&'a Namespace>> {
    let mut found = vec![None; made.len()];
    for record in own {
        let then = record.header.boot_ns + CLOCKS_NS;
        let after = made.partition_point(|one| one.from_ns <= then);
        let place = after.checked_sub(1).and_then(|at| found.get_mut(at));
        if let Some(place @ None) = place {
            *place = Some(record);
        }
    }
    found
}

fn rows(made: &[Made], found: &[Option<&Namespace>]) -> Vec<Row> {
    let pairs = || made.iter().zip(found);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Act::ALL
        .into_iter()
        .map(|act| {
            let of = || pairs().filter(|(one, _)| one.act == act);
            let read = of().filter(|(_, record)| record.is_some()).count();
            Row {
                call: act.name(),
                made: count(of().count()),
                read: count(read),
                lost: count(of().count() - read),
            }
        })
        .collect()
}

fn check_result(what: &'static str, wrong: Vec<String>, why: &str) -> CheckResult {
    CheckResult {
        what,
        holds: wrong.is_empty(),
        why: if wrong.is_empty() {
            why.to_owned()
        } else {
            // The first few are enough.
            let some: Vec<String> = wrong.into_iter().take(3).collect();
            some.join("; ")
        },
    }
}

/// Events that were not read were counted by the hook that had no room for them.
fn no_call_is_missing(calls: &[Row], sample: &Sample) -> CheckResult {
    let hooks = [Hook::SetnsExit, Hook::UnshareExit];
    let full = |hook: Hook| sample.sum(hook, |one| one.ring_full);
    let [setns, unshare] = hooks.map(full);
    let lost = |is_unshare: bool| -> u64 {
        let of = calls.iter();
        let of = of.filter(|row| (row.call == Act::Make.name()) == is_unshare);
        of.map(|row| row.lost).sum()
    };
    let mut wrong = Vec::new();
    for (name, lost, counted) in [
        ("setns", lost(false), setns),
        ("unshare", lost(true), unshare),
    ] {
        if lost > counted {
            wrong.push(format!(
                "{lost} calls of {name} are gone, {counted} are counted"
            ));
        }
    }
    let own = lost(false) + lost(true);
    let others = (setns + unshare).saturating_sub(own);
    let why = format!("{own} lost and counted, {others} lost of other processes");
    check_result("made = read + lost", wrong, &why)
}

/// On each processor, as many numbers are missing as losses were counted.
fn numbers(read: &BTreeSet<(u32, u64)>, sample: &Sample) -> CheckResult {
    let [positions, _] = &sample.positions;
    let (mut missing, mut wrong) = (0, Vec::new());
    for (cpu, position) in (0..).zip(positions) {
        let of = read.range((cpu, 0)..(cpu, position.sequence)).count();
        let gone = position.sequence - u64::try_from(of).unwrap_or_default();
        missing += gone;
        if gone != position.lost {
            let lost = position.lost;
            wrong.push(format!("processor {cpu}: {gone} missing, {lost} counted"));
        }
    }
    let why = format!("{missing} missing, {} counted", sample.lost(NAMESPACE_RING));
    check_result("numbers missing = lost", wrong, &why)
}

/// Each record matches the call, and the namespaces of the thread in /proc.
fn records_match_calls(made: &[Made], found: &[Option<&Namespace>], own: usize) -> CheckResult {
    let (mut count, mut wrong) = (0, Vec::new());
    for (number, (one, record)) in made.iter().zip(found).enumerate() {
        let Some(record) = record else { continue };
        count += 1;
        let (call, act) = (&record.call, one.act);
        let flag = u64::try_from(act.flag().bits()).unwrap_or_default();
        let (syscall, ret) = match act {
            Act::Make => (Syscall::Unshare, 0),
            Act::Refused => (Syscall::Setns, -i64::from(nix::libc::EINVAL)),
            _ => (Syscall::Setns, 0),
        };
        let same = [
            ("the call", call.syscall == syscall),
            ("the flags", call.flags == flag),
            ("the result", call.ret == ret),
            ("the notes", call.notes == EventFlags::NONE),
            ("before", record.before.inum.as_slice() == one.before),
            ("after", record.after.inum.as_slice() == one.after),
        ];
        for (name, _) in same.iter().filter(|(_, same)| !same) {
            wrong.push(format!("{} (the {number}th): {name}", act.name()));
        }
    }
    if count != own {
        wrong.push(format!("{own} records of {count} calls"));
    }
    check_result("as /proc has it", wrong, &format!("{count} records"))
}

/// The ids, which /proc does not have, agree with each other: a new namespace has a new
/// one, and an unchanged namespace has the same.
fn ids(made: &[Made], found: &[Option<&Namespace>]) -> CheckResult {
    const WHAT: &str = "ids agree";
    let records = || found.iter().flatten();
    if records().all(|record| record.after.id == NamespaceSet::NONE.id) {
        return check_result(
            WHAT,
            Vec::new(),
            "this kernel has none, or nothing was read",
        );
    }
    let uts = |set: &NamespaceSet| set.get(Slot::Uts).1;
    let mut wrong = Vec::new();
    let mut new = BTreeSet::new();
    let home = made.iter().zip(found).find_map(|(one, record)| {
        let of = record.as_ref()?;
        Some(if one.act == Act::Return {
            of.after.id
        } else {
            of.before.id
        })
    });
    for (one, record) in made.iter().zip(found) {
        let Some(record) = record else { continue };
        let (before, mut after) = (record.before.id, record.after.id);
        let holds = match one.act {
            Act::Rejoin | Act::Refused => Some(after) == home && before == after,
            Act::Make => {
                let is_new = new.insert(uts(&record.after));
                // The other namespaces are the same.
                after = record
                    .after
                    .with(Slot::Uts, record.before.get(Slot::Uts))
                    .id;
                is_new && Some(record.after.id) != home && Some(before) == home && before == after
            }
            Act::Return => Some(after) == home && before != after,
        };
        if !holds {
            wrong.push(one.act.name().to_owned());
        }
    }
    let why = format!("{} namespaces, each with an id of its own", new.len());
    check_result(WHAT, wrong, &why)
}
