//! The calls that a filter must not deny, because every execution needs them.

use crate::seccomp::partial::{PartialCall, answers};
use crate::seccomp::profile::Profile;
use crate::seccomp::program::Program;
use crate::seccomp::table::Arch;

/// A call, with its known arguments.
struct Need(&'static str, [Option<u64>; 6]);

const fn any(name: &'static str) -> Need {
    Need(name, [None; 6])
}

const fn first(name: &'static str, argument: u64) -> Need {
    Need(name, [Some(argument), None, None, None, None, None])
}

const fn second(name: &'static str, argument: u64) -> Need {
    Need(name, [None, Some(argument), None, None, None, None])
}

/// CLONE_PIDFD and SIGCHLD, as on the command line.
const CLONE_CHILD: u64 = 0x1000 | 17;
/// CLONE_PIDFD, CLONE_PARENT and SIGCHLD, as in protocol A.
const CLONE_SIBLING: u64 = 0x1000 | 0x8000 | 17;
/// TIOCSCTTY, asm-generic/ioctls.h.
const TIOCSCTTY: u64 = 0x540e;

/// Between the workload's filter and the program, and the least that a program
/// does: it is executed, writes and ends.
const WORKLOAD: &[Need] = &[any("execve"), any("write"), any("exit_group")];

/// SECCOMP_SET_MODE_FILTER, linux/seccomp.h.
const SET_MODE_FILTER: u64 = 1;

/// Between an added filter and the program: the same, and more filters are
/// loaded. Answered with an errno of 0, that would look like success.
const ADDED: &[Need] = &[
    first("seccomp", SET_MODE_FILTER),
    any("execve"),
    any("write"),
    any("exit_group"),
];

/// Calls between the loading of the ceiling and the program's start. For a name
/// that an architecture lacks, the list also has the newer form.
const CEILING: &[Need] = &[
    any("execve"),
    any("write"),
    any("exit_group"),
    any("brk"),
    any("capset"),
    any("chdir"),
    any("chroot"),
    first("clone", CLONE_CHILD),
    first("clone", CLONE_SIBLING),
    any("close"),
    any("close_range"),
    any("dup3"),
    any("fchdir"),
    any("fchown"),
    any("fcntl"),
    any("fstat"),
    any("futex"),
    any("getcwd"),
    any("getpid"),
    any("getppid"),
    any("getrandom"),
    second("ioctl", TIOCSCTTY),
    any("kill"),
    any("landlock_restrict_self"),
    any("madvise"),
    any("mmap"),
    any("mprotect"),
    any("mremap"),
    any("munmap"),
    any("newfstatat"),
    any("openat"),
    any("openat2"),
    any("pidfd_send_signal"),
    any("poll"),
    any("ppoll"),
    any("prctl"),
    any("prlimit64"),
    any("read"),
    any("recvmsg"),
    any("rt_sigaction"),
    any("rt_sigprocmask"),
    any("rt_sigreturn"),
    any("seccomp"),
    any("sendto"),
    any("setgroups"),
    any("setresgid"),
    any("setresuid"),
    any("setsid"),
    any("statx"),
    any("umask"),
    any("wait4"),
    any("waitid"),
    any("writev"),
];

/// The first required call that a program's filter may deny.
#[must_use]
pub fn denied_to_workload(profile: &Profile, arch: Arch) -> Option<&'static str> {
    denied(WORKLOAD, profile, arch)
}

/// The first required call that a ceiling may deny.
#[must_use]
pub fn denied_to_ceiling(profile: &Profile, arch: Arch) -> Option<&'static str> {
    denied(CEILING, profile, arch)
}

/// The first required call that an added filter may deny, with the answer
/// (SECCOMP_RET_*; `None` if it is unknown).
///
/// All paths through the program are searched: `None` proves that the call is
/// executed for any arguments and instruction pointer.
#[must_use]
pub fn denied_by_added(program: &Program, arch: Arch) -> Option<(&'static str, Option<u32>)> {
    ADDED.iter().find_map(|Need(name, arguments)| {
        let call = PartialCall {
            number: arch.number(name)?,
            arch: arch.audit(),
            arguments: *arguments,
        };
        let executes = |value: &u32| matches!(value & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000);
        let mut answers = answers(program, &call).into_iter();
        let denial = answers.find(|answer| !answer.as_ref().is_some_and(executes))?;
        Some((*name, denial))
    })
}

fn denied(needs: &[Need], profile: &Profile, arch: Arch) -> Option<&'static str> {
    let denies = |Need(name, arguments): &&Need| {
        arch.number(name)
            .is_some_and(|number| profile.may_deny(arch, number, arguments))
    };
    needs.iter().find(denies).map(|Need(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::profile::{Action, Rule, When};
    use crate::seccomp::program::samples::Tuple;

    #[test]
    fn each_name_is_a_call_somewhere() {
        for Need(name, _) in WORKLOAD.iter().chain(ADDED).chain(CEILING) {
            assert!(Arch::X86_64.number(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_needed_call_is_missed_when_it_is_denied() {
        for arch in Arch::ALL {
            for needs in [WORKLOAD, CEILING] {
                for Need(name, _) in needs {
                    let Some(syscall) = arch.number(name) else {
                        continue;
                    };
                    let rule = Rule {
                        syscall,
                        when: When::Always,
                        action: Action::Errno(1),
                    };
                    let profile = Profile {
                        default: Action::Allow,
                        newest: u32::MAX,
                        rules: vec![rule],
                    };
                    assert_eq!(denied(needs, &profile, arch), Some(*name));
                }
            }
        }
    }

    const ALLOW: Tuple = (0x06, 0, 0, 0x7fff_0000);

    fn added(instructions: &[Tuple]) -> Option<(&'static str, Option<u32>)> {
        let program = Program::try_from(instructions.to_vec()).expect("a valid program");
        denied_by_added(&program, Arch::X86_64)
    }

    fn number(name: &str) -> u32 {
        Arch::X86_64.number(name).expect("a call")
    }

    #[test]
    fn an_added_filter_may_not_deny_a_call_of_the_start() {
        for Need(name, _) in ADDED {
            // ERRNO, ERRNO of 0 (which looks like success), TRAP, both kills,
            // and an answer without a listener.
            for answer in [
                0x0005_0001,
                0x0005_0000,
                0x0003_0000,
                0,
                0x8000_0000,
                0x7fc0_0000,
                0x7ff0_0000,
            ] {
                let deny = (0x06, 0, 0, answer);
                let denied = added(&[(0x20, 0, 0, 0), (0x15, 0, 1, number(name)), deny, ALLOW]);
                assert_eq!(denied, Some((*name, Some(answer))));
            }
        }
        let logged = (0x06, 0, 0, 0x7ffc_0000);
        assert_eq!(added(&[logged]), None);
    }

    #[test]
    fn a_condition_that_a_needed_call_may_match_is_an_error() {
        let deny = (0x06, 0, 0, 0x0005_0001);
        let on = |name, offset, value| {
            added(&[
                (0x20, 0, 0, 0),
                (0x15, 0, 3, number(name)),
                (0x20, 0, 0, offset),
                (0x15, 0, 1, value),
                deny,
                ALLOW,
            ])
        };
        let denied = |name| Some((name, Some(deny.3)));
        // A pointer, a length, and the instruction pointer.
        assert_eq!(on("execve", 16, 0x1000), denied("execve"));
        assert_eq!(on("write", 32, 12), denied("write"));
        assert_eq!(on("exit_group", 8, 0), denied("exit_group"));
        // Of seccomp(2), the operation is known and the flags are not.
        assert_eq!(on("seccomp", 16, 0), None);
        assert_eq!(on("seccomp", 16, 1), denied("seccomp"));
        assert_eq!(on("seccomp", 20, 1), None);
        assert_eq!(on("seccomp", 24, 8), denied("seccomp"));
        // Other calls, and other architectures, are not checked.
        assert_eq!(on("uname", 16, 0), None);
        let foreign = [(0x20, 0, 0, 4), (0x15, 1, 0, 0xc000_003e), deny, ALLOW];
        assert_eq!(added(&foreign), None);
    }
}
