//! Classic BPF with labels.
//!
//! BPF only jumps forward, so a program is assembled from its end: the target of
//! each jump already exists, and its distance is known.

use crate::seccomp::program::Instruction;

/// BPF_LD | BPF_W | BPF_ABS
const LOAD_WORD: u16 = 0x20;
/// BPF_JMP | BPF_JA
const JUMP: u16 = 0x05;
/// BPF_RET | BPF_K
const RETURN: u16 = 0x06;

/// How two values are compared: BPF_JMP | BPF_K and the operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    /// BPF_JEQ
    Equal,
    /// BPF_JGE
    GreaterOrEqual,
}

impl Test {
    fn code(self) -> u16 {
        match self {
            Self::Equal => 0x15,
            Self::GreaterOrEqual => 0x35,
        }
    }
}

/// A label: the number of instructions from there to the end of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that grows at its front.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
}

impl Assembler {
    /// The instruction added last, which is the first so far.
    pub(super) fn here(&self) -> Label {
        Label(self.reversed.len())
    }

    /// `return value`
    pub(super) fn ret(&mut self, value: u32) -> Label {
        self.push(RETURN, 0, 0, value)
    }

    /// `accumulator = the 32-bit word of seccomp_data at this offset`
    pub(super) fn load(&mut self, offset: u32) -> Label {
        self.push(LOAD_WORD, 0, 0, offset)
    }

    /// `if accumulator TEST value { goto yes } else { goto no }`
    pub(super) fn branch(&mut self, test: Test, value: u32, yes: Label, no: Label) -> Label {
        let (mut yes, mut no) = (yes, no);
        loop {
            match (self.short(yes), self.short(no)) {
                (Some(jt), Some(jf)) => return self.push(test.code(), jt, jf, value),
                // A branch reaches 255 instructions, so it goes to a jump right
                // behind it.
                (None, _) => yes = self.jump(yes),
                (_, None) => no = self.jump(no),
            }
        }
    }

    /// Continues at `target`.
    pub(super) fn go(&mut self, target: Label) -> Label {
        if target == self.here() {
            target
        } else {
            self.jump(target)
        }
    }

    /// Adds finished code in front; execution may continue past its end.
    pub(super) fn splice(&mut self, code: impl DoubleEndedIterator<Item = Instruction>) {
        self.reversed.extend(code.rev());
    }

    /// The instructions, in order.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn jump(&mut self, target: Label) -> Label {
        // Programs of more than 4096 instructions are errors, so this cannot truncate.
        let distance = u32::try_from(self.distance(target)).unwrap_or(u32::MAX);
        self.push(JUMP, 0, 0, distance)
    }

    fn short(&self, target: Label) -> Option<u8> {
        u8::try_from(self.distance(target)).ok()
    }

    /// The distance from the instruction added next to the target.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len().saturating_sub(target.0)
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        self.here()
    }
}
