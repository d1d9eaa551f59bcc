//! The functions of setns(2), unshare(2), clone(2) and clone3(2), of both tables of
//! system calls: nothing else is slowed down, and 32-bit calls are seen. Not every
//! kernel lets trampolines load. x86_64 only.

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use nsexec_audit_abi::code::Syscall;

use super::call;
use crate::kernel::{Object, load};
use crate::offsets::{REGS_BX, REGS_CX, REGS_DI, REGS_SI};

/// Beginning and end of a function that takes the registers of a system call.
macro_rules! functions {
    ($($function:literal: $enter:ident $exit:ident, $syscall:ident($first:ident, $second:ident);)+) => {$(
        #[fentry(function = $function)]
        pub(crate) fn $enter(context: FEntryContext) -> i32 {
            let registers: Object = context.arg(0);
            let (first, second) = (load(registers, &$first), load(registers, &$second));
            call::begins(&call::places(), Syscall::$syscall, first, || second);
            0
        }

        #[fexit(function = $function)]
        pub(crate) fn $exit(context: FExitContext) -> i32 {
            // What it returns stands behind its one argument.
            call::ends(&call::caller(), Syscall::$syscall, context.arg(1));
            0
        }
    )+};
}

functions! {
    "__x64_sys_setns": enter_setns exit_setns, Setns(REGS_DI, REGS_SI);
    "__x64_sys_unshare": enter_unshare exit_unshare, Unshare(REGS_DI, REGS_SI);
    "__x64_sys_clone": enter_clone exit_clone, Clone(REGS_DI, REGS_SI);
    "__x64_sys_clone3": enter_clone3 exit_clone3, Clone3(REGS_DI, REGS_SI);
    "__ia32_sys_setns": enter_setns_32 exit_setns_32, Setns(REGS_BX, REGS_CX);
    "__ia32_sys_unshare": enter_unshare_32 exit_unshare_32, Unshare(REGS_BX, REGS_CX);
    "__ia32_compat_sys_ia32_clone": enter_clone_32 exit_clone_32, Clone(REGS_BX, REGS_CX);
    "__ia32_sys_clone3": enter_clone3_32 exit_clone3_32, Clone3(REGS_BX, REGS_CX);
}
