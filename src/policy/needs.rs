//! What a filter must leave alone, or nothing is ever executed under it.

use crate::seccomp::profile::Profile;
use crate::seccomp::table::Arch;

/// A call with the arguments that are known of it.
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

/// Between the ceiling and the program. A name that an architecture lacks has a
/// newer form that stands here too.
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
    any("rt_sigaction"),
    any("rt_sigprocmask"),
    any("rt_sigreturn"),
    any("seccomp"),
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

/// The first call that a program's filter may deny and must not; `None`: it will do.
#[must_use]
pub fn denied_to_workload(profile: &Profile, arch: Arch) -> Option<&'static str> {
    denied(WORKLOAD, profile, arch)
}

/// The first call that a ceiling may deny and must not; `None`: it will do.
#[must_use]
pub fn denied_to_ceiling(profile: &Profile, arch: Arch) -> Option<&'static str> {
    denied(CEILING, profile, arch)
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

    #[test]
    fn each_name_is_a_call_somewhere() {
        for Need(name, _) in WORKLOAD.iter().chain(CEILING) {
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
}
