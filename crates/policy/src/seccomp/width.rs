//! The arguments of which the kernel reads 32 bits.
//!
//! A register has 64 bits, and the kernel ignores the upper half of these
//! arguments. If a rule that denies compared all 64 bits, setting an ignored bit
//! would bypass it: `ioctl(0, 0x1_0000_5412)` is TIOCSTI (CVE-2019-10063,
//! CVE-2019-7303). So a rule that denies compares only the bits that the kernel
//! reads. A rule that allows compares all 64 bits: a call with ignored bits set
//! is denied.

use crate::seccomp::profile::Action;
use crate::seccomp::table::Arch;

/// How much of an argument a rule compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Width {
    /// The lower 32 bits.
    Low32,
    /// All 64.
    Full64,
}

impl Width {
    /// The width in which a rule with this action compares this argument.
    pub(super) fn of(arch: Arch, syscall: u32, argument: u8, action: Action) -> Self {
        let denies = !matches!(action, Action::Allow | Action::Log);
        if denies && is_32_bit(arch, syscall, argument) {
            Self::Low32
        } else {
            Self::Full64
        }
    }

    /// The compared bits of `value`.
    pub(super) fn cut(self, value: u64) -> u64 {
        match self {
            Self::Low32 => value & u64::from(u32::MAX),
            Self::Full64 => value,
        }
    }
}

/// Whether a rule with this action compares only the lower 32 bits of this
/// argument.
#[must_use]
pub fn compares_32_bits(arch: Arch, syscall: u32, argument: u8, action: Action) -> bool {
    Width::of(arch, syscall, argument, action) == Width::Low32
}

fn is_32_bit(arch: Arch, syscall: u32, argument: u8) -> bool {
    if arch.of_32_bit().is_none() {
        // Registers of a 32-bit program. A 64-bit one that makes such a call (int
        // 0x80) can set the upper halves, and the kernel ignores them.
        return true;
    }
    let Some(name) = arch.name(syscall) else {
        return false;
    };
    let found = ARGUMENTS.iter().find(|(known, _)| *known == name);
    found.is_some_and(|(_, arguments)| arguments.contains(&argument))
}

/// Arguments whose upper half the kernel ignores: `int`, `unsigned int` and the
/// like in the SYSCALL_DEFINEs of Linux 6.18, and the flags of clone and
/// unshare, which have no meaning above bit 31. The table lists descriptors,
/// commands, flags and ids of the calls that policies restrict by argument; any
/// other call compares 64 bits.
const ARGUMENTS: &[(&str, &[u8])] = &[
    ("accept4", &[0, 3]),
    ("arch_prctl", &[0]),
    ("bpf", &[0, 2]),
    ("clock_adjtime", &[0]),
    ("clock_settime", &[0]),
    ("clone", &[0]),
    ("close_range", &[0, 1, 2]),
    ("dup3", &[0, 1, 2]),
    ("epoll_create1", &[0]),
    ("eventfd2", &[0, 1]),
    ("execveat", &[0, 4]),
    ("fallocate", &[0, 1]),
    ("fanotify_init", &[0, 1]),
    ("fchmod", &[0, 1]),
    ("fchmodat", &[0, 2]),
    ("fchmodat2", &[0, 2, 3]),
    ("fchownat", &[0, 2, 3, 4]),
    ("fcntl", &[0, 1]),
    ("flock", &[0, 1]),
    ("fsconfig", &[0, 1, 4]),
    ("fsmount", &[0, 1, 2]),
    ("fsopen", &[1]),
    ("futex", &[1, 2]),
    ("getsockopt", &[0, 1, 2]),
    ("inotify_init1", &[0]),
    ("io_uring_enter", &[0, 1, 2, 3]),
    ("io_uring_register", &[0, 1, 3]),
    ("io_uring_setup", &[0]),
    ("ioctl", &[0, 1]),
    ("ioprio_set", &[0, 1, 2]),
    ("kcmp", &[0, 1, 2]),
    ("keyctl", &[0]),
    ("kill", &[0, 1]),
    ("landlock_create_ruleset", &[2]),
    ("landlock_restrict_self", &[0, 1]),
    ("linkat", &[0, 2, 4]),
    ("madvise", &[2]),
    ("membarrier", &[0, 1, 2]),
    ("memfd_create", &[1]),
    ("memfd_secret", &[0]),
    ("mkdirat", &[0, 2]),
    ("mknod", &[1, 2]),
    ("mknodat", &[0, 2, 3]),
    ("mlockall", &[0]),
    ("mount_setattr", &[0, 2]),
    ("move_mount", &[0, 2, 4]),
    ("msgctl", &[0, 1]),
    ("msync", &[2]),
    ("name_to_handle_at", &[0, 4]),
    ("open", &[1, 2]),
    ("open_by_handle_at", &[0, 2]),
    ("open_tree", &[0, 2]),
    ("openat", &[0, 2, 3]),
    ("perf_event_open", &[1, 2, 3]),
    ("personality", &[0]),
    ("pidfd_getfd", &[0, 1, 2]),
    ("pidfd_open", &[0, 1]),
    ("pidfd_send_signal", &[0, 1, 3]),
    ("pipe2", &[1]),
    ("prctl", &[0]),
    ("prlimit64", &[0, 1]),
    ("process_madvise", &[0, 3, 4]),
    ("quotactl", &[0, 2]),
    ("quotactl_fd", &[0, 1, 2]),
    ("reboot", &[0, 1, 2]),
    ("renameat2", &[0, 2, 4]),
    ("rt_sigqueueinfo", &[0, 1]),
    ("rt_tgsigqueueinfo", &[0, 1, 2]),
    ("sched_setscheduler", &[0, 1]),
    ("seccomp", &[0, 1]),
    ("semctl", &[0, 1, 2]),
    ("setns", &[0, 1]),
    ("setpriority", &[0, 1, 2]),
    ("setsockopt", &[0, 1, 2, 4]),
    ("shmctl", &[0, 1]),
    ("shmget", &[0, 2]),
    ("signalfd4", &[0, 3]),
    ("socket", &[0, 1, 2]),
    ("socketpair", &[0, 1, 2]),
    ("swapon", &[1]),
    ("syslog", &[0, 2]),
    ("tgkill", &[0, 1, 2]),
    ("timer_create", &[0]),
    ("timerfd_create", &[0, 1]),
    ("tkill", &[0, 1]),
    ("umask", &[0]),
    ("umount2", &[1]),
    ("unlinkat", &[0, 2]),
    ("unshare", &[0]),
    ("userfaultfd", &[0]),
    ("waitid", &[0, 1, 3]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_existing_calls_once_and_in_order() {
        assert!(ARGUMENTS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, arguments) in ARGUMENTS {
            assert!(Arch::X86_64.number(name).is_some(), "{name}");
            assert!(arguments.is_sorted_by(|a, b| a < b), "{name}");
            assert!(arguments.iter().all(|argument| *argument < 6), "{name}");
        }
    }

    #[test]
    fn only_rules_that_deny_compare_32_bits() {
        let ioctl = Arch::X86_64.number("ioctl").expect("a known call");
        let width = |argument, action| Width::of(Arch::X86_64, ioctl, argument, action);
        assert_eq!(width(1, Action::Errno(1)), Width::Low32);
        assert_eq!(width(1, Action::KillProcess), Width::Low32);
        assert_eq!(width(1, Action::Allow), Width::Full64);
        assert_eq!(width(1, Action::Log), Width::Full64);
        assert_eq!(width(2, Action::Errno(1)), Width::Full64);
    }
}
