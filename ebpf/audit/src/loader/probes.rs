//! The probes in the kernel.

use std::fmt;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::Iter;
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use nsexec_audit_abi::code::Hook;
use nsexec_audit_abi::counters::{Counters, LINEAGE_RING, NAMESPACE_RING, Position};
use nsexec_audit_abi::record::Snapshot;
use nsexec_audit_abi::{Event, field::Field as _};

use super::error::ProbeError;
use super::kernel_info::KernelInfo;
use super::programs::{self, Link};
use super::{private_mount_ns, self_check, unsupported};
use crate::config::Backend;

/// The embedded probes, if there are any.
#[must_use]
pub fn embedded() -> Option<&'static [u8]> {
    let object: Option<&'static [u8]> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
    object
}

/// The size of each ring in the kernel's memory, in bytes: a power of two, at least a
/// page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub namespaces: u32,
    pub lineage: u32,
}

impl Sizes {
    /// Enough for the highest rate of two processors. The kernel counts each ring twice as
    /// memory of the process, because it maps the ring twice.
    pub const DEFAULT: Self = Self {
        namespaces: 2 << 20,
        lineage: 2 << 20,
    };

    /// This many bytes for namespaces, and twice that for the lineage.
    #[must_use]
    pub fn of(namespaces: u32) -> Self {
        Self {
            namespaces,
            lineage: namespaces.saturating_mul(2),
        }
    }
}

/// The attached probes; dropping this value detaches them.
pub struct Probes {
    /// In the order in which they are detached.
    links: Vec<Link>,
    ebpf: Ebpf,
    backend: Backend,
    rings: [RingBuf<MapData>; 2],
    counters: PerCpuArray<MapData, [u64; 6]>,
    positions: PerCpuArray<MapData, [u64; 2]>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// Reads the properties of the running kernel.
///
/// # Errors
/// Its types cannot be read, or lack what the probes need.
pub fn running_kernel() -> Result<KernelInfo, ProbeError> {
    KernelInfo::running().map_err(unsupported::explain)
}

impl Probes {
    /// Loads `object` and attaches its programs, with the best backend that the kernel
    /// loads, after they have read this thread correctly.
    ///
    /// # Errors
    /// As [`start_with`](Self::start_with).
    pub fn start(object: &[u8], kernel: &KernelInfo, sizes: Sizes) -> Result<Self, ProbeError> {
        Self::start_with(object, kernel, sizes, None)
    }

    /// The same with this backend only.
    ///
    /// # Errors
    /// The kernel requires CAP_BPF and CAP_PERFMON, and refuses an offset that is not that
    /// of a member of the right type; and the values that the probes read must agree with
    /// /proc.
    pub fn start_with(
        object: &[u8],
        kernel: &KernelInfo,
        sizes: Sizes,
        backend: Option<Backend>,
    ) -> Result<Self, ProbeError> {
        private_mount_ns::run(|| Self::start_here(object, kernel, sizes, backend))
            .map_err(unsupported::explain)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "it is the helper that must not have threads"
    )]
    fn start_here(
        object: &[u8],
        kernel: &KernelInfo,
        sizes: Sizes,
        backend: Option<Backend>,
    ) -> Result<Self, ProbeError> {
        let wrong = |error: aya::EbpfError| ProbeError::Object(error.into());
        let mut loader = EbpfLoader::new();
        loader
            // The object contains nothing that aya has to relocate.
            .btf(None)
            // aya has no type for a map of tasks, and none is needed here.
            .allow_unsupported_maps()
            // The log of the verifier is only requested after it refuses a program:
            // writing it takes longer than the verification.
            .verifier_log_level(VerifierLogLevel::DISABLE)
            .map_max_entries("NAMESPACES", sizes.namespaces)
            .map_max_entries("LINEAGE", sizes.lineage);
        for (global, value) in kernel.offsets.all() {
            loader.override_global(global, value, true);
        }
        let (types, ebpf) = thread::scope(|scope| {
            let types = scope.spawn(|| kernel.attachable());
            let ebpf = loader.load(object).map_err(wrong);
            let types = types
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (types, ebpf)
        });
        let (types, mut ebpf) = (types?, ebpf?);
        let backend = match programs::load(&mut ebpf, &types, backend) {
            Ok(backend) => backend,
            Err(refused) => {
                loader.verifier_log_level(VerifierLogLevel::VERBOSE | VerifierLogLevel::STATS);
                let mut ebpf = loader.load(object).map_err(wrong)?;
                return Err(programs::load(&mut ebpf, &types, backend)
                    .err()
                    .unwrap_or(refused));
            }
        };
        drop((loader, types));
        let rings = [ring(&mut ebpf, "NAMESPACES")?, ring(&mut ebpf, "LINEAGE")?];
        let counters = take(&mut ebpf, "COUNTERS")?;
        let positions = take(&mut ebpf, "POSITIONS")?;
        let mut probes = Self {
            links: Vec::new(),
            ebpf,
            backend,
            rings,
            counters,
            positions,
        };
        self_check::run(&probes.snapshot()?).map_err(ProbeError::Check)?;
        probes.links = programs::attach(&mut probes.ebpf, backend)?;
        Ok(probes)
    }

    /// The mechanism that observes calls.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Passes the next event of a ring to `take`; false: the ring is empty now. `ring` is [`NAMESPACE_RING`] or [`LINEAGE_RING`].
    ///
    /// # Errors
    /// The ring holds something else than a record: the probes are of another build.
    pub fn next(&mut self, ring: u32, take: impl FnOnce(Event)) -> Result<bool, ProbeError> {
        let [namespaces, lineage] = &mut self.rings;
        let ring = if ring == NAMESPACE_RING {
            namespaces
        } else {
            lineage
        };
        let Some(bytes) = ring.next() else {
            return Ok(false);
        };
        match Event::decode(&bytes) {
            Ok(event) => take(event),
            Err(fault) => return Err(ProbeError::Record(fault)),
        }
        Ok(true)
    }

    /// The descriptors of the rings. That of the namespace ring is readable when the ring is
    /// not empty; that of the lineage ring only when it holds much, so poll it as well.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        self.rings.each_ref().map(AsFd::as_fd)
    }

    /// Every existing task.
    ///
    /// # Errors
    /// The kernel's list cannot be read.
    pub fn snapshot(&mut self) -> Result<Vec<Snapshot>, ProbeError> {
        let name = programs::ITERATOR;
        let wrong = |error| ProbeError::Program(name, Box::new(error));
        let iterator = programs::program::<Iter>(&mut self.ebpf, name)?;
        let link = iterator.attach().map_err(wrong)?;
        let link = iterator.take_link(link).map_err(wrong)?;
        let mut file = link
            .into_file()
            .map_err(|error| ProbeError::Map(name, error.into()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(ProbeError::Snapshot)?;
        bytes
            .chunks(Snapshot::SIZE)
            .map(|record| match Event::decode(record) {
                Ok(Event::Snapshot(snapshot)) => Ok(snapshot),
                Ok(_) => Err(ProbeError::Snapshot(io::Error::other(
                    "another record among them",
                ))),
                Err(fault) => Err(ProbeError::Record(fault)),
            })
            .collect()
    }

    /// The counters of each hook on each processor.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Vec<(Hook, Vec<Counters>)>, ProbeError> {
        Hook::ALL
            .iter()
            .map(|hook| {
                let index = u32::from(hook.code()) - 1;
                let values = self
                    .counters
                    .get(&index, 0)
                    .map_err(|error| ProbeError::Map("COUNTERS", error.into()))?;
                Ok((*hook, values.iter().copied().map(Counters::from).collect()))
            })
            .collect()
    }

    /// The position of each ring on each processor; the ring of namespaces is first.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn positions(&self) -> Result<[Vec<Position>; 2], ProbeError> {
        let read = |ring| {
            let values = self
                .positions
                .get(&ring, 0)
                .map_err(|error| ProbeError::Map("POSITIONS", error.into()))?;
            Ok(values.iter().copied().map(Position::from).collect())
        };
        Ok([read(NAMESPACE_RING)?, read(LINEAGE_RING)?])
    }

    /// How often the kernel did not run each program, because another one ran on that
    /// processor. Nothing else counts these events.
    ///
    /// # Errors
    /// /proc cannot be read, or the kernel does not count them (before Linux 5.12).
    pub fn missed(&self) -> Result<Vec<(&'static str, u64)>, ProbeError> {
        programs::missed(&self.ebpf, self.backend)
    }

    /// Detaches the programs. Rings and counters can be read to their ends; nothing is
    /// added to them any more.
    pub fn stop(&mut self) {
        self.links.clear();
    }
}

fn ring(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, ProbeError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| ProbeError::Map(name, "not in the object".into()))?;
    RingBuf::try_from(map).map_err(|error| ProbeError::Map(name, error.into()))
}

fn take<const N: usize>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<PerCpuArray<MapData, [u64; N]>, ProbeError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| ProbeError::Map(name, "not in the object".into()))?;
    PerCpuArray::try_from(map).map_err(|error| ProbeError::Map(name, error.into()))
}
