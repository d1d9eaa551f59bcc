//! Compares all oracles that need no process on calls, and counts.

use std::collections::HashMap;
use std::fmt;

use nsexec_policy_engine::seccomp::boundary;
use nsexec_policy_engine::seccomp::compile::{compile, compile_with_32_bit, return_value};
use nsexec_policy_engine::seccomp::interpret::{Call, run};
use nsexec_policy_engine::seccomp::profile::Profile;
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;

use crate::libseccomp::{self, Libseccomp, Search};
use crate::random::Random;
use crate::stacked::Stacked;

/// The number of comparisons per oracle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tuples of architecture, number and arguments: the evaluator and the
    /// interpreter answered each.
    pub tuples: u64,
    /// How many of them are calls of 32-bit programs.
    pub of_32_bit: u64,
    /// Comparisons with seccompiler's filters.
    pub stacked: u64,
    /// Comparisons with libseccomp's filter.
    pub libseccomp: u64,
}

impl Count {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            tuples: self.tuples + other.tuples,
            of_32_bit: self.of_32_bit + other.of_32_bit,
            stacked: self.stacked + other.stacked,
            libseccomp: self.libseccomp + other.libseccomp,
        }
    }
}

/// Two oracles that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The oracle that differs from the evaluator.
    pub oracle: &'static str,
    /// The call.
    pub call: Call,
    /// The evaluator's answer, SECCOMP_RET_*.
    pub meant: u32,
    /// The other's.
    pub answered: Option<u32>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call {
            number,
            arch,
            arguments,
            ..
        } = self.call;
        write!(
            f,
            "call {number} of {arch:#x} with {arguments:x?}: expected {:#x}, {} answers {:x?}",
            self.meant, self.oracle, self.answered
        )
    }
}

/// A profile and all oracles for it.
#[derive(Debug)]
pub struct Subject {
    arch: Arch,
    program: Program,
    stacked: Option<Stacked>,
    libseccomp: Option<libseccomp::Filter>,
    /// The rules of each call alone: other rules of the profile do not affect
    /// it.
    calls: HashMap<u32, Profile>,
    /// The arguments to test.
    pools: Vec<(u32, Vec<[u64; 6]>)>,
    ambiguous: Vec<u32>,
    none: Profile,
}

impl Subject {
    /// Builds them all.
    ///
    /// # Errors
    /// One of them cannot be built.
    pub fn new(profile: &Profile, arch: Arch, with: Option<&Libseccomp>) -> Result<Self, String> {
        let program = compile(profile, arch).map_err(|fault| fault.to_string())?;
        Self::of_program(profile, arch, program, with)
    }

    /// Builds them for a profile and the profile of the 32-bit programs, which are one
    /// program: the native subject, and the other.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn both(
        profile: &Profile,
        small: &Profile,
        arch: Arch,
        with: Option<&Libseccomp>,
    ) -> Result<[Self; 2], String> {
        let compat_arch = arch.of_32_bit().ok_or("it is 32-bit itself")?;
        let program = compile_with_32_bit(profile, arch, Some(small));
        let program = program.map_err(|fault| fault.to_string())?;
        Ok([
            Self::of_program(profile, arch, program.clone(), with)?,
            Self::of_program(small, compat_arch, program, with)?,
        ])
    }

    /// The same with another program instead of the compiled one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_program(
        profile: &Profile,
        arch: Arch,
        program: Program,
        with: Option<&Libseccomp>,
    ) -> Result<Self, String> {
        let of_call = |number: u32| Profile {
            rules: profile
                .rules
                .iter()
                .filter(|rule| rule.syscall == number)
                .cloned()
                .collect(),
            ..profile.clone()
        };
        let none = Profile {
            rules: Vec::new(),
            ..profile.clone()
        };
        let mut named: Vec<u32> = profile.rules.iter().map(|rule| rule.syscall).collect();
        named.sort_unstable();
        named.dedup();
        let asks = Arch::native() == Some(arch) || arch.of_32_bit().is_none();
        let libseccomp = with.filter(|_| asks && libseccomp::takes_default(profile.default));
        Ok(Self {
            arch,
            program,
            // seccompiler rejects a filter without rules.
            stacked: Stacked::build(profile, arch).ok(),
            libseccomp: libseccomp
                .map(|builder| builder.build(profile, arch, Search::Chain))
                .transpose()
                .map_err(|error| error.to_string())?,
            calls: named
                .iter()
                .map(|number| (*number, of_call(*number)))
                .collect(),
            pools: named
                .iter()
                .map(|number| (*number, boundary::arguments(profile, *number)))
                .collect(),
            ambiguous: named
                .iter()
                .copied()
                .filter(|number| Stacked::is_ambiguous(profile, *number))
                .collect(),
            none,
        })
    }

    /// Compares one call.
    ///
    /// # Errors
    /// Two oracles disagree.
    pub fn ask(&self, number: u32, arguments: [u64; 6], count: &mut Count) -> Result<(), Mismatch> {
        let call = Call {
            number,
            arch: self.arch.audit(),
            instruction_pointer: 0x7f00_1234_5678,
            arguments,
        };
        let profile = self.calls.get(&number).unwrap_or(&self.none);
        let meant = return_value(profile.evaluate(self.arch, number, arguments));
        let mismatch = |oracle, answered| {
            Err(Mismatch {
                oracle,
                call,
                meant,
                answered,
            })
        };
        count.tuples += 1;
        count.of_32_bit += u64::from(self.arch.of_32_bit().is_none());
        let answered = run(&self.program, &call);
        if answered != Some(meant) {
            return mismatch("the program", answered);
        }
        let known = self.arch.name(number).is_some();
        if let Some(stacked) = self.stacked.as_ref().filter(|_| known) {
            count.stacked += 1;
            let answered = stacked.answer(&call);
            let equal = if self.ambiguous.contains(&number) {
                // Any errno.
                answered.map(|value| value >> 16) == Some(meant >> 16)
            } else {
                answered == Some(meant)
            };
            if !equal {
                return mismatch("seccompiler", answered);
            }
        }
        let answered = self
            .libseccomp
            .as_ref()
            .and_then(|filter| filter.answer(&call));
        if let Some(answered) = answered {
            count.libseccomp += 1;
            if answered != meant {
                return mismatch("libseccomp", Some(answered));
            }
        }
        Ok(())
    }

    /// Compares every number with every combination of boundary arguments.
    ///
    /// # Errors
    /// Two oracles disagree.
    pub fn ask_boundaries(&self) -> Result<Count, Mismatch> {
        let mut count = Count::default();
        let plain = [[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]];
        for number in boundary::numbers(self.arch) {
            let pool = self.pools.iter().find(|(of, _)| *of == number);
            let sets = pool.map_or(plain.as_slice(), |(_, sets)| sets);
            for arguments in sets {
                self.ask(number, *arguments, &mut count)?;
            }
        }
        Ok(count)
    }

    /// Compares `tuples` random calls: mostly calls with rules, with some
    /// arguments at a boundary.
    ///
    /// # Errors
    /// Two oracles disagree.
    pub fn ask_randomly(&self, tuples: u64, random: &mut Random) -> Result<Count, Mismatch> {
        let mut count = Count::default();
        let conditional: Vec<&(u32, Vec<[u64; 6]>)> = self
            .pools
            .iter()
            .filter(|(_, sets)| sets.len() > 3)
            .collect();
        for _ in 0..tuples {
            let pool = match random.below(4) {
                0 => None,
                1 => random.of(&self.pools),
                _ => random.of(&conditional).copied(),
            };
            let (number, mut arguments) = match pool {
                Some((number, sets)) => (*number, random.of(sets).copied().unwrap_or_default()),
                None => {
                    let wild = random.bits();
                    let number = u32::try_from(wild >> 32).unwrap_or(0);
                    (if wild & 7 == 0 { number } else { number % 600 }, [0; 6])
                }
            };
            for argument in &mut arguments {
                if random.below(6) == 0 {
                    *argument = random.value();
                }
            }
            self.ask(number, arguments, &mut count)?;
        }
        Ok(count)
    }
}
