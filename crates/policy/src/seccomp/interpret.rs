//! Interprets a program as the kernel would.
//!
//! Programs only jump forward and end in a return ([`Program`] guarantees this),
//! so a run has at most as many steps as the program has instructions.

use crate::seccomp::machine::Machine;
use crate::seccomp::operation::Operation;
use crate::seccomp::program::Program;

/// A filter's input: `struct seccomp_data`, linux/seccomp.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The system call's number.
    pub number: u32,
    /// AUDIT_ARCH_*
    pub arch: u32,
    /// The instruction pointer.
    pub instruction_pointer: u64,
    /// The arguments, as the registers hold them.
    pub arguments: [u64; 6],
}

impl Call {
    /// The 32-bit word at a byte offset, in little-endian order.
    fn word(&self, offset: u32) -> Option<u32> {
        let half = |value: u64, upper: bool| {
            let bytes = value.to_le_bytes();
            let [a, b, c, d, e, f, g, h] = bytes;
            u32::from_le_bytes(if upper { [e, f, g, h] } else { [a, b, c, d] })
        };
        let upper = offset % 8 == 4;
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            8 | 12 => Some(half(self.instruction_pointer, upper)),
            _ if offset.is_multiple_of(4) => {
                let index = usize::try_from(offset / 8).ok()?.checked_sub(2)?;
                let argument = self.arguments.get(index)?;
                Some(half(*argument, upper))
            }
            _ => None,
        }
    }
}

/// The value that the program returns for this call: SECCOMP_RET_*.
///
/// `None` for an instruction that no [`Program`] contains.
#[must_use]
pub fn run(program: &Program, call: &Call) -> Option<u32> {
    let mut machine = Machine::<u32>::new();
    let mut rest = program.instructions().iter();
    loop {
        let mut skip = 0;
        match Operation::of(*rest.next()?).ok()? {
            Operation::Return(value) => return Some(value),
            Operation::ReturnAccumulator => return Some(machine.accumulator),
            Operation::Jump(jump) => skip = jump,
            Operation::Branch(test, operand, [yes, no]) => {
                let holds = test.holds(machine.accumulator, machine.operand(operand));
                skip = usize::from(if holds { yes } else { no });
            }
            Operation::Compute(arithmetic, operand) => {
                match arithmetic.apply(machine.accumulator, machine.operand(operand)) {
                    Some(computed) => machine.accumulator = computed,
                    None => return Some(0),
                }
            }
            Operation::Negate => machine.accumulator = machine.accumulator.wrapping_neg(),
            Operation::Load(offset) => machine.accumulator = call.word(offset)?,
            Operation::Set(register, constant) => machine.set(register, constant),
            Operation::Copy(register) => machine.copy_into(register),
            Operation::Recall(register, cell) => machine.recall(register, cell)?,
            Operation::Store(register, cell) => machine.store(register, cell)?,
        }
        if skip > 0 {
            rest.nth(skip - 1)?;
        }
    }
}

/// The kernel's answer under several filters, in load order:
/// `seccomp_run_filters`, kernel/seccomp.c.
///
/// The strictest answer wins; among equally strict ones, that of the filter
/// loaded last. So a further filter can only restrict more.
#[must_use]
pub fn run_stacked(oldest_first: &[&Program], call: &Call) -> Option<u32> {
    // The kernel compares actions as signed: KILL_PROCESS is the least of all.
    let action = |value: u32| (value & 0xffff_0000).cast_signed();
    let mut answer = 0x7fff_0000;
    for program in oldest_first.iter().rev() {
        let value = run(program, call)?;
        if action(value) < action(answer) {
            answer = value;
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
        Program::try_from(instructions.to_vec()).expect("a valid program")
    }

    const CALL: Call = Call {
        number: 7,
        arch: 0xc000_003e,
        instruction_pointer: 0x1111_1111_2222_2222,
        arguments: [0x0a00_0001_0b00_0002, 3, 4, 5, 6, 0xffff_fffe_0000_0001],
    };

    #[test]
    fn offsets_match_struct_seccomp_data() {
        let words = [
            (0, 7),
            (4, 0xc000_003e),
            (8, 0x2222_2222),
            (12, 0x1111_1111),
            (16, 0x0b00_0002),
            (20, 0x0a00_0001),
            (24, 3),
            (28, 0),
            (56, 1),
            (60, 0xffff_fffe),
        ];
        for (offset, word) in words {
            let loaded = program(&[(0x20, 0, 0, offset), (0x16, 0, 0, 0)]);
            assert_eq!(run(&loaded, &CALL), Some(word), "at {offset}");
        }
    }

    #[test]
    fn each_instruction_behaves_as_in_the_kernel() {
        // Returns 1 when the test of 12 (accumulator) with 10 holds.
        let with_constant = |code| {
            program(&[
                (0x00, 0, 0, 12),
                (code, 1, 0, 10),
                (0x06, 0, 0, 0),
                (0x06, 0, 0, 1),
            ])
        };
        // The same with 10 in the index register.
        let with_index = |code| {
            program(&[
                (0x00, 0, 0, 10),
                (0x07, 0, 0, 0),
                (0x00, 0, 0, 12),
                (code, 1, 0, 99),
                (0x06, 0, 0, 0),
                (0x06, 0, 0, 1),
            ])
        };
        for (code, holds) in [(0x15, 0), (0x25, 1), (0x35, 1), (0x45, 1)] {
            assert_eq!(run(&with_constant(code), &CALL), Some(holds), "{code:#x}");
            let indexed = run(&with_index(code | 0x08), &CALL);
            assert_eq!(indexed, Some(holds), "{code:#x} with index");
        }
        let and = program(&[(0x00, 0, 0, 12), (0x54, 0, 0, 10), (0x16, 0, 0, 0)]);
        assert_eq!(run(&and, &CALL), Some(8));
        let moved = program(&[
            (0x00, 0, 0, 12),
            (0x07, 0, 0, 0),
            (0x00, 0, 0, 1),
            (0x87, 0, 0, 0),
            (0x16, 0, 0, 0),
        ]);
        assert_eq!(run(&moved, &CALL), Some(12));
        let jump = program(&[(0x05, 0, 0, 1), (0x06, 0, 0, 5), (0x06, 0, 0, 6)]);
        assert_eq!(run(&jump, &CALL), Some(6));
    }

    #[test]
    fn the_strictest_of_stacked_filters_counts() {
        let answers = |value| program(&[(0x06, 0, 0, value)]);
        // Strictest first.
        let values = [
            0x8000_0000,
            0x0000_0000,
            0x0003_0000,
            0x0005_0026,
            0x7ffc_0000,
            0x7fff_0000,
        ];
        for (at, strict) in values.into_iter().enumerate() {
            for loose in values.into_iter().skip(at) {
                let (strict_program, loose_program) = (answers(strict), answers(loose));
                for stack in [
                    [&strict_program, &loose_program],
                    [&loose_program, &strict_program],
                ] {
                    assert_eq!(run_stacked(&stack, &CALL), Some(strict));
                }
            }
        }
        let (first, last) = (answers(0x0005_0001), answers(0x0005_0026));
        assert_eq!(run_stacked(&[&first, &last], &CALL), Some(0x0005_0026));
        assert_eq!(run_stacked(&[], &CALL), Some(0x7fff_0000));
    }
}
