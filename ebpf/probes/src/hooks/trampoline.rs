//! The kernel functions of setns(2), unshare(2), clone(2) and clone3(2), of both tables of
//! system calls: other calls are not slowed down, and 32-bit calls are reported. Some
//! kernels do not load trampolines. x86_64 only.

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use nsexec_audit_abi::code::Syscall;

use super::call;
use crate::kernel::{Object, load};
use crate::offsets::{REGS_BX, REGS_CX, REGS_DI, REGS_SI};

/// Entry and exit of a function that receives the registers of a system call. Reads only as
/// many bits of each register as the kernel uses: `int $0x80` leaves the upper halves
/// unchanged.
macro_rules! functions {
    ($($function:literal: $enter:ident $exit:ident, $syscall:ident($word:ty: $first:ident, $second:ident);)+) => {$(
        #[fentry(function = $function)]
        pub(crate) fn $enter(context: FEntryContext) -> i32 {
            let registers: Object = context.arg(0);
            let first = u64::from(load::<$word>(registers, &$first));
            let second = u64::from(load::<$word>(registers, &$second));
            call::begins(&call::namespaces(), Syscall::$syscall, first, || second);
            0
        }

        #[fexit(function = $function)]
        pub(crate) fn $exit(context: FExitContext) -> i32 {
            // The result follows the only argument.
            call::ends(&call::caller(), Syscall::$syscall, context.arg(1));
            0
        }
    )+};
}

functions! {
    "__x64_sys_setns": enter_setns exit_setns, Setns(u64: REGS_DI, REGS_SI);
    "__x64_sys_unshare": enter_unshare exit_unshare, Unshare(u64: REGS_DI, REGS_SI);
    "__x64_sys_clone": enter_clone exit_clone, Clone(u64: REGS_DI, REGS_SI);
    "__x64_sys_clone3": enter_clone3 exit_clone3, Clone3(u64: REGS_DI, REGS_SI);
    "__ia32_sys_setns": enter_setns_32 exit_setns_32, Setns(u32: REGS_BX, REGS_CX);
    "__ia32_sys_unshare": enter_unshare_32 exit_unshare_32, Unshare(u32: REGS_BX, REGS_CX);
    "__ia32_compat_sys_ia32_clone": enter_clone_32 exit_clone_32, Clone(u32: REGS_BX, REGS_CX);
    "__ia32_sys_clone3": enter_clone3_32 exit_clone3_32, Clone3(u32: REGS_BX, REGS_CX);
}
