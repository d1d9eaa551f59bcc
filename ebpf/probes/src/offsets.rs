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

/// Where a css_set has its cgroup of the version-1 controller that decides.
#[unsafe(no_mangle)]
pub(crate) static CSS_SET_STATE: Global<u32> = Global::new(ABSENT);

/// Which bit of the word at TASK_ENTRY means the 32-bit table of system calls.
#[unsafe(no_mangle)]
pub(crate) static COMPAT_MASK: Global<u32> = Global::new(0);
