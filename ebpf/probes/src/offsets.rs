//! What the loader tells the probes: a frozen global for each offset, whose
//! value the verifier knows.

use aya_ebpf::Global;
use nsexec_audit_abi::offsets::ABSENT;

macro_rules! globals {
    ($($global:ident: $structure:literal $path:expr, $need:ident;)+) => {$(
        #[unsafe(no_mangle)]
        pub(crate) static $global: Global<u32> = Global::new(ABSENT);
    )+};
}

nsexec_audit_abi::for_each_offset!(globals);

/// Which bit of the word at TASK_ENTRY means the 32-bit table of system calls.
#[unsafe(no_mangle)]
pub(crate) static COMPAT_MASK: Global<u32> = Global::new(0);
