//! A program as bytes: an array of `struct sock_filter` (linux/filter.h), the
//! format that bubblewrap reads and libseccomp exports.

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

/// A program with known answers that needs no listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Program,
    answers: Vec<Action>,
}

/// Why bytes are no [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawProgramErrorKind {
    /// There is nothing.
    Empty,
    /// More than [`MAX_BYTES`].
    Long,
    /// Not a whole number of instructions: the number of extra bytes.
    Partial(usize),
    /// The kernel would reject it.
    Program(ProgramFault),
    /// It returns a computed value, so its answers are unknown.
    Computed,
    /// SECCOMP_RET_USER_NOTIF: no process answers it.
    Notify,
    /// SECCOMP_RET_TRACE: no process traces.
    Trace,
    /// SECCOMP_RET_ERRNO with an errno above the kernel's greatest.
    Errno(u16),
    /// A value without a SECCOMP_RET_* action.
    Unknown(u32),
}

/// Parses a program in the byte order of this machine.
///
/// Every return counts, even an unreachable one: a return that is never used can
/// be removed.
///
/// # Errors
/// The first error, with the span of its instruction.
pub fn parse(bytes: &[u8]) -> Result<Filter, Fault<RawProgramErrorKind>> {
    let whole = 0..bytes.len();
    if bytes.is_empty() {
        return Err(Fault::new(whole, RawProgramErrorKind::Empty));
    }
    if bytes.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..bytes.len(),
            RawProgramErrorKind::Long,
        ));
    }
    let (instructions, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        let end = bytes.len() - rest.len()..bytes.len();
        return Err(Fault::new(end, RawProgramErrorKind::Partial(rest.len())));
    }
    let instructions = instructions.iter().copied().map(instruction).collect();
    let program = Program::new(instructions).map_err(|fault| {
        let span = fault.at().map_or(whole, span);
        Fault::new(span, RawProgramErrorKind::Program(fault))
    })?;
    let mut answers = Vec::new();
    for (at, instruction) in program.instructions().iter().enumerate() {
        let answer = match instruction {
            // BPF_RET | BPF_K
            Instruction { code: 0x06, k, .. } => answer(*k),
            // BPF_RET | BPF_A
            Instruction { code: 0x16, .. } => Err(RawProgramErrorKind::Computed),
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

/// SECCOMP_RET_DATA, the data that a return value carries besides its action.
const DATA: u32 = 0xffff;

/// The action of a return value, linux/seccomp.h.
///
/// # Errors
/// The action is not allowed in a [`Filter`].
pub fn answer(value: u32) -> Result<Action, RawProgramErrorKind> {
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
                return Err(RawProgramErrorKind::Errno(errno));
            }
            Ok(Action::Errno(errno))
        }
        0x7fc0_0000 => Err(RawProgramErrorKind::Notify),
        0x7ff0_0000 => Err(RawProgramErrorKind::Trace),
        _ => plain
            .into_iter()
            .find(|plain| return_value(*plain) == action)
            .ok_or(RawProgramErrorKind::Unknown(value)),
    }
}

impl Filter {
    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its possible answers, each once, in the order of its returns.
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

/// An answer in readable form: `ALLOW`, `ERRNO(EPERM)`.
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

impl fmt::Display for RawProgramErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no program: the input is empty"),
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

impl std::error::Error for RawProgramErrorKind {}

#[cfg(test)]
mod tests;
