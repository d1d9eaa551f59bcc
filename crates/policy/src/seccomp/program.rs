//! A classic BPF program that the kernel's seccomp would take.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::seccomp::operation::Operation;

/// BPF_MAXINSNS: the kernel takes no longer program.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction: `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// How many instructions to skip when the comparison holds.
    pub jt: u8,
    /// How many instructions to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A valid program: 1 to [`MAX_INSTRUCTIONS`] instructions that seccomp(2)
/// takes, every jump inside, every path ending in a return, and no cell of
/// scratch memory read that was not written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u8, u8, u32)>", into = "Vec<(u16, u8, u8, u32)>")]
pub struct Program(Vec<Instruction>);

/// Why a sequence of instructions is no [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// No instruction, or more than [`MAX_INSTRUCTIONS`].
    Length(usize),
    /// An instruction that seccomp(2) does not take.
    Instruction(usize),
    /// A load from outside struct seccomp_data, or not of a whole 32-bit word.
    Offset(usize),
    /// A division by the constant 0.
    Divisor(usize),
    /// A shift by a constant of 32 or more.
    Shift(usize),
    /// A cell of scratch memory that there is not: they are 0 to 15.
    Cell(usize),
    /// A cell of scratch memory is read that nothing was written to on some way.
    Unwritten(usize),
    /// A jump leaves the program.
    Jump(usize),
    /// The last instruction is no return.
    Falls,
}

impl Program {
    /// The program, when it is one.
    ///
    /// # Errors
    /// What is wrong with it, by the index of the instruction.
    pub fn new(instructions: Vec<Instruction>) -> Result<Self, ProgramFault> {
        validate(&instructions)?;
        Ok(Self(instructions))
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

/// The checks of the kernel's `bpf_check_classic`, `check_load_and_stores` and
/// `seccomp_check_filter` (net/core/filter.c, kernel/seccomp.c), done here so that
/// a program from elsewhere is never merely trusted.
fn validate(instructions: &[Instruction]) -> Result<(), ProgramFault> {
    let length = instructions.len();
    if length == 0 || length > MAX_INSTRUCTIONS {
        return Err(ProgramFault::Length(length));
    }
    let mut written = Written::new(length);
    for (at, instruction) in instructions.iter().enumerate() {
        let inside = |skip: usize| match skip < length - at - 1 {
            true => Ok(at + 1 + skip),
            false => Err(ProgramFault::Jump(at)),
        };
        written.arrive(at);
        match Operation::of(*instruction).map_err(|wrong| wrong(at))? {
            Operation::Store(_, cell) => written.now |= 1 << cell,
            Operation::Recall(_, cell) if written.now & 1 << cell == 0 => {
                return Err(ProgramFault::Unwritten(at));
            }
            Operation::Jump(skip) => written.leave([inside(skip)?]),
            Operation::Branch(_, _, [yes, no]) => {
                written.leave([inside(yes.into())?, inside(no.into())?]);
            }
            _ => {}
        }
    }
    match instructions.last().map(|last| Operation::of(*last)) {
        Some(Ok(Operation::Return(_) | Operation::ReturnAccumulator)) => Ok(()),
        _ => Err(ProgramFault::Falls),
    }
}

/// Which cells of scratch memory were written on every way to an instruction, a
/// bit each, as the kernel keeps them: what follows a return counts as reached
/// with what was written before it.
struct Written {
    now: u16,
    /// By jumps to each instruction.
    jumps: Vec<u16>,
}

impl Written {
    fn new(length: usize) -> Self {
        Self {
            now: 0,
            jumps: vec![u16::MAX; length],
        }
    }

    fn arrive(&mut self, at: usize) {
        self.now &= self.jumps.get(at).copied().unwrap_or(0);
    }

    fn leave<const N: usize>(&mut self, targets: [usize; N]) {
        for target in targets {
            if let Some(jump) = self.jumps.get_mut(target) {
                *jump &= self.now;
            }
        }
        // The next instruction is reached by jumps only.
        self.now = u16::MAX;
    }
}

impl ProgramFault {
    /// The index of the instruction that is wrong; `None`: the whole is.
    #[must_use]
    pub fn at(self) -> Option<usize> {
        match self {
            Self::Length(_) | Self::Falls => None,
            Self::Instruction(at)
            | Self::Offset(at)
            | Self::Divisor(at)
            | Self::Shift(at)
            | Self::Cell(at)
            | Self::Unwritten(at)
            | Self::Jump(at) => Some(at),
        }
    }
}

impl TryFrom<Vec<(u16, u8, u8, u32)>> for Program {
    type Error = ProgramFault;

    fn try_from(tuples: Vec<(u16, u8, u8, u32)>) -> Result<Self, ProgramFault> {
        let instruction = |(code, jt, jf, k)| Instruction { code, jt, jf, k };
        Self::new(tuples.into_iter().map(instruction).collect())
    }
}

impl From<Program> for Vec<(u16, u8, u8, u32)> {
    fn from(program: Program) -> Self {
        program
            .0
            .iter()
            .map(|i| (i.code, i.jt, i.jf, i.k))
            .collect()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} instructions)", self.0.len())
    }
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
            Self::Instruction(at) => write!(f, "instruction {at} is none that seccomp takes"),
            Self::Offset(at) => write!(
                f,
                "instruction {at} loads no 32-bit word of struct seccomp_data: offsets are multiples of 4 up to 60"
            ),
            Self::Divisor(at) => write!(f, "instruction {at} divides by 0"),
            Self::Shift(at) => write!(f, "instruction {at} shifts by more than 31"),
            Self::Cell(at) => write!(
                f,
                "instruction {at} names a cell of scratch memory that is not there: they are 0 to 15"
            ),
            Self::Unwritten(at) => write!(
                f,
                "instruction {at} reads a cell of scratch memory that may not have been written"
            ),
            Self::Jump(at) => write!(f, "instruction {at} jumps out of the program"),
            Self::Falls => write!(f, "the last instruction is no return"),
        }
    }
}

impl std::error::Error for ProgramFault {}

#[cfg(any(test, feature = "samples"))]
pub mod samples;

#[cfg(test)]
mod tests;
