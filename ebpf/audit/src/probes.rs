//! The probes in the kernel.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::trace_point::TracePointLink;
use aya::programs::{BtfTracePoint, Iter, Program, ProgramError, TracePoint};
use aya::{Btf as AyaBtf, Ebpf, EbpfLoader, VerifierLogLevel};
use nsexec_audit_abi::code::Hook;
use nsexec_audit_abi::counters::{Counters, LINEAGE_RING, NAMESPACE_RING, Position};
use nsexec_audit_abi::record::Snapshot;
use nsexec_audit_abi::{Event, Fault, field::Field as _};

use crate::btf::{self, Btf};
use crate::{Offsets, check};

/// The probes that were built with this library, or none.
#[must_use]
pub fn embedded() -> Option<&'static [u8]> {
    let object: Option<&'static [u8]> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
    object
}

/// How much of the kernel's memory each ring takes, in bytes: a power of two, at
/// least a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub namespaces: u32,
    pub lineage: u32,
}

impl Sizes {
    /// Enough for what two processors can do at worst.
    pub const DEFAULT: Self = Self {
        namespaces: 2 << 20,
        lineage: 4 << 20,
    };
}

/// Why the probes are not at work.
#[derive(Debug)]
pub enum ProbesError {
    /// The kernel's types could not be read.
    Types(io::Error),
    /// They are not what they should be.
    Btf(btf::BtfFault),
    /// The kernel lacks what the probes have to read.
    Missing(Vec<String>),
    /// The object is not one that can be loaded here.
    Object(Box<dyn std::error::Error + Send + Sync>),
    /// The kernel did not take a program.
    Program(&'static str, Box<ProgramError>),
    /// A map could not be used.
    Map(&'static str, Box<dyn std::error::Error + Send + Sync>),
    /// The probes read this process otherwise than /proc has it.
    Check(io::Error),
    /// The tasks that are there could not be read.
    Snapshot(io::Error),
    /// A record is not one.
    Record(Fault),
}

impl fmt::Display for ProbesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Types(error) => write!(
                f,
                "{}: {error}; the kernel has to be built with CONFIG_DEBUG_INFO_BTF",
                btf::KERNEL
            ),
            Self::Btf(fault) => write!(f, "{}: {fault}", btf::KERNEL),
            Self::Missing(members) => write!(
                f,
                "this kernel has no {}; Linux 6.1 and 6.18 have them",
                members.join(", ")
            ),
            Self::Object(error) => write!(
                f,
                "the probes could not be loaded: {}; it takes CAP_BPF, CAP_PERFMON and the object \
                 of `cargo xtask probes`",
                chain(error.as_ref())
            ),
            Self::Program(name, error) => {
                write!(
                    f,
                    "the kernel does not take {name}: {}",
                    chain(error.as_ref())
                )
            }
            Self::Map(name, error) => write!(f, "map {name}: {}", chain(error.as_ref())),
            Self::Check(error) => write!(
                f,
                "the probes do not read this process as it is: {error}; this kernel is not one \
                 that they know"
            ),
            Self::Snapshot(error) => write!(f, "the tasks could not be read: {error}"),
            Self::Record(fault) => write!(f, "a record of the probes is not one: {fault}"),
        }
    }
}

impl std::error::Error for ProbesError {}

/// An error and what caused it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

/// What kind of program a hook has.
#[derive(Clone, Copy)]
enum Attachment {
    /// syscalls:NAME
    Tracepoint,
    /// tp_btf/NAME
    Typed,
    /// iter/task, which is attached for each reading.
    Iterator,
}

fn attachment(hook: Hook) -> Attachment {
    match hook {
        Hook::TaskNewtask
        | Hook::SchedProcessFork
        | Hook::SchedProcessExec
        | Hook::SchedProcessExit => Attachment::Typed,
        Hook::IterTask => Attachment::Iterator,
        _ => Attachment::Tracepoint,
    }
}

/// In this order they are attached: what ends before what begins, so that no
/// beginning is kept whose end is not seen.
const ORDER: [Hook; 13] = [
    Hook::IterTask,
    Hook::SchedProcessExit,
    Hook::SchedProcessExec,
    Hook::SchedProcessFork,
    Hook::TaskNewtask,
    Hook::SetnsExit,
    Hook::UnshareExit,
    Hook::CloneExit,
    Hook::Clone3Exit,
    Hook::SetnsEnter,
    Hook::UnshareEnter,
    Hook::CloneEnter,
    Hook::Clone3Enter,
];

/// What keeps a program attached until it is dropped.
#[expect(dead_code, reason = "they are only dropped")]
enum Link {
    Typed(BtfTracePointLink),
    Tracepoint(TracePointLink),
}

/// The probes, at work in the kernel until this is dropped.
pub struct Probes {
    /// From the one that is to go first.
    links: Vec<Link>,
    ebpf: Ebpf,
    rings: [RingBuf<MapData>; 2],
    counters: PerCpuArray<MapData, [u64; 6]>,
    positions: PerCpuArray<MapData, [u64; 2]>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// What the running kernel's offsets are.
///
/// # Errors
/// Its types cannot be read, or lack what the probes need.
pub fn running_kernel() -> Result<Offsets, ProbesError> {
    let bytes = fs::read(btf::KERNEL).map_err(ProbesError::Types)?;
    let types = Btf::parse(&bytes).map_err(ProbesError::Btf)?;
    Offsets::find(&types).map_err(ProbesError::Missing)
}

impl Probes {
    /// Loads `object` and attaches every program of it, once they have read this
    /// thread right.
    ///
    /// # Errors
    /// The kernel takes it only from someone with CAP_BPF and CAP_PERFMON, and
    /// only where each offset is that of a member of the right type; and what is
    /// read has to agree with /proc.
    pub fn start(object: &[u8], offsets: &Offsets, sizes: Sizes) -> Result<Self, ProbesError> {
        let types = AyaBtf::from_sys_fs().map_err(|error| ProbesError::Object(error.into()))?;
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(&types))
            .verifier_log_level(VerifierLogLevel::VERBOSE | VerifierLogLevel::STATS)
            .map_max_entries("NAMESPACES", sizes.namespaces)
            .map_max_entries("LINEAGE", sizes.lineage);
        for (global, value) in offsets.all() {
            loader.override_global(global, value, true);
        }
        let mut ebpf = loader
            .load(object)
            .map_err(|error| ProbesError::Object(error.into()))?;
        for hook in ORDER {
            load(&mut ebpf, hook, &types)?;
        }
        let rings = [ring(&mut ebpf, "NAMESPACES")?, ring(&mut ebpf, "LINEAGE")?];
        let counters = take(&mut ebpf, "COUNTERS")?;
        let positions = take(&mut ebpf, "POSITIONS")?;
        let mut probes = Self {
            links: Vec::new(),
            ebpf,
            rings,
            counters,
            positions,
        };
        check::own(&probes.snapshot()?).map_err(ProbesError::Check)?;
        for hook in ORDER {
            if let Some(link) = attach(&mut probes.ebpf, hook)? {
                probes.links.insert(0, link);
            }
        }
        Ok(probes)
    }

    /// Reads the next event of a ring, or none when it is empty now. `ring` is
    /// [`NAMESPACE_RING`] or [`LINEAGE_RING`].
    ///
    /// # Errors
    /// What it holds is not a record: the probes are not those of this build.
    pub fn next(&mut self, ring: u32) -> Result<Option<Event>, ProbesError> {
        let [namespaces, lineage] = &mut self.rings;
        let ring = if ring == NAMESPACE_RING {
            namespaces
        } else {
            lineage
        };
        match ring.next() {
            None => Ok(None),
            Some(bytes) => Event::decode(&bytes).map(Some).map_err(ProbesError::Record),
        }
    }

    /// What becomes readable when the namespace ring is not empty any more. The
    /// lineage ring says so only when there is much in it: look by yourself.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        self.rings.each_ref().map(AsFd::as_fd)
    }

    /// Every task that there is now.
    ///
    /// # Errors
    /// The kernel's list cannot be read.
    pub fn snapshot(&mut self) -> Result<Vec<Snapshot>, ProbesError> {
        let name = Hook::IterTask.name();
        let wrong = |error| ProbesError::Program(name, Box::new(error));
        let iterator = program::<Iter>(&mut self.ebpf, name)?;
        let link = iterator.attach().map_err(wrong)?;
        let link = iterator.take_link(link).map_err(wrong)?;
        let mut file = link
            .into_file()
            .map_err(|error| ProbesError::Map(name, error.into()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(ProbesError::Snapshot)?;
        bytes
            .chunks(Snapshot::SIZE)
            .map(|record| match Event::decode(record) {
                Ok(Event::Snapshot(snapshot)) => Ok(snapshot),
                Ok(_) => Err(ProbesError::Snapshot(io::Error::other(
                    "another record among them",
                ))),
                Err(fault) => Err(ProbesError::Record(fault)),
            })
            .collect()
    }

    /// What each hook counted on each processor.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Vec<(Hook, Vec<Counters>)>, ProbesError> {
        Hook::ALL
            .iter()
            .map(|hook| {
                let index = u32::from(hook.code()) - 1;
                let values = self
                    .counters
                    .get(&index, 0)
                    .map_err(|error| ProbesError::Map("COUNTERS", error.into()))?;
                Ok((*hook, values.iter().copied().map(Counters::from).collect()))
            })
            .collect()
    }

    /// Where each ring is on each processor: first that of namespaces.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn positions(&self) -> Result<[Vec<Position>; 2], ProbesError> {
        let read = |ring| {
            let values = self
                .positions
                .get(&ring, 0)
                .map_err(|error| ProbesError::Map("POSITIONS", error.into()))?;
            Ok(values.iter().copied().map(Position::from).collect())
        };
        Ok([read(NAMESPACE_RING)?, read(LINEAGE_RING)?])
    }

    /// How often the kernel did not run a program, since another one ran on that
    /// processor: events that nothing else counts. In the order of [`Hook::ALL`].
    ///
    /// # Errors
    /// /proc cannot be read, or the kernel does not say (before Linux 5.12).
    pub fn missed(&self) -> Result<Vec<(Hook, u64)>, ProbesError> {
        use std::os::fd::AsRawFd as _;
        Hook::ALL
            .iter()
            .map(|hook| {
                let name = hook.name();
                let wrong = |error: io::Error| ProbesError::Map(name, error.into());
                let program = self.ebpf.program(name).ok_or_else(|| no_program(name))?;
                let fd = program
                    .fd()
                    .map_err(|error| ProbesError::Program(name, Box::new(error)))?;
                let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
                let text = fs::read_to_string(path).map_err(wrong)?;
                text.lines()
                    .find_map(|line| line.strip_prefix("recursion_misses:"))
                    .and_then(|number| number.trim().parse().ok())
                    .map(|number| (*hook, number))
                    .ok_or_else(|| wrong(io::Error::other("the kernel counts no misses")))
            })
            .collect()
    }

    /// Detaches the programs. The rings and counters stay, to be read to their
    /// ends; nothing is added to them any more.
    pub fn stop(&mut self) {
        self.links.clear();
    }
}

fn load(ebpf: &mut Ebpf, hook: Hook, types: &AyaBtf) -> Result<(), ProbesError> {
    let name = hook.name();
    match attachment(hook) {
        Attachment::Iterator => program::<Iter>(ebpf, name)?.load("task", types),
        Attachment::Typed => program::<BtfTracePoint>(ebpf, name)?.load(name, types),
        Attachment::Tracepoint => program::<TracePoint>(ebpf, name)?.load(),
    }
    .map_err(|error| ProbesError::Program(name, Box::new(error)))
}

fn attach(ebpf: &mut Ebpf, hook: Hook) -> Result<Option<Link>, ProbesError> {
    let name = hook.name();
    let link = match attachment(hook) {
        Attachment::Iterator => return Ok(None),
        Attachment::Typed => {
            let program = program::<BtfTracePoint>(ebpf, name)?;
            let link = program.attach().and_then(|link| program.take_link(link));
            link.map(Link::Typed)
        }
        Attachment::Tracepoint => {
            let program = program::<TracePoint>(ebpf, name)?;
            let link = program.attach("syscalls", name);
            let link = link.and_then(|link| program.take_link(link));
            link.map(Link::Tracepoint)
        }
    };
    link.map(Some)
        .map_err(|error| ProbesError::Program(name, Box::new(error)))
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, ProbesError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| no_program(name))?
        .try_into()
        .map_err(|error| ProbesError::Program(name, Box::new(error)))
}

fn no_program(name: &'static str) -> ProbesError {
    ProbesError::Object(format!("there is no program {name} in the object").into())
}

fn ring(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, ProbesError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| ProbesError::Map(name, "not in the object".into()))?;
    RingBuf::try_from(map).map_err(|error| ProbesError::Map(name, error.into()))
}

fn take<const N: usize>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<PerCpuArray<MapData, [u64; N]>, ProbesError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| ProbesError::Map(name, "not in the object".into()))?;
    PerCpuArray::try_from(map).map_err(|error| ProbesError::Map(name, error.into()))
}
