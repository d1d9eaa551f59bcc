//! A program as bytes: an array of `struct sock_filter` (linux/filter.h), as
//! bubblewrap takes it and libseccomp exports it.

use std::fmt;

use crate::seccomp::compile::{MAX_ERRNO, return_value};
use crate::seccomp::errno;
use crate::seccomp::profile::Action;
use crate::seccomp::program::{Instruction, MAX_INSTRUCTIONS, Program, ProgramFault};
use nsexec_text::Fault;

/// sizeof(struct sock_filter)
const SIZE: usize = 8;
/// The longest program.
pub const MAX_BYTES: usize = MAX_INSTRUCTIONS * SIZE;

/// A program whose answers are known, and need nobody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Program,
    answers: Vec<Action>,
}

/// Why bytes are no [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing.
    Empty,
    /// More than [`MAX_BYTES`].
    Long,
    /// Not a whole number of instructions; so many bytes are left over.
    Partial(usize),
    /// The kernel would not take it.
    Program(ProgramFault),
    /// It answers with what it has computed, so that what it answers is not known.
    Computed,
    /// SECCOMP_RET_USER_NOTIF: no process answers it.
    Notify,
    /// SECCOMP_RET_TRACE: no process traces.
    Trace,
    /// SECCOMP_RET_ERRNO with an errno above the kernel's greatest.
    Errno(u16),
    /// No SECCOMP_RET_* stands for it.
    Unknown(u32),
}

/// Reads a program in the byte order of this machine.
///
/// Every return counts, also one that no way leads to: what is not meant to be
/// answered need not be there.
///
/// # Errors
/// The first thing that is wrong, and the bytes of its instruction.
pub fn parse(bytes: &[u8]) -> Result<Filter, Fault<Reason>> {
    let whole = 0..bytes.len();
    if bytes.is_empty() {
        return Err(Fault::new(whole, Reason::Empty));
    }
    if bytes.len() > MAX_BYTES {
        return Err(Fault::new(MAX_BYTES..bytes.len(), Reason::Long));
    }
    let (instructions, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        let end = bytes.len() - rest.len()..bytes.len();
        return Err(Fault::new(end, Reason::Partial(rest.len())));
    }
    let instructions = instructions.iter().copied().map(instruction).collect();
    let program = Program::new(instructions).map_err(|fault| {
        let span = fault.at().map_or(whole, span);
        Fault::new(span, Reason::Program(fault))
    })?;
    let mut answers = Vec::new();
    for (at, instruction) in program.instructions().iter().enumerate() {
        let answer = match instruction {
            // BPF_RET | BPF_K
            Instruction { code: 0x06, k, .. } => answer(*k),
            // BPF_RET | BPF_A
            Instruction { code: 0x16, .. } => Err(Reason::Computed),
            // BPF_ALU | BPF_DIV | BPF_X: a division by 0 ends the program with 0.
            Instruction { code: 0x3c, .. } => answer(0),
            _ => continue,
        };
        let answer = answer.map_err(|reason| Fault::new(span(at), reason))?;
        if !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    Ok(Filter { program, answers })
}

fn span(at: usize) -> std::ops::Range<usize> {
    at * SIZE..at * SIZE + SIZE
}

fn instruction([c0, c1, jt, jf, k0, k1, k2, k3]: [u8; SIZE]) -> Instruction {
    Instruction {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    }
}

/// SECCOMP_RET_DATA, what a return value carries besides its action.
const DATA: u32 = 0xffff;

/// What a return value stands for, linux/seccomp.h.
///
/// # Errors
/// Why it is none that a [`Filter`] has.
pub fn answer(value: u32) -> Result<Action, Reason> {
    let action = value & !DATA;
    let plain = [
        Action::Allow,
        Action::Log,
        Action::Trap,
        Action::KillThread,
        Action::KillProcess,
    ];
    match action {
        0x0005_0000 => {
            let errno = u16::try_from(value & DATA).unwrap_or(u16::MAX);
            if errno > MAX_ERRNO {
                return Err(Reason::Errno(errno));
            }
            Ok(Action::Errno(errno))
        }
        0x7fc0_0000 => Err(Reason::Notify),
        0x7ff0_0000 => Err(Reason::Trace),
        _ => plain
            .into_iter()
            .find(|plain| return_value(*plain) == action)
            .ok_or(Reason::Unknown(value)),
    }
}

impl Filter {
    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What it can answer, each once, in the order of its returns.
    #[must_use]
    pub fn answers(&self) -> &[Action] {
        &self.answers
    }

    /// The program, to be loaded.
    #[must_use]
    pub fn into_program(self) -> Program {
        self.program
    }

    /// The bytes that [`parse`] reads as this.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.program.instructions().len() * SIZE);
        for Instruction { code, jt, jf, k } in self.program.instructions() {
            bytes.extend(code.to_ne_bytes());
            bytes.extend([*jt, *jf]);
            bytes.extend(k.to_ne_bytes());
        }
        bytes
    }
}

/// An answer for people and reports: `ALLOW`, `ERRNO(EPERM)`.
#[must_use]
pub fn name(action: Action) -> String {
    match action {
        Action::Allow => "ALLOW".to_owned(),
        Action::Log => "LOG".to_owned(),
        Action::Errno(number) => match errno::name(number.into()) {
            Some(name) => format!("ERRNO({name})"),
            None => format!("ERRNO({number})"),
        },
        Action::Trap => "TRAP".to_owned(),
        Action::KillThread => "KILL_THREAD".to_owned(),
        Action::KillProcess => "KILL_PROCESS".to_owned(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no program: nothing was to be read"),
            Self::Long => write!(
                f,
                "a program has at most {MAX_INSTRUCTIONS} instructions of {SIZE} bytes"
            ),
            Self::Partial(left) => write!(
                f,
                "instructions have {SIZE} bytes each, and {left} are left over"
            ),
            Self::Program(fault) => fault.fmt(f),
            Self::Computed => f.write_str(
                "a return of the accumulator, whose answers are not known; return constants",
            ),
            Self::Notify => f.write_str(
                "a return of SECCOMP_RET_USER_NOTIF, which no process answers; return an errno",
            ),
            Self::Trace => f.write_str(
                "a return of SECCOMP_RET_TRACE, which no process traces; return an errno",
            ),
            Self::Errno(errno) => {
                write!(f, "a return of errno {errno}; the greatest is {MAX_ERRNO}")
            }
            Self::Unknown(value) => write!(
                f,
                "a return of {value:#010x}, which is no SECCOMP_RET_* (linux/seccomp.h)"
            ),
        }
    }
}

impl std::error::Error for Reason {}

#[cfg(test)]
mod tests;
