//! The two rings, and their counters.

use core::arch::asm;

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use nsexec_audit_abi::code::{Hook, Kind};
use nsexec_audit_abi::counters::{Counters, LINEAGE_RING, NAMESPACE_RING, Position, RINGS};
use nsexec_audit_abi::field::Reserved;
use nsexec_audit_abi::parts::{Header, Version};
use nsexec_audit_abi::record::{Exec, Exit, Fork, Namespace};

/// BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP and BPF_RB_AVAIL_DATA of linux/bpf.h.
const NO_WAKEUP: u64 = 1;
const FORCE_WAKEUP: u64 = 2;
const AVAILABLE_DATA: u64 = 0;
/// The number of queued bytes up to which the loader reads by itself.
const PATIENCE_BYTES: u64 = 128 << 10;
/// Beyond that, the interval of bytes at which the loader is woken: a few records, because
/// processors that write concurrently pass the mark concurrently.
const WAKING_BYTES: u64 = 8 << 10;

// The loader sets the sizes.
#[map]
static NAMESPACES: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
static LINEAGE: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
static POSITIONS: PerCpuArray<Position> = PerCpuArray::with_max_entries(RINGS, 0);
#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Hook::COUNT, 0);

/// A record for a ring. It begins with its [`Header`].
pub(crate) trait Record: Sized + 'static {
    const KIND: Kind;
    const RING: u32;
}

impl Record for Namespace {
    const KIND: Kind = Kind::Namespace;
    const RING: u32 = NAMESPACE_RING;
}

impl Record for Fork {
    const KIND: Kind = Kind::Fork;
    const RING: u32 = LINEAGE_RING;
}

impl Record for Exec {
    const KIND: Kind = Kind::Exec;
    const RING: u32 = LINEAGE_RING;
}

impl Record for Exit {
    const KIND: Kind = Kind::Exit;
    const RING: u32 = LINEAGE_RING;
}

/// Increments a counter. A program can be preempted, and another one can run on its
/// processor: so the increment is atomic, although each processor has its own counter.
#[inline(always)]
pub(crate) fn count(hook: Hook, counter: fn(*mut Counters) -> *mut u64) {
    if let Some(counters) = COUNTERS.get_ptr_mut(u32::from(hook.code()) - 1) {
        add(counter(counters));
    }
}

/// The same hook, as a value that the verifier does not know: it then checks the following
/// code once, and not once per hook.
#[inline(always)]
pub(crate) fn hidden(hook: Hook) -> Hook {
    let mut code = u64::from(hook.code());
    // SAFETY: the code undoes its own addition; it accesses no memory.
    unsafe {
        asm!(
            "{code} += {unknown}",
            "{code} -= {unknown}",
            "{code} &= 15",
            unknown = in(reg) u64::from(cpu()),
            code = inout(reg) code,
        );
    }
    // SAFETY: the value is the unchanged code of a hook; they are below 16.
    unsafe { core::mem::transmute::<u8, Hook>(code as u8) }
}

macro_rules! counter {
    ($($name:ident)+) => {$(
        pub(crate) fn $name(counters: *mut Counters) -> *mut u64 {
            // SAFETY: only of a value of the map.
            unsafe { &raw mut (*counters).$name }
        }
    )+};
}

counter!(seen filtered written ring_full pending_full beginning_unseen);

#[inline(always)]
fn add(number: *mut u64) -> u64 {
    let mut before = 1_u64;
    // core has no atomic addition for this target, although the kernel has.
    // SAFETY: an aligned number in a map, which lives as long as the program.
    unsafe {
        asm!(
            "{before} = atomic_fetch_add((u64 *)({number} + 0), {before})",
            number = in(reg) number,
            before = inout(reg) before,
        );
    }
    before
}

/// Takes the next number of the ring, reserves room for a record, and writes the record's
/// header. Without room the number stays missing, and the loss is counted. The returned
/// entry must be passed to [`submit`].
#[inline(always)]
pub(crate) fn begin<T: Record>(hook: Hook) -> Option<RingBufEntry<T>> {
    let position = POSITIONS.get_ptr_mut(T::RING)?;
    // SAFETY: a value of the map.
    let (sequence, lost) = unsafe { (&raw mut (*position).sequence, &raw mut (*position).lost) };
    let sequence = add(sequence);
    let Some(mut entry) = ring::<T>().reserve::<T>(0) else {
        add(lost);
        count(hook, ring_full);
        return None;
    };
    let header = Header {
        version: Version::THIS,
        kind: T::KIND,
        hook,
        length: size_of::<T>() as u32,
        cpu: cpu(),
        reserved: Reserved::ZERO,
        sequence,
        // SAFETY: a value of the map.
        lost: unsafe { lost.read_volatile() },
        boot_ns: now(),
    };
    // SAFETY: the record begins with it.
    unsafe { entry.as_mut_ptr().cast::<Header>().write(header) };
    Some(entry)
}

/// Submits a record. The loader reads every few milliseconds by itself. It is woken once if
/// so many bytes are queued that the ring could fill up earlier; waking takes as long as
/// everything else here.
#[inline(always)]
pub(crate) fn submit<T: Record>(hook: Hook, entry: RingBufEntry<T>) {
    let waiting = ring::<T>().query(AVAILABLE_DATA);
    let wake = if waiting.wrapping_sub(PATIENCE_BYTES) < WAKING_BYTES {
        FORCE_WAKEUP
    } else {
        NO_WAKEUP
    };
    entry.submit(wake);
    count(hook, written);
}

#[inline(always)]
fn ring<T: Record>() -> &'static RingBuf {
    if T::RING == NAMESPACE_RING {
        &NAMESPACES
    } else {
        &LINEAGE
    }
}

#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_ktime_get_boot_ns() }
}
