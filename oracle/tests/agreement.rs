//! All oracles agree, and a program with one wrong comparison is found.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;

use nsexec_policy_engine::seccomp::boundary::disagreement;
use nsexec_policy_engine::seccomp::compile::{compile, compile_with_32_bit};
use nsexec_policy_engine::seccomp::profile::{Action, Profile};
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;
use oracle::kernel::{Kernel, NOT_REQUESTED, Seen};
use oracle::libseccomp::{HEADER, Libseccomp, Search};
use oracle::profiles::{CONTAINERS, read, read_both, shipped};
use oracle::random::Random;
use oracle::stacked::Stacked;
use oracle::sweep::{Count, Subject};

/// A tenth of a per cent of the tuples of `cargo xtask oracle`.
const TUPLES: u64 = 100_000;
const SEED: u64 = 20_150_408;

/// libseccomp's builder. If its header is missing, `test` is counted as skipped,
/// in the file that the test runner reads.
fn libseccomp(test: &str) -> Option<Libseccomp> {
    is_there(HEADER, test).then(|| Libseccomp::new().unwrap())
}

fn is_there(file: &str, test: &str) -> bool {
    let there = Path::new(file).exists();
    if !there {
        nsexec_test_support::leave_out(test, &format!("there is no {file}"));
    }
    there
}

fn shipped_profiles(arch: Arch) -> Vec<Profile> {
    let files = shipped();
    let read = |file: &std::path::PathBuf| read(file, arch).unwrap();
    files.iter().flat_map(read).collect()
}

#[test]
fn the_shipped_profiles_give_equal_results_at_every_boundary() {
    let Some(libseccomp) = libseccomp("the_shipped_profiles_give_equal_results_at_every_boundary")
    else {
        return;
    };
    let mut total = Count::default();
    for arch in Arch::ALL {
        for profile in shipped_profiles(arch) {
            let subject = Subject::new(&profile, arch, Some(&libseccomp)).unwrap();
            total = total.and(
                subject
                    .ask_boundaries()
                    .unwrap_or_else(|mismatch| panic!("{mismatch}")),
            );
        }
    }
    println!("{total:?}");
    assert!(
        total.tuples > 30_000 && total.stacked > 20_000 && total.libseccomp > 10_000,
        "{total:?}"
    );
}

/// With the profile of the 32-bit programs of `arch`, as if each file listed them.
fn shipped_with_32_bit(arch: Arch) -> Vec<(Profile, Profile)> {
    let files = shipped();
    let read = |file: &std::path::PathBuf| read_both(file, arch).unwrap();
    files.iter().flat_map(read).collect()
}

/// The part of a program for 32-bit programs, together with the native part.
#[test]
fn all_oracles_agree_on_32_bit_programs() {
    let name = "what_32_bit_programs_are_answered_is_answered_alike";
    let Some(libseccomp) = libseccomp(name) else {
        return;
    };
    let mut random = Random::new(SEED);
    for arch in Arch::ALL {
        let compat_arch = arch.of_32_bit().unwrap();
        let mut profiles = shipped_with_32_bit(arch);
        if is_there(CONTAINERS, name) {
            profiles.extend(read_both(Path::new(CONTAINERS), arch).unwrap());
        }
        profiles.extend((0..20).map(|_| (random.profile(arch), random.profile(compat_arch))));
        let mut total = Count::default();
        for (profile, small) in profiles {
            for subject in Subject::both(&profile, &small, arch, Some(&libseccomp)).unwrap() {
                for counted in [
                    subject.ask_boundaries(),
                    subject.ask_randomly(1000, &mut random),
                ] {
                    let counted =
                        counted.unwrap_or_else(|mismatch| panic!("{mismatch}\n{small:?}"));
                    // Of the first part, libseccomp's answers are counted elsewhere.
                    if counted.of_32_bit > 0 {
                        total = total.and(counted);
                    }
                }
            }
        }
        println!("{compat_arch}: {total:?}");
        assert_eq!(total.of_32_bit, total.tuples);
        assert!(
            total.tuples > 30_000 && total.libseccomp > 10_000,
            "{total:?}"
        );
    }
}

/// The kernel headers are not involved: libseccomp has its own tables.
#[test]
fn the_tables_are_those_of_libseccomp() {
    let Some(libseccomp) = libseccomp("the_tables_are_those_of_libseccomp") else {
        return;
    };
    for arch in Arch::ALL.into_iter().chain(Arch::ALL_32_BIT) {
        let numbers = libseccomp.numbers(arch).unwrap();
        let mut compared = 0;
        for (name, number) in numbers {
            if let Some(number) = number {
                assert_eq!(arch.number(name), Some(number), "{name} on {arch}");
                compared += 1;
            }
        }
        println!("{arch}: {compared} of {} calls", arch.calls().len());
        assert!(compared > 300, "{compared} on {arch}");
    }
}

#[test]
fn the_profile_of_debian_gives_equal_results() {
    if !is_there(CONTAINERS, "the_profile_of_debian_gives_equal_results") {
        return;
    }
    let arch = Arch::native().unwrap();
    let Some(libseccomp) = libseccomp("the_profile_of_debian_gives_equal_results") else {
        return;
    };
    let mut random = Random::new(SEED);
    for profile in read(Path::new(CONTAINERS), arch).unwrap() {
        let subject = Subject::new(&profile, arch, Some(&libseccomp)).unwrap();
        subject
            .ask_boundaries()
            .unwrap_or_else(|mismatch| panic!("{mismatch}"));
        subject
            .ask_randomly(TUPLES / 10, &mut random)
            .unwrap_or_else(|mismatch| panic!("{mismatch}"));
    }
}

#[test]
fn random_calls_have_equal_results() {
    let Some(libseccomp) = libseccomp("random_calls_have_equal_results") else {
        return;
    };
    let mut random = Random::new(SEED);
    let mut total = Count::default();
    for arch in Arch::ALL {
        let mut profiles = shipped_profiles(arch);
        profiles.extend((0..40).map(|_| random.profile(arch)));
        let share = TUPLES / 2 / u64::try_from(profiles.len()).unwrap() + 1;
        for profile in profiles {
            let subject = Subject::new(&profile, arch, Some(&libseccomp)).unwrap();
            let counted = subject.ask_randomly(share, &mut random);
            total = total.and(counted.unwrap_or_else(|mismatch| panic!("{mismatch}\n{profile:?}")));
        }
    }
    println!("{total:?}");
    assert!(
        total.tuples >= TUPLES && total.stacked > 0 && total.libseccomp > 0,
        "{total:?}"
    );
}

/// Inverts one comparison at a time in the compiled programs: calls at the boundaries
/// detect each, so that they would detect such a bug of the compiler.
#[test]
fn an_inverted_comparison_is_detected() {
    let arch = Arch::native().unwrap();
    let compat_arch = arch.of_32_bit().unwrap();
    let (mut turned, mut equivalent) = (0, 0);
    for (profile, small) in shipped_with_32_bit(arch) {
        let program = compile_with_32_bit(&profile, arch, Some(&small)).unwrap();
        let mut parts = [(&profile, arch), (&small, compat_arch)];
        for at in 0..program.instructions().len() {
            let mut instructions = program.instructions().to_vec();
            let instruction = &mut instructions[at];
            // BPF_JMP with two branches.
            if instruction.code & 7 != 5
                || instruction.code == 5
                || instruction.jt == instruction.jf
            {
                continue;
            }
            (instruction.jt, instruction.jf) = (instruction.jf, instruction.jt);
            let mutant = Program::new(instructions).unwrap();
            turned += 1;
            let found = parts
                .iter()
                .position(|(profile, arch)| disagreement(profile, &mutant, *arch).is_some());
            if let Some(part) = found {
                // The next one is most often in the same part.
                parts.swap(0, part);
            } else {
                equivalent += 1;
                println!(
                    "instruction {at} of {} decides nothing",
                    program.instructions().len()
                );
            }
        }
    }
    println!("{turned} comparisons turned around, {equivalent} not found");
    assert!(turned > 200, "{turned}");
    assert_eq!(equivalent, 0);
}

/// The kernel itself, for every number from 0 to 600 and x32's, at the
/// boundaries of every rule. Nothing is executed.
#[test]
fn the_kernel_applies_the_profiles() {
    let arch = Arch::native().unwrap();
    let kernel = Kernel::new().unwrap();
    let mut random = Random::new(SEED);
    let mut profiles = shipped_profiles(arch);
    if is_there(CONTAINERS, "the_kernel_applies_the_profiles") {
        profiles.extend(read(Path::new(CONTAINERS), arch).unwrap());
    }
    profiles.extend((0..30).map(|_| random.profile(arch)));
    let not_asked: Vec<u32> = NOT_REQUESTED
        .iter()
        .filter_map(|name| arch.number(name))
        .collect();
    let mut counted = 0;
    for profile in profiles {
        let program = compile(&profile, arch).unwrap();
        // A child for each call that is killed: fewer of them.
        let kills = profile.default == Action::KillProcess;
        let calls: Vec<(u32, [u64; 6])> = (0..=600)
            .chain([0x4000_0000, 0x4000_0027, 0x4000_0208, u32::MAX])
            .filter(|number| !not_asked.contains(number))
            .flat_map(|number| {
                let sets = nsexec_policy_engine::seccomp::boundary::arguments(&profile, number);
                let most = if kills { 2 } else { usize::MAX };
                sets.into_iter()
                    .take(most)
                    .map(move |arguments| (number, arguments))
            })
            .collect();
        let seen = kernel.answers(&program, &calls).unwrap();
        for ((number, arguments), seen) in calls.iter().zip(seen) {
            let meant = profile.evaluate(arch, *number, *arguments);
            assert_eq!(
                seen,
                Seen::of(meant),
                "{number} with {arguments:x?}: {meant:?}\n{profile:?}"
            );
            counted += 1;
        }
    }
    println!("{counted} calls were tested in the kernel");
    assert!(counted > 20_000, "{counted}");
}

/// The same of i386's calls: x32's numbers, multiplexers and the arguments' upper
/// halves among them, which a 64-bit program can set.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_kernel_applies_the_profiles_to_32_bit_calls() {
    let name = "the_kernel_applies_the_profiles_to_32_bit_calls";
    let (arch, compat_arch) = (Arch::X86_64, Arch::I386);
    let kernel = Kernel::new().unwrap();
    let all = Program::try_from(vec![(6, 0, 0, 0x7fff_0000)]).unwrap();
    if kernel.answers_i386(&all, &[(20, [0; 6])]).is_err() {
        nsexec_test_support::leave_out(name, "this kernel accepts no 32-bit calls");
        return;
    }
    let mut random = Random::new(SEED);
    let mut profiles = shipped_with_32_bit(arch);
    if is_there(CONTAINERS, name) {
        profiles.extend(read_both(Path::new(CONTAINERS), arch).unwrap());
    }
    profiles.extend((0..30).map(|_| (random.profile(arch), random.profile(compat_arch))));
    let mut counted = 0;
    for (profile, small) in profiles {
        let program = compile_with_32_bit(&profile, arch, Some(&small)).unwrap();
        // A child for each call that is killed: fewer of them.
        let kills = small.default == Action::KillProcess;
        let calls: Vec<(u32, [u64; 6])> = (0..=600)
            .chain([0x4000_0000, 0x4000_0027, 0x4000_0208, u32::MAX])
            .flat_map(|number| {
                let sets = nsexec_policy_engine::seccomp::boundary::arguments(&small, number);
                let most = if kills { 2 } else { usize::MAX };
                sets.into_iter()
                    .take(most)
                    .map(move |arguments| (number, arguments))
            })
            .collect();
        let seen = kernel.answers_i386(&program, &calls).unwrap();
        for ((number, arguments), seen) in calls.iter().zip(seen) {
            let meant = small.evaluate(compat_arch, *number, *arguments);
            assert_eq!(
                seen,
                Seen::of(meant),
                "{number} with {arguments:x?}: {meant:?}\n{small:?}"
            );
            counted += 1;
        }
    }
    println!("{counted} 32-bit calls were tested in the kernel");
    assert!(counted > 20_000, "{counted}");
}

#[test]
fn docker_s_profile_is_small() {
    let arch = Arch::native().unwrap();
    let file = &shipped()[0];
    let Some(libseccomp) = libseccomp("docker_s_profile_is_small") else {
        return;
    };
    for profile in read(file, arch).unwrap() {
        let own = compile(&profile, arch).unwrap().instructions().len();
        let stacked = Stacked::build(&profile, arch).unwrap().instructions();
        let other = libseccomp.build(&profile, arch, Search::Chain).unwrap();
        let other = other.program().instructions().len();
        println!("instructions: {own}, seccompiler's stack {stacked}, libseccomp {other}");
        assert!(own <= 200, "{own}");
        assert!(own < stacked && own < other);
    }
}

#[test]
fn libseccomp_is_timed_the_requested_number_of_times() {
    let arch = Arch::native().unwrap();
    let Some(libseccomp) = libseccomp("libseccomp_is_timed_the_requested_number_of_times") else {
        return;
    };
    let profile = &read(&shipped()[0], arch).unwrap()[0];
    for search in [Search::Chain, Search::Tree] {
        let mut timer = libseccomp.timer(profile, arch, search).unwrap();
        for _ in 0..3 {
            assert!(!timer.once().unwrap().is_zero());
        }
    }
    // The two implementations look up calls in different ways.
    let length = |search| {
        let filter = libseccomp.build(profile, arch, search).unwrap();
        filter.program().instructions().len()
    };
    assert_ne!(length(Search::Chain), length(Search::Tree));
}
