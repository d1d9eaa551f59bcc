//! Tests millions of tuples, in rounds, on every core.
//!
//! A round has a seed, and the seed alone decides its tuples: one profile, most
//! often a random one, and calls. So the seed of a round reproduces its
//! mismatch.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nsexec_policy_engine::seccomp::profile::Rule;
use nsexec_policy_engine::seccomp::table::Arch;

use crate::libseccomp::Libseccomp;
use crate::profiles;
use crate::random::Random;
use crate::sweep::{Count, Mismatch, Subject};

/// The number of tuples per round and profile. A larger number covers fewer
/// profiles; with a smaller one, most of the time goes into compiling.
pub const ROUND: u64 = 10_000;
/// One round in this many tests a profile that is in use.
const KNOWN_ONE_IN: usize = 8;
/// One round in this many tests 32-bit programs.
const SMALL_ONE_IN: usize = 4;
/// The interval of progress reports.
const TICK: Duration = Duration::from_millis(100);

/// The counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// The number of comparisons per oracle.
    pub count: Count,
    /// The number of profiles, each counted once.
    pub profiles: u64,
}

impl Total {
    fn and(self, other: Self) -> Self {
        Self {
            count: self.count.and(other.count),
            profiles: self.profiles + other.profiles,
        }
    }
}

/// Oracles that disagree, or one that could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    what: String,
    profile: String,
    /// The seed of the round, if a round found it.
    seed: Option<u64>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\nprofile: {}", self.what, self.profile)?;
        let seed = self.seed.unwrap_or_default();
        write!(f, "again: cargo xtask oracle --tuples 1 --seed {seed}")
    }
}

/// A profile that people use.
#[derive(Debug)]
struct Known {
    name: String,
    subject: Subject,
}

/// The inputs of all rounds.
#[derive(Debug)]
pub struct Rounds {
    known: Vec<Known>,
    libseccomp: Option<Libseccomp>,
}

impl Rounds {
    /// Prepares the profiles of these files, for both architectures, with and
    /// without 32-bit programs, with no and with all capabilities.
    ///
    /// # Errors
    /// A file is not a profile, or an oracle cannot be built for it.
    pub fn new(files: &[PathBuf], libseccomp: Option<Libseccomp>) -> Result<Self, String> {
        let mut known = Vec::new();
        for file in files {
            for arch in Arch::ALL {
                let bounding = ["without capabilities", "with all capabilities"];
                let profiles = profiles::read_both(file, arch)?;
                for ((profile, small), bounding) in profiles.iter().zip(bounding) {
                    let name = format!("{} on {arch} {bounding}", file.display());
                    let wrong = |error| format!("{name}: {error}");
                    let with = libseccomp.as_ref();
                    let subject = Subject::new(profile, arch, with).map_err(wrong)?;
                    let [beside, small] =
                        Subject::both(profile, small, arch, with).map_err(wrong)?;
                    for (subject, programs) in [
                        (subject, ""),
                        (beside, ", with 32-bit programs"),
                        (small, ", 32-bit programs"),
                    ] {
                        let name = format!("{name}{programs}");
                        known.push(Known { name, subject });
                    }
                }
            }
        }
        Ok(Self { known, libseccomp })
    }

    /// Tests each known profile at its boundaries, and then in rounds from
    /// `seed` on, at least one, until `tuples` are tested. Calls `watch` with
    /// the count about ten times a second.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn ask(&self, tuples: u64, seed: u64, mut watch: impl FnMut(u64)) -> Result<Total, Found> {
        let mut total = self.boundaries()?;
        let left = tuples.saturating_sub(total.count.tuples);
        let rounds = left.div_ceil(ROUND).max(1);
        let options = AtomicU64::new(total.count.tuples);
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let work = || {
            let mut total = Total::default();
            while !stop.load(Ordering::Relaxed) {
                let round = next.fetch_add(1, Ordering::Relaxed);
                if round >= rounds {
                    break;
                }
                let answered = self.round(seed.wrapping_add(round));
                let answered = answered.inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                options.fetch_add(answered.count.tuples, Ordering::Relaxed);
                total = total.and(answered);
            }
            Ok(total)
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        #[expect(
            clippy::disallowed_methods,
            reason = "the oracles join no namespace, and none of this is in the helper"
        )]
        thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                thread::sleep(TICK);
                watch(options.load(Ordering::Relaxed));
            }
            for worker in workers {
                let answered = worker.join().unwrap_or_else(|_| {
                    Err(Found {
                        what: "a worker panicked".to_owned(),
                        profile: "not known".to_owned(),
                        seed: Some(seed),
                    })
                });
                total = total.and(answered?);
            }
            Ok(total)
        })
    }

    fn boundaries(&self) -> Result<Total, Found> {
        let mut total = Total::default();
        for known in &self.known {
            let count = known
                .subject
                .ask_boundaries()
                .map_err(|mismatch| known.found(&mismatch, None))?;
            total = total.and(Total { count, profiles: 1 });
        }
        Ok(total)
    }

    fn round(&self, seed: u64) -> Result<Total, Found> {
        let mut random = Random::new(seed);
        if random.below(KNOWN_ONE_IN) == 0
            && let Some(known) = random.of(&self.known)
        {
            let options = known.subject.ask_randomly(ROUND, &mut random);
            let count = options.map_err(|mismatch| known.found(&mismatch, Some(seed)))?;
            return Ok(Total { count, profiles: 0 });
        }
        let arch = random.of(&Arch::ALL).copied().unwrap_or(Arch::X86_64);
        let beside = random.profile(arch);
        let small = arch.of_32_bit();
        let small = small.filter(|_| random.below(SMALL_ONE_IN) == 0);
        let (profile, of) = match small {
            Some(small) => (random.profile(small), small),
            None => (beside.clone(), arch),
        };
        let found = |what: String, rules: &[&Rule]| Found {
            what,
            profile: format!(
                "by chance, on {of}, default {:?}, newest call {}, {} rules; of this call {rules:?}",
                profile.default,
                profile.newest,
                profile.rules.len()
            ),
            seed: Some(seed),
        };
        let with = self.libseccomp.as_ref();
        let subject = match small {
            Some(_) => Subject::both(&beside, &profile, arch, with).map(|[_, small]| small),
            None => Subject::new(&profile, arch, with),
        };
        let subject = subject.map_err(|error| found(error, &[]))?;
        let mut ask = || {
            let count = subject.ask_boundaries()?;
            let left = ROUND.saturating_sub(count.tuples);
            Ok(count.and(subject.ask_randomly(left, &mut random)?))
        };
        let count = ask().map_err(|mismatch: Mismatch| {
            let rules = profile.rules.iter();
            let of_call: Vec<&Rule> = rules
                .filter(|rule| rule.syscall == mismatch.call.number)
                .collect();
            found(mismatch.to_string(), &of_call)
        })?;
        Ok(Total { count, profiles: 1 })
    }
}

impl Known {
    fn found(&self, mismatch: &Mismatch, seed: Option<u64>) -> Found {
        Found {
            what: mismatch.to_string(),
            profile: self.name.clone(),
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use nsexec_policy_engine::seccomp::compile::compile;
    use nsexec_policy_engine::seccomp::program::Program;

    use super::*;

    fn rounds() -> Rounds {
        Rounds::new(&profiles::shipped(), None).unwrap()
    }

    #[test]
    fn a_seed_decides_the_tuples() {
        let rounds = rounds();
        let ask = |tuples, seed| rounds.ask(tuples, seed, |_| ()).unwrap();
        let one = ask(1, 7);
        assert_eq!(one, ask(1, 7));
        assert_eq!(one.count.libseccomp, 0);
        let boundaries = rounds.boundaries().unwrap();
        let (options, least) = (one.count.tuples, boundaries.count.tuples);
        assert!(
            (least + ROUND..least + 2 * ROUND).contains(&options),
            "{options}"
        );
        assert!(one.count.stacked > boundaries.count.stacked);
        // The result does not depend on the assignment of rounds to workers.
        let six = ask(least + 6 * ROUND, 7);
        let sum = (7..13).map(|seed| rounds.round(seed).unwrap());
        assert_eq!(six, sum.fold(boundaries, Total::and));
        assert_ne!(six, ask(least + 6 * ROUND, 8));
        assert!(six.profiles > boundaries.profiles);
    }

    /// A program whose last return is changed to ALLOW is found, in the same
    /// round each time.
    #[test]
    fn a_seed_reproduces_a_mismatch() {
        let mut rounds = rounds();
        let arch = Arch::X86_64;
        let file = profiles::shipped().remove(0);
        let profile = profiles::read(&file, arch).unwrap().remove(0);
        let program = compile(&profile, arch).unwrap();
        let mut instructions = program.instructions().to_vec();
        for instruction in &mut instructions {
            if instruction.code == 6 && instruction.k != 0x7fff_0000 {
                instruction.k = 0x7fff_0000;
            }
        }
        let mutant = Program::new(instructions).unwrap();
        let subject = Subject::of_program(&profile, arch, mutant, None).unwrap();
        rounds.known = vec![Known {
            name: "mutant".to_owned(),
            subject,
        }];
        let found = rounds.ask(1, 7, |_| ()).unwrap_err().to_string();
        let again = "\nprofile: mutant\nagain: cargo xtask oracle --tuples 1 --seed 0";
        assert!(
            found.contains("the program answers") && found.ends_with(again),
            "{found}"
        );

        let by_seed = |seed| rounds.round(seed).err();
        let (seed, found) = (0..)
            .find_map(|seed| by_seed(seed).map(|found| (seed, found)))
            .unwrap();
        assert_eq!((found.seed, by_seed(seed)), (Some(seed), Some(found)));
    }
}
