//! The possible answers of a program to a partly known call.
//!
//! Every path through the program that the known part permits is followed, with
//! known and unknown values. So an answer that is not in the result is
//! impossible, regardless of the rest of the call; an answer in the result is
//! possible.

use std::collections::BTreeSet;

use crate::seccomp::machine::Machine;
use crate::seccomp::operation::Operation;
use crate::seccomp::program::Program;

/// The known part of a call. Its instruction pointer is never known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialCall {
    /// The system call's number.
    pub number: u32,
    /// AUDIT_ARCH_*
    pub arch: u32,
    /// The arguments that are known.
    pub arguments: [Option<u64>; 6],
}

impl PartialCall {
    /// The 32-bit word at a byte offset of struct seccomp_data, if it is known.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            _ => {
                let index = usize::try_from(offset / 8).ok()?.checked_sub(2)?;
                let argument = (*self.arguments.get(index)?)?;
                let half = if offset % 8 == 4 {
                    argument >> 32
                } else {
                    argument & u64::from(u32::MAX)
                };
                u32::try_from(half).ok()
            }
        }
    }
}

/// The possible return values for such a call: SECCOMP_RET_*.
/// `None` among them: any value.
#[must_use]
pub fn answers(program: &Program, call: &PartialCall) -> BTreeSet<Option<u32>> {
    let mut states = PathStates(vec![None; program.instructions().len()]);
    states.merge_into(0, &Machine::new());
    let mut answers = BTreeSet::new();
    for (at, instruction) in program.instructions().iter().enumerate() {
        let Some(mut machine) = states.0.get_mut(at).and_then(Option::take) else {
            continue;
        };
        let Ok(operation) = Operation::of(*instruction) else {
            // Unreachable: `Program` contains only valid instructions. The
            // answer is then unknown.
            answers.insert(None);
            continue;
        };
        let next = at + 1;
        let mut moved = Some(());
        match operation {
            Operation::Return(value) => {
                answers.insert(Some(value));
                continue;
            }
            Operation::ReturnAccumulator => {
                answers.insert(machine.accumulator);
                continue;
            }
            Operation::Jump(skip) => {
                states.merge_into(next.saturating_add(skip), &machine);
                continue;
            }
            Operation::Branch(test, operand, [yes, no]) => {
                let operands = machine.accumulator.zip(machine.operand(operand));
                let holds = operands.map(|(a, b)| test.holds(a, b));
                if holds != Some(false) {
                    states.merge_into(next + usize::from(yes), &machine);
                }
                if holds != Some(true) {
                    states.merge_into(next + usize::from(no), &machine);
                }
                continue;
            }
            Operation::Compute(arithmetic, operand) => {
                let operand = machine.operand(operand);
                if arithmetic.ends_at_zero() && operand.is_none_or(|operand| operand == 0) {
                    answers.insert(Some(0));
                    if operand.is_some() {
                        continue;
                    }
                }
                let operands = machine.accumulator.zip(operand);
                machine.accumulator = operands.and_then(|(a, b)| arithmetic.apply(a, b));
            }
            Operation::Load(offset) => machine.accumulator = call.word(offset),
            Operation::Set(register, constant) => machine.set(register, Some(constant)),
            Operation::Copy(register) => machine.copy_into(register),
            Operation::Negate => {
                machine.accumulator = machine.accumulator.map(u32::wrapping_neg);
            }
            Operation::Recall(register, cell) => moved = machine.recall(register, cell),
            Operation::Store(register, cell) => moved = machine.store(register, cell),
        }
        if moved.is_none() {
            // Nor a cell that is not there.
            answers.insert(None);
            continue;
        }
        states.merge_into(next, &machine);
    }
    answers
}

/// The state at each reachable instruction: a value on which the paths to it
/// disagree is unknown.
struct PathStates(Vec<Option<Machine<Option<u32>>>>);

impl PathStates {
    fn merge_into(&mut self, to: usize, machine: &Machine<Option<u32>>) {
        match self.0.get_mut(to) {
            Some(Some(known)) => known.merge(machine),
            Some(way) => *way = Some(*machine),
            // No program jumps out of itself.
            None => {}
        }
    }
}

impl Machine<Option<u32>> {
    fn merge(&mut self, other: &Self) {
        let forget = |one: &mut Option<u32>, other: Option<u32>| {
            if *one != other {
                *one = None;
            }
        };
        forget(&mut self.accumulator, other.accumulator);
        forget(&mut self.index, other.index);
        for (one, other) in self.cells.iter_mut().zip(other.cells) {
            forget(one, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seccomp::interpret::{Call, run};
    use crate::seccomp::program::samples::{Tuple, answering};
    use crate::seccomp::table::Arch;

    const NUMBER: u32 = 39;
    const ARCH: u32 = 0xc000_003e;
    const NO: Tuple = (0x06, 0, 0, 0x0005_0001);
    const YES: Tuple = (0x06, 0, 0, 0x7fff_0000);

    fn of(instructions: &[Tuple], arguments: [Option<u64>; 6]) -> Vec<Option<u32>> {
        let program = Program::try_from(instructions.to_vec()).expect("a valid program");
        let call = PartialCall {
            number: NUMBER,
            arch: ARCH,
            arguments,
        };
        answers(&program, &call).into_iter().collect()
    }

    #[test]
    fn only_known_values_decide() {
        let (no, yes) = (Some(NO.3), Some(YES.3));
        let none = [None; 6];
        let first = |value| [Some(value), None, None, None, None, None];
        // Loads the word at an offset and answers NO if it has a value.
        let word = |offset, value| [(0x20, 0, 0, offset), (0x15, 0, 1, value), NO, YES];
        assert_eq!(of(&word(0, NUMBER), none), [no]);
        assert_eq!(of(&word(0, NUMBER + 1), none), [yes]);
        assert_eq!(of(&word(4, ARCH), none), [no]);
        assert_eq!(of(&word(16, 7), none), [no, yes]);
        assert_eq!(of(&word(16, 7), first(7)), [no]);
        assert_eq!(of(&word(16, 7), first(8)), [yes]);
        assert_eq!(of(&word(20, 1), first(1 << 32 | 7)), [no]);
        assert_eq!(of(&word(24, 7), first(7)), [no, yes]);
        // The instruction pointer.
        assert_eq!(of(&word(8, 7), [Some(7); 6]), [no, yes]);
        assert_eq!(of(&word(12, 0), [Some(7); 6]), [no, yes]);
    }

    #[test]
    fn values_on_joining_paths_are_known_if_equal() {
        // A cell and the index are 3 on one path, and as given on the other.
        let meet = |other: u32| {
            of(
                &[
                    (0x20, 0, 0, 16),
                    (0x15, 0, 3, 1),
                    (0x01, 0, 0, 3),
                    (0x03, 0, 0, 5),
                    (0x05, 0, 0, 2),
                    (0x01, 0, 0, other),
                    (0x03, 0, 0, 5),
                    (0x60, 0, 0, 5),
                    (0x1d, 0, 2, 0),
                    (0x15, 0, 1, 3),
                    YES,
                    NO,
                ],
                [None; 6],
            )
        };
        assert_eq!(meet(3), [Some(YES.3)]);
        assert_eq!(meet(4), [Some(NO.3), Some(YES.3)]);
    }

    #[test]
    fn a_division_by_an_unknown_value_may_end_the_program() {
        let divide = [(0x20, 0, 0, 16), (0x07, 0, 0, 0), (0x3c, 0, 0, 0), YES];
        let first = |value| [Some(value), None, None, None, None, None];
        assert_eq!(of(&divide, [None; 6]), [Some(0), Some(YES.3)]);
        assert_eq!(of(&divide, first(0)), [Some(0)]);
        assert_eq!(of(&divide, first(2)), [Some(YES.3)]);
    }

    #[test]
    fn a_return_of_an_unknown_value_is_any_value() {
        let computed = [(0x20, 0, 0, 16), (0x54, 0, 0, 1), (0x16, 0, 0, 0)];
        assert_eq!(of(&computed, [None; 6]), [None]);
        assert_eq!(of(&computed, [Some(3); 6]), [Some(1)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// The answer to the whole call is among the answers to any part of it.
        /// If all is known, it is the only one.
        #[test]
        fn nothing_is_answered_that_is_not_among_the_answers(
            program in answering(Arch::X86_64, "getpid"),
            arguments in prop::array::uniform6(prop_oneof![0_u64..3, any::<u64>()]),
            known in prop::array::uniform6(any::<bool>()),
        ) {
            let call = Call { number: NUMBER, arch: ARCH, instruction_pointer: 77, arguments };
            let answer = run(&program, &call).expect("a valid program");
            let partial = |arguments| PartialCall { number: NUMBER, arch: ARCH, arguments };
            let mut part = arguments.map(Some);
            for (argument, known) in part.iter_mut().zip(known) {
                *argument = argument.filter(|_| known);
            }
            let may = answers(&program, &partial(part));
            prop_assert!(may.contains(&Some(answer)) || may.contains(&None), "{:x?}", may);
            let exact = answers(&program, &partial(arguments.map(Some)));
            prop_assert_eq!(exact.into_iter().collect::<Vec<_>>(), [Some(answer)]);
        }
    }
}
