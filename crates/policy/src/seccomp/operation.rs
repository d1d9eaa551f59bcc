//! Decoded instructions: exactly those that the kernel's seccomp accepts
//! (`bpf_check_classic`, net/core/filter.c, and `seccomp_check_filter`,
//! kernel/seccomp.c).

use crate::seccomp::instruction::{Instruction, ProgramFault};

/// sizeof(struct seccomp_data), linux/seccomp.h
const DATA_LENGTH: u32 = 64;
/// BPF_MEMWORDS: the number of cells of scratch memory.
pub(super) const CELLS: usize = 16;

/// One of the two registers of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Accumulator,
    Index,
}

/// The operand of a comparison or computation with the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Constant(u32),
    Index,
}

/// A computation: `accumulator = accumulator OPERATION operand`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Xor,
}

/// How the accumulator is compared with the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// A decoded instruction. A jump counts from the next instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `accumulator = the 32-bit word of seccomp_data at this offset`
    Load(u32),
    /// `register = constant`
    Set(Register, u32),
    /// `register = cell`
    Recall(Register, usize),
    /// `cell = register`
    Store(Register, usize),
    /// `register = the other register`
    Copy(Register),
    /// `accumulator = accumulator OPERATION operand`
    Compute(Arithmetic, Operand),
    /// `accumulator = -accumulator`
    Negate,
    /// Skips so many instructions.
    Jump(usize),
    /// Skips the first number of instructions if the test holds, else the second.
    Branch(Test, Operand, [u8; 2]),
    /// Ends with this value.
    Return(u32),
    /// Ends with the value of the accumulator.
    ReturnAccumulator,
}

/// The error of an instruction, given its index.
type Wrong = fn(usize) -> ProgramFault;

impl Operation {
    /// Decodes this instruction. Whether its jump stays inside is checked
    /// elsewhere.
    ///
    /// # Errors
    /// seccomp does not accept it, or its operand is out of range.
    pub(super) fn of(instruction: Instruction) -> Result<Self, Wrong> {
        use Register::{Accumulator, Index};
        let Instruction { code, jt, jf, k } = instruction;
        let cell = || match usize::try_from(k) {
            Ok(cell) if cell < CELLS => Ok(cell),
            _ => Err::<usize, Wrong>(ProgramFault::Cell),
        };
        Ok(match code {
            // BPF_LD | BPF_W | BPF_ABS
            0x20 if k < DATA_LENGTH && k.is_multiple_of(4) => Self::Load(k),
            0x20 => return Err(ProgramFault::Offset),
            // BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM
            0x00 => Self::Set(Accumulator, k),
            0x01 => Self::Set(Index, k),
            // BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_W | BPF_LEN
            0x80 => Self::Set(Accumulator, DATA_LENGTH),
            0x81 => Self::Set(Index, DATA_LENGTH),
            // BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX
            0x60 => Self::Recall(Accumulator, cell()?),
            0x61 => Self::Recall(Index, cell()?),
            0x02 => Self::Store(Accumulator, cell()?),
            0x03 => Self::Store(Index, cell()?),
            // BPF_MISC | {BPF_TAX, BPF_TXA}
            0x07 => Self::Copy(Index),
            0x87 => Self::Copy(Accumulator),
            // BPF_ALU | BPF_NEG
            0x84 => Self::Negate,
            // BPF_JMP | BPF_JA
            0x05 => Self::Jump(usize::try_from(k).unwrap_or(usize::MAX)),
            // BPF_RET | {BPF_K, BPF_A}
            0x06 => Self::Return(k),
            0x16 => Self::ReturnAccumulator,
            _ => {
                // BPF_K or BPF_X
                let operand = match code & 0x08 {
                    0 => Operand::Constant(k),
                    _ => Operand::Index,
                };
                let branch = |test| Ok(Self::Branch(test, operand, [jt, jf]));
                return match code & !0x08 {
                    // BPF_JMP | {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET}
                    0x15 => branch(Test::Equal),
                    0x25 => branch(Test::Greater),
                    0x35 => branch(Test::GreaterOrEqual),
                    0x45 => branch(Test::AnyBit),
                    other => compute(other, operand),
                };
            }
        })
    }
}

/// BPF_ALU and an operation, without the operand.
fn compute(code: u16, operand: Operand) -> Result<Operation, Wrong> {
    let arithmetic = match code {
        0x04 => Arithmetic::Add,
        0x14 => Arithmetic::Subtract,
        0x24 => Arithmetic::Multiply,
        0x34 => Arithmetic::Divide,
        0x44 => Arithmetic::Or,
        0x54 => Arithmetic::And,
        0x64 => Arithmetic::ShiftLeft,
        0x74 => Arithmetic::ShiftRight,
        0xa4 => Arithmetic::Xor,
        // BPF_MOD is classic BPF, and none of seccomp's.
        _ => return Err(ProgramFault::Instruction),
    };
    match (arithmetic, operand) {
        (Arithmetic::Divide, Operand::Constant(0)) => Err(ProgramFault::Divisor),
        (Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::Constant(32..)) => {
            Err(ProgramFault::Shift)
        }
        _ => Ok(Operation::Compute(arithmetic, operand)),
    }
}

impl Arithmetic {
    /// Whether the operand 0 ends the program with 0, instead of a result
    /// (`bpf_convert_filter`, net/core/filter.c).
    pub(super) fn ends_at_zero(self) -> bool {
        self == Self::Divide
    }

    /// `a OPERATION b` in 32 bits; `None`: the program ends, with 0.
    pub(super) fn apply(self, a: u32, b: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide => return a.checked_div(b),
            Self::Or => a | b,
            Self::And => a & b,
            // Only the lower five bits of the index register count, as in every JIT.
            Self::ShiftLeft => a.wrapping_shl(b),
            Self::ShiftRight => a.wrapping_shr(b),
            Self::Xor => a ^ b,
        })
    }
}

impl Test {
    /// Whether `a TEST b` holds.
    pub(super) fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::AnyBit => a & b != 0,
        }
    }
}
