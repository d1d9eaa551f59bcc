//! The parameters that the loader sets: a frozen global for each offset, with a value that
//! the verifier knows.

use aya_ebpf::Global;
use nsexec_audit_abi::offsets::ABSENT;

macro_rules! globals {
    ($($global:ident: $structure:literal $path:expr, $need:ident;)+) => {$(
        #[unsafe(no_mangle)]
        pub(crate) static $global: Global<u32> = Global::new(ABSENT);
    )+};
}

nsexec_audit_abi::for_each_offset!(globals);

/// The offset of the cgroup of the selected version-1 controller in a css_set.
#[unsafe(no_mangle)]
pub(crate) static CSS_SET_STATE: Global<u32> = Global::new(ABSENT);

/// The bit of the word at TASK_ENTRY that means the 32-bit table of system calls.
#[unsafe(no_mangle)]
pub(crate) static COMPAT_MASK: Global<u32> = Global::new(0);
