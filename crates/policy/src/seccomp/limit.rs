//! How long all filters of a process may be together.

use crate::seccomp::operation::{Arithmetic, Operand, Operation, Test};
use crate::seccomp::program::Program;

/// MAX_INSNS_PER_PATH, kernel/seccomp.c: the most instructions of all filters
/// that one process is under, beyond which seccomp(2) fails with ENOMEM.
pub const MAX_TOTAL: usize = 32_768;
/// The kernel's count for each filter besides its instructions
/// (`seccomp_attach_filter`).
const OVERHEAD: usize = 4;

/// The kernel's count for these filters together, without others.
///
/// The kernel counts its own translation of a program, which is up to five times
/// longer (`bpf_convert_filter`, net/core/filter.c; unchanged from Linux 5.10 to
/// 6.18). With net.core.bpf_jit_harden it counts more, and it adds the caller's
/// own filters: this is a lower bound.
pub fn total<'a>(programs: impl IntoIterator<Item = &'a Program>) -> usize {
    let filter = |program| translated(program) + OVERHEAD;
    let all: usize = programs.into_iter().map(filter).sum();
    // The overhead of the filter loaded last is not counted.
    all.saturating_sub(OVERHEAD)
}

/// The length of the kernel's translation.
fn translated(program: &Program) -> usize {
    // The translation clears both registers and saves the context.
    let prologue = 3;
    let instructions = program.instructions().iter();
    let each = instructions.map(|instruction| Operation::of(*instruction).map_or(1, length));
    prologue + each.sum::<usize>()
}

fn length(operation: Operation) -> usize {
    match operation {
        // The value is put into the result's register.
        Operation::Return(_) => 2,
        // A test for 0 precedes it.
        Operation::Compute(Arithmetic::Divide, Operand::Index) => 5,
        Operation::Branch(test, operand, ways) => {
            // Immediates are signed: a constant with the top bit set needs a
            // register.
            let wide = matches!(operand, Operand::Constant(0x8000_0000..));
            let both = match ways {
                [_, 0] => false,
                // The opposite test; AnyBit has none.
                [0, _] => test == Test::AnyBit,
                _ => true,
            };
            1 + usize::from(wide) + usize::from(both)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
        Program::try_from(instructions.to_vec()).expect("a valid program")
    }

    /// That the kernel counts like this is a test of `sys/seccomp`.
    #[test]
    fn a_translated_instruction_counts_its_full_length() {
        let alone = |instruction| program(&[instruction, (0x06, 0, 0, 0), (0x06, 0, 0, 0)]);
        // Three in front, and two returns of two.
        let rest = 3 + 4;
        for (instruction, expected) in [
            ((0x06, 0, 0, 0), 2),
            ((0x16, 0, 0, 0), 1),
            ((0x20, 0, 0, 0), 1),
            ((0x34, 0, 0, 3), 1),
            ((0x3c, 0, 0, 0), 5),
            ((0x15, 0, 0, 1), 1),
            ((0x15, 1, 0, 1), 1),
            ((0x15, 0, 1, 1), 1),
            ((0x15, 1, 1, 1), 2),
            ((0x15, 1, 1, 0x8000_0000), 3),
            ((0x15, 1, 0, 0x7fff_ffff), 1),
            ((0x1d, 1, 1, 0x8000_0000), 2),
            ((0x45, 1, 0, 1), 1),
            ((0x45, 0, 1, 1), 2),
            ((0x45, 0, 1, 0xc000_0000), 3),
        ] {
            let program = alone(instruction);
            assert_eq!(total([&program]), rest + expected, "{instruction:x?}");
        }
    }

    #[test]
    fn each_filter_but_the_last_has_its_overhead() {
        let short = program(&[(0x06, 0, 0, 0)]);
        assert_eq!(total([]), 0);
        assert_eq!(total([&short]), 5);
        assert_eq!(total([&short, &short, &short]), 3 * 5 + 2 * 4);
    }
}
