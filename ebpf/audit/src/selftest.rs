//! `nsexec-audit selftest`: whether what happens is what is reported, on this machine.
//!
//! It makes calls of which it knows everything, while nobody reads, and then looks
//! for each of them: it was read, as it was made, or it was counted as lost.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::{Hook, Kind, Notes, Syscall};
use nsexec_audit_abi::counters::{LINEAGE_RING, NAMESPACE_RING};
use nsexec_audit_abi::parts::{Header, SLOT_NAMES, Vector};
use nsexec_audit_abi::record::Namespace;
use serde::Serialize;

use crate::account::{Account, Sample};
use crate::check::own_namespaces;
use crate::cost::Cost;
use crate::probes::{Probes, ProbesError};

/// How many calls are made where nothing is said.
pub const EVENTS: u32 = 1000;
/// Most that can be asked for: half a minute.
pub const MOST_EVENTS: u32 = 100_000;

/// How often it is looked for what is still on its way, and how long in between.
const SETTLE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

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

/// How many calls have to be made together: each is made as often.
pub const TOGETHER: u32 = 4;

/// A call that was made.
struct Made {
    act: Act,
    from_ns: u64,
    /// As /proc has them, before and after.
    before: Vec<u32>,
    after: Vec<u32>,
}

/// What became of the calls of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub call: &'static str,
    pub made: u64,
    pub read: u64,
    pub lost: u64,
}

/// Something that has to be so.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    pub what: &'static str,
    pub holds: bool,
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub kind: &'static str,
    pub ok: bool,
    pub backend: &'static str,
    /// The ring of namespaces, in bytes.
    pub ring: u32,
    pub calls: Vec<Row>,
    pub held: Vec<Held>,
    pub cost: Vec<Cost>,
}

/// Everything that was read.
#[derive(Default)]
struct Reader {
    account: Account,
    /// Of the ring of namespaces: processor and number.
    numbers: BTreeSet<(u32, u64)>,
    own: Vec<Namespace>,
}

impl Reader {
    fn read(
        &mut self,
        probes: &mut Probes,
        is_own: impl Fn(&Namespace) -> bool,
    ) -> Result<(), ProbesError> {
        for ring in [NAMESPACE_RING, LINEAGE_RING] {
            while probes.next(ring, |event| {
                let header: &Header = event.header();
                self.account.read(header);
                if header.kind == Kind::Namespace {
                    self.numbers.insert((header.cpu, header.sequence));
                }
                if let Event::Namespace(record) = event
                    && is_own(&record)
                {
                    self.own.push(record);
                }
            })? {}
        }
        Ok(())
    }
}

/// Makes `events` calls with these probes, and finds each of them; the cost is
/// measured by who calls. `ring` is only told.
///
/// # Errors
/// A call does not do what it always does, or the probes cannot be read.
pub fn run(probes: &mut Probes, ring: u32, events: u32) -> Result<Report, Box<dyn Error>> {
    let tid = u32::try_from(gettid().as_raw())?;
    let at_first = own_namespaces()?;
    let is_own = |record: &Namespace| {
        record.actor.ns_tid == tid && record.after.inum.get(PID) == at_first.get(PID)
    };
    let mut reader = Reader::default();
    // Nothing is in the ring that could be taken for one of them.
    reader.read(probes, |_| false)?;
    let made = make(events)?;
    reader.read(probes, is_own)?;
    probes.stop();
    let mut tries = 0;
    let (sample, broken) = loop {
        reader.read(probes, is_own)?;
        let sample = Sample::take(probes)?;
        let broken = reader.account.at_end(&sample);
        if broken.is_empty() || tries == SETTLE {
            break (sample, broken);
        }
        tries += 1;
        std::thread::sleep(PAUSE);
    };
    let found = find(&made, &reader.own);
    let calls = rows(&made, &found);
    let mut held = vec![
        all_are_there(&calls, &sample),
        numbers(&reader.numbers, &sample),
    ];
    let sums: Vec<String> = broken.iter().map(ToString::to_string).collect();
    held.push(hold("the sums agree", sums, "every hook and processor"));
    held.push(as_made(&made, &found, reader.own.len()));
    held.push(ids(&made, &found));
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

/// Of [`SLOT_NAMES`].
const PID: usize = 4;
const UTS: usize = 9;
const _: () = assert!(SLOT_NAMES[PID].len() == 3 && SLOT_NAMES[UTS].len() == 3);

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

/// For each call its record, by the time. A second one for a call is not found.
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

fn hold(what: &'static str, wrong: Vec<String>, why: &str) -> Held {
    Held {
        what,
        holds: wrong.is_empty(),
        why: if wrong.is_empty() {
            why.to_owned()
        } else {
            // The first few tell enough.
            let some: Vec<String> = wrong.into_iter().take(3).collect();
            some.join("; ")
        },
    }
}

/// What was not read was counted: by the hook that had no room for it.
fn all_are_there(calls: &[Row], sample: &Sample) -> Held {
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
    let why = format!("{own} lost and counted, {others} of others");
    hold("made = read + lost", wrong, &why)
}

/// The numbers that are missing, by processor, are as many as were counted.
fn numbers(read: &BTreeSet<(u32, u64)>, sample: &Sample) -> Held {
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
    hold("numbers missing = lost", wrong, &why)
}

/// Each record is what was done, and where /proc says that the thread was.
fn as_made(made: &[Made], found: &[Option<&Namespace>], own: usize) -> Held {
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
            ("the notes", call.notes == Notes::NONE),
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
    hold("as /proc has it", wrong, &format!("{count} records"))
}

/// The ids, which /proc does not tell, agree with each other: a new namespace has
/// one that none had, and what stays has the same.
fn ids(made: &[Made], found: &[Option<&Namespace>]) -> Held {
    const WHAT: &str = "ids agree";
    let records = || found.iter().flatten();
    if records().all(|record| record.after.id == Vector::NONE.id) {
        return hold(
            WHAT,
            Vec::new(),
            "this kernel has none, or nothing was read",
        );
    }
    let uts = |vector: &Vector| vector.id.get(UTS).copied().unwrap_or_default();
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
                // But for this one it is where it was.
                if let (Some(before), Some(after)) = (before.get(UTS), after.get_mut(UTS)) {
                    *after = *before;
                }
                is_new && Some(record.after.id) != home && Some(before) == home && before == after
            }
            Act::Return => Some(after) == home && before != after,
        };
        if !holds {
            wrong.push(one.act.name().to_owned());
        }
    }
    let why = format!("{} namespaces, each with an id of its own", new.len());
    hold(WHAT, wrong, &why)
}
