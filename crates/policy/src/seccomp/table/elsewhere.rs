//! System calls that other architectures of Linux have, and none that has a table
//! here: profiles written for many architectures name them.
//!
//! From the tables of mips, powerpc, riscv and s390 and from older kernels.

/// Names, sorted.
pub(super) const NAMES: &[&str] = &[
    "cachectl",
    "multiplexer",
    "riscv_flush_icache",
    "riscv_hwprobe",
    "rtas",
    "s390_guarded_storage",
    "s390_pci_mmio_read",
    "s390_pci_mmio_write",
    "s390_runtime_instr",
    "s390_sthyi",
    "spu_create",
    "spu_run",
    "subpage_prot",
    "swapcontext",
    "switch_endian",
    "sync_file_range2",
    "sys_debug_setcontext",
    "syscall",
    "sysmips",
    "timerfd",
];
