//! One instruction of classic BPF, and the errors of a program.

use std::fmt;

/// BPF_MAXINSNS: the kernel accepts no longer program.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction: `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// The number of instructions to skip if the comparison holds.
    pub jt: u8,
    /// The number of instructions to skip if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// Why a sequence of instructions is not a valid [`Program`](super::program::Program).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// No instruction, or more than [`MAX_INSTRUCTIONS`].
    Length(usize),
    /// An instruction that seccomp(2) does not accept.
    Instruction(usize),
    /// A load from outside struct seccomp_data, or not of a whole 32-bit word.
    Offset(usize),
    /// A division by the constant 0.
    Divisor(usize),
    /// A shift by a constant of 32 or more.
    Shift(usize),
    /// A cell of scratch memory outside 0 to 15.
    Cell(usize),
    /// A cell of scratch memory is read, and some path to it writes nothing there.
    Unwritten(usize),
    /// A jump leaves the program.
    Jump(usize),
    /// The last instruction is not a return.
    Falls,
}

impl fmt::Display for ProgramFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => {
                write!(
                    f,
                    "a program has 1 to {MAX_INSTRUCTIONS} instructions, this one {length}"
                )
            }
            Self::Instruction(at) => write!(f, "seccomp does not accept instruction {at}"),
            Self::Offset(at) => write!(
                f,
                "instruction {at} loads no 32-bit word of struct seccomp_data: offsets are multiples of 4 up to 60"
            ),
            Self::Divisor(at) => write!(f, "instruction {at} divides by 0"),
            Self::Shift(at) => write!(f, "instruction {at} shifts by more than 31"),
            Self::Cell(at) => write!(
                f,
                "instruction {at} uses a cell of scratch memory outside 0 to 15"
            ),
            Self::Unwritten(at) => write!(
                f,
                "instruction {at} reads a cell of scratch memory that may not have been written"
            ),
            Self::Jump(at) => write!(f, "instruction {at} jumps out of the program"),
            Self::Falls => write!(f, "the last instruction is not a return"),
        }
    }
}

impl std::error::Error for ProgramFault {}
