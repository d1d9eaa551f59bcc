//! A classic BPF program that the kernel's seccomp accepts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::seccomp::operation::Operation;

pub use super::instruction::{Instruction, MAX_INSTRUCTIONS, ProgramFault};

/// A valid program: 1 to [`MAX_INSTRUCTIONS`] instructions that seccomp(2)
/// accepts, in which every jump stays inside, every path ends in a return, and
/// no cell of scratch memory is read before it is written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u8, u8, u32)>", into = "Vec<(u16, u8, u8, u32)>")]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Checks the instructions.
    ///
    /// # Errors
    /// The first error, with the index of the instruction.
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
    let mut written = InitializedCells::new(length);
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

/// The cells of scratch memory that are written on every path to an instruction,
/// one bit each. As in the kernel, the instruction after a return counts as
/// reached with the cells written before it.
struct InitializedCells {
    now: u16,
    /// By jumps to each instruction.
    jumps: Vec<u16>,
}

impl InitializedCells {
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
    /// The index of the invalid instruction; `None` if the error concerns the
    /// whole.
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

#[cfg(any(test, feature = "samples"))]
pub mod samples;

#[cfg(test)]
mod tests;
