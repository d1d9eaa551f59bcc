//! A classic BPF program that the kernel's seccomp would take.

use std::fmt;

use serde::{Deserialize, Serialize};

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
/// knows, every jump inside, every path ending in a return.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u8, u8, u32)>", into = "Vec<(u16, u8, u8, u32)>")]
pub struct Program(Vec<Instruction>);

/// Why a sequence of instructions is no [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// No instruction, or more than [`MAX_INSTRUCTIONS`].
    Length(usize),
    /// An instruction that seccomp(2) does not take, or with a bad operand.
    Instruction(usize),
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

/// The check of the kernel's `seccomp_check_filter` and `bpf_check_classic`
/// (kernel/seccomp.c, net/core/filter.c), done here so that a program from a
/// less privileged process is never merely trusted.
fn validate(instructions: &[Instruction]) -> Result<(), ProgramFault> {
    let length = instructions.len();
    if length == 0 || length > MAX_INSTRUCTIONS {
        return Err(ProgramFault::Length(length));
    }
    for (index, instruction) in instructions.iter().enumerate() {
        let left = length - index - 1;
        match instruction.code {
            // BPF_LD | BPF_W | BPF_ABS: a 32-bit word of struct seccomp_data.
            0x20 if instruction.k < 64 && instruction.k % 4 == 0 => {}
            // BPF_ALU | BPF_AND | BPF_K and BPF_LD | BPF_IMM, BPF_MISC: TAX, TXA.
            0x54 | 0x00 | 0x07 | 0x87 => {}
            // BPF_RET | BPF_K and BPF_RET | BPF_A.
            0x06 | 0x16 => {}
            // BPF_JMP | BPF_JA.
            0x05 => {
                if usize::try_from(instruction.k).map_or(true, |jump| jump >= left) {
                    return Err(ProgramFault::Jump(index));
                }
            }
            // BPF_JMP | {JEQ, JGT, JGE, JSET} | {K, X}.
            0x15 | 0x25 | 0x35 | 0x45 | 0x1d | 0x2d | 0x3d | 0x4d => {
                let farthest = usize::from(instruction.jt.max(instruction.jf));
                if farthest >= left {
                    return Err(ProgramFault::Jump(index));
                }
            }
            _ => return Err(ProgramFault::Instruction(index)),
        }
    }
    match instructions.last() {
        Some(Instruction {
            code: 0x06 | 0x16, ..
        }) => Ok(()),
        _ => Err(ProgramFault::Falls),
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
            Self::Jump(at) => write!(f, "instruction {at} jumps out of the program"),
            Self::Falls => write!(f, "the last instruction is no return"),
        }
    }
}

impl std::error::Error for ProgramFault {}
