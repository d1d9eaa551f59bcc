//! The running kernel as an oracle. No call is executed: see `c/kernel.c`.

use std::io;

use nsexec_policy_engine::seccomp::profile::Action;
use nsexec_policy_engine::seccomp::program::Program;

use crate::tool::{Tool, written};

/// Calls that cannot be tested in the kernel: the oracle's own filter allows the
/// first three, and the kernel runs no filter for the others, which only its own
/// trampolines make (kernel/seccomp.c, `seccomp_uprobe_exception`).
pub const NOT_REQUESTED: [&str; 5] = ["seccomp", "write", "exit_group", "uretprobe", "uprobe"];

/// The observed action of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The filter would let the call through: ALLOW or LOG.
    Through,
    /// The call fails with this errno.
    Errno(u16),
    /// SIGSYS, which the process handles.
    Trapped,
    /// SIGSYS, which ends the process.
    Killed,
}

impl Seen {
    /// The observation that an action must produce.
    #[must_use]
    pub fn of(action: Action) -> Self {
        match action {
            Action::Allow | Action::Log => Self::Through,
            Action::Errno(errno) => Self::Errno(errno),
            Action::Trap => Self::Trapped,
            Action::KillThread | Action::KillProcess => Self::Killed,
        }
    }

    fn from_answer(answer: i32) -> io::Result<Self> {
        match answer {
            // The errno of the filter beneath, which executes nothing.
            4095 => Ok(Self::Through),
            10_000 => Ok(Self::Trapped),
            10_001 => Ok(Self::Killed),
            errno => u16::try_from(errno)
                .map(Self::Errno)
                .map_err(|_| io::Error::other(format!("the answer {errno}"))),
        }
    }
}

/// The oracle.
#[derive(Debug)]
pub struct Kernel(Tool);

impl Kernel {
    /// Builds it.
    ///
    /// # Errors
    /// As [`Tool::build`].
    pub fn new() -> io::Result<Self> {
        Tool::build("kernel", &[]).map(Self)
    }

    /// The kernel's answers to each of `calls` under `program`.
    ///
    /// # Errors
    /// A call got an unknown answer.
    pub fn answers(&self, program: &Program, calls: &[(u32, [u64; 6])]) -> io::Result<Vec<Seen>> {
        self.answers_of(0, program, calls)
    }

    /// The same of i386's calls, made by int $0x80.
    ///
    /// # Errors
    /// As [`Self::answers`]; or this kernel has none.
    pub fn answers_i386(
        &self,
        program: &Program,
        calls: &[(u32, [u64; 6])],
    ) -> io::Result<Vec<Seen>> {
        self.answers_of(1 << 32, program, calls)
    }

    fn answers_of(
        &self,
        table: u64,
        program: &Program,
        calls: &[(u32, [u64; 6])],
    ) -> io::Result<Vec<Seen>> {
        let mut input = written(program)?;
        for (number, arguments) in calls {
            input.extend((table | u64::from(*number)).to_ne_bytes());
            for argument in arguments {
                input.extend(argument.to_ne_bytes());
            }
        }
        let output = self.0.run(&input)?;
        let (answers, rest) = output.as_chunks::<4>();
        if answers.len() != calls.len() || !rest.is_empty() {
            return Err(io::Error::other(format!(
                "{} answers to {} calls",
                answers.len(),
                calls.len()
            )));
        }
        answers
            .iter()
            .map(|answer| Seen::from_answer(i32::from_ne_bytes(*answer)))
            .collect()
    }
}
