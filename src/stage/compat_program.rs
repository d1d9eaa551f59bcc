//! 32-bit programs, if the filters refuse the calls of their architecture.
//!
//! Such a program would start and end at its first call, by SIGSEGV and without a message. So the
//! child reads the start of its file first. This serves the message alone: a file that is exchanged
//! afterwards ends in the same way, under every filter.

use std::ffi::CStr;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::seccomp::interpret::{Call, run};
use crate::seccomp::program::Program;
use crate::seccomp::table::Arch;

/// Whether one of these filters refuses the 32-bit calls of this machine.
pub(crate) fn refused<'a>(mut filters: impl Iterator<Item = &'a Program>) -> bool {
    let Some(small) = Arch::native().and_then(Arch::of_32_bit) else {
        return false;
    };
    // Every program makes this call; a filter that refuses it permits no program.
    let Some(number) = small.number("exit_group") else {
        return false;
    };
    let call = Call {
        number,
        arch: small.audit(),
        instruction_pointer: 0,
        arguments: [0; 6],
    };
    let executes = |answer: u32| matches!(answer & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000);
    filters.any(|filter| !run(filter, &call).is_some_and(executes))
}

/// Whether the file starts like a 32-bit ELF file, elf(5). An unreadable file does not. Allocates
/// nothing.
pub(crate) fn is_32_bit(path: &CStr) -> bool {
    /// The magic number, and ELFCLASS32.
    const START: [u8; 5] = *b"\x7fELF\x01";
    // It was a regular file; if it is a FIFO now, the open must not wait for a writer.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let Ok(file) = nix::fcntl::open(path, flags, Mode::empty()) else {
        return false;
    };
    let mut start = [0; START.len()];
    nix::unistd::read(&file, &mut start) == Ok(START.len()) && start == START
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_filters_refuse_32_bit_programs_and_no_filter_does_not() {
        assert!(!refused(std::iter::empty()));
        for name in nsexec_shipped_policies::BUILTIN_NAMES {
            let policy = nsexec_shipped_policies::builtin(name);
            let policy = policy.expect("ships").expect("decodes");
            assert!(
                refused(policy.ceiling.seccomp.enforced().into_iter()),
                "{name}"
            );
        }
    }

    #[test]
    fn this_test_is_no_32_bit_program() {
        assert!(!is_32_bit(c"/proc/self/exe"));
        assert!(!is_32_bit(c"/proc/self/cmdline"));
        assert!(!is_32_bit(c"/no such file"));
    }
}
