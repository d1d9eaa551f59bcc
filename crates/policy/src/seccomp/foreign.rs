//! A profile for the 32-bit programs that an architecture executes.
//!
//! Names come from the profile and numbers from the 32-bit table. Other entries
//! of that table follow the intent of the profile:
//!
//! - **Multiplexers.** i386's socketcall and ipc make many calls, with arguments in
//!   memory, where no filter can read them. Each one is allowed only where the
//!   profile allows the call of its name with any arguments.
//! - **Arguments in memory.** i386's first mmap and select have one pointer to all
//!   their arguments: if a profile has conditions on them, they return ENOSYS.
//! - **Other forms.** A rule that denies a call also denies its 32-bit forms
//!   (chown32, clock_settime64, umount); otherwise each of them would bypass a
//!   profile that allows by default. A rule that allows a call allows only its name.

use crate::seccomp::evaluate::UNKNOWN_CALL;
use crate::seccomp::profile::{Action, Comparison, Condition, Profile, Rule, When};
use crate::seccomp::table::Arch;

/// An entry of a profile that applies: its names, condition and action.
pub(super) struct ActiveEntry<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) whens: &'a [When],
    pub(super) action: Action,
}

/// socketcall(2) by its first argument, linux/net.h.
const SOCKETCALL: [(u64, &str); 20] = [
    (1, "socket"),
    (2, "bind"),
    (3, "connect"),
    (4, "listen"),
    (5, "accept"),
    (6, "getsockname"),
    (7, "getpeername"),
    (8, "socketpair"),
    (9, "sendto"),
    (10, "recvfrom"),
    (11, "sendto"),
    (12, "recvfrom"),
    (13, "shutdown"),
    (14, "setsockopt"),
    (15, "getsockopt"),
    (16, "sendmsg"),
    (17, "recvmsg"),
    (18, "accept4"),
    (19, "recvmmsg"),
    (20, "sendmmsg"),
];

/// ipc(2) by the lower half of its first argument, linux/ipc.h.
const IPC: [(u64, &str); 12] = [
    (1, "semop"),
    (2, "semget"),
    (3, "semctl"),
    (4, "semtimedop"),
    (11, "msgsnd"),
    (12, "msgrcv"),
    (13, "msgget"),
    (14, "msgctl"),
    (21, "shmat"),
    (22, "shmdt"),
    (23, "shmget"),
    (24, "shmctl"),
];

/// i386's calls with one pointer to all their arguments.
const IN_MEMORY: [&str; 2] = ["mmap", "select"];

/// Forms of calls with arguments in other positions: conditions do not apply.
const OTHER_ARGUMENTS: [(&str, &str); 13] = [
    ("_llseek", "lseek"),
    ("arm_fadvise64_64", "fadvise64"),
    ("arm_sync_file_range", "sync_file_range"),
    ("fadvise64_64", "fadvise64"),
    ("nice", "setpriority"),
    ("olduname", "uname"),
    ("oldolduname", "uname"),
    ("readdir", "getdents"),
    ("signal", "rt_sigaction"),
    ("sigsuspend", "rt_sigsuspend"),
    ("stime", "settimeofday"),
    ("umount", "umount2"),
    ("waitpid", "wait4"),
];

/// Forms with the same arguments under an unrelated name.
const SAME_ARGUMENTS: [(&str, &str); 13] = [
    ("_newselect", "select"),
    ("fstatat64", "newfstatat"),
    ("mmap2", "mmap"),
    ("oldfstat", "fstat"),
    ("oldlstat", "lstat"),
    ("oldstat", "stat"),
    ("recv", "recvfrom"),
    ("send", "sendto"),
    ("sigaction", "rt_sigaction"),
    ("sigpending", "rt_sigpending"),
    ("sigprocmask", "rt_sigprocmask"),
    ("sigreturn", "rt_sigreturn"),
    ("ugetrlimit", "getrlimit"),
];

/// Adds the rules for `arch`, a 32-bit architecture, from the `entries` of a
/// profile. `profile` already contains them by name.
pub(super) fn adapt(profile: &mut Profile, entries: &[ActiveEntry<'_>], arch: Arch) {
    for (name, calls, mask) in [
        ("socketcall", SOCKETCALL.as_slice(), u64::from(u32::MAX)),
        ("ipc", &IPC, 0xffff),
    ] {
        let Some(number) = arch.number(name) else {
            continue;
        };
        let denies = |rule: &Rule| rule.syscall != number || !rule.action.executes();
        profile.rules.retain(denies);
        for (value, call) in calls {
            let value = *value;
            let comparison = if mask == u64::from(u32::MAX) {
                Comparison::Equal(value)
            } else {
                Comparison::Masked { mask, value }
            };
            profile.rules.push(Rule {
                syscall: number,
                when: When::All(vec![Condition {
                    argument: 0,
                    comparison,
                }]),
                action: with_any_arguments(entries, call, profile.default),
            });
        }
    }
    if arch == Arch::I386 {
        for name in IN_MEMORY {
            let conditions = entries.iter().any(|entry| {
                entry.names.contains(&name) && entry.whens.iter().any(|w| *w != When::Always)
            });
            if let Some(syscall) = arch.number(name).filter(|_| conditions) {
                profile.rules.push(Rule {
                    syscall,
                    when: When::Always,
                    action: UNKNOWN_CALL,
                });
            }
        }
    }
    for (name, number) in arch.calls() {
        let Some((plain, same)) = plain_form(name) else {
            continue;
        };
        let denying = entries
            .iter()
            .filter(|entry| !entry.action.executes() && entry.names.contains(&plain));
        for entry in denying {
            for when in entry.whens {
                profile.rules.push(Rule {
                    syscall: *number,
                    when: if same { when.clone() } else { When::Always },
                    action: entry.action,
                });
            }
        }
    }
}

/// The action for a call of this name with unknown arguments.
fn with_any_arguments(entries: &[ActiveEntry<'_>], name: &str, default: Action) -> Action {
    let of_name = || entries.iter().filter(|entry| entry.names.contains(&name));
    let denied = of_name()
        .map(|entry| entry.action)
        .filter(|action| !action.executes())
        .max_by_key(|action| action.strictness());
    let always = of_name()
        .filter(|entry| entry.whens.contains(&When::Always))
        .map(|entry| entry.action)
        .max_by_key(|action| action.strictness());
    denied.or(always).unwrap_or(default)
}

/// The call that this is the 32-bit form of, and whether their arguments are in the
/// same places; `None`: it is no form of another one.
fn plain_form(name: &'static str) -> Option<(&'static str, bool)> {
    let listed = |list: &[(&str, &'static str)]| {
        let found = list.iter().find(|(form, _)| *form == name);
        found.map(|(_, plain)| *plain)
    };
    if let Some(plain) = listed(&OTHER_ARGUMENTS) {
        return Some((plain, false));
    }
    if let Some(plain) = listed(&SAME_ARGUMENTS) {
        return Some((plain, true));
    }
    let on_64_bit = |name: &str| Arch::ALL.iter().any(|arch| arch.number(name).is_some());
    if on_64_bit(name) {
        return None;
    }
    ["_time64", "64", "32"]
        .into_iter()
        .filter_map(|end| name.strip_suffix(end))
        .find(|plain| on_64_bit(plain))
        .map(|plain| (plain, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::boundary::disagreement;
    use crate::seccomp::compile::{compile, compile_with_32_bit, return_value};
    use crate::seccomp::evaluate::FOREIGN_ARCH;
    use crate::seccomp::interpret::{Call, run};
    use crate::seccomp::oci::{self, Context};
    use nsexec_kernel_text::capability::CapabilitySet;

    const ALLOW: Action = Action::Allow;
    const EPERM: Action = Action::Errno(1);

    fn context(arch: Arch) -> Context {
        Context {
            arch,
            bounding: CapabilitySet::EMPTY,
            kernel: (6, 18),
        }
    }

    fn profile(default: &str, rest: &str, arch: Arch) -> Profile {
        let text = format!(
            r#"{{ "defaultAction": "{default}",
                 "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
                                   "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
                 "syscalls": [{rest}] }}"#
        );
        let profile = oci::parse(text.as_bytes()).expect("a profile");
        let resolved = profile.resolve_32_bit(&context(arch));
        resolved.expect("32-bit programs are allowed")
    }

    fn answer(profile: &Profile, arch: Arch, name: &str, first: u64) -> Action {
        let number = arch.number(name).expect(name);
        profile.evaluate(arch, number, [first, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_multiplexer_is_denied_if_one_of_its_calls_is() {
        let entries = r#"
            { "names": ["socketcall", "ipc", "connect", "semop", "shmat"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["socket"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }] },
            { "names": ["shmat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
              "args": [{ "index": 0, "value": 7, "op": "SCMP_CMP_EQ" }] }"#;
        let i386 = profile("SCMP_ACT_ERRNO", entries, Arch::X86_64);
        let socketcall = |call| answer(&i386, Arch::I386, "socketcall", call);
        assert_eq!(socketcall(3), ALLOW, "connect, with any arguments");
        assert_eq!(socketcall(1), EPERM, "socket, which has conditions");
        assert_eq!(socketcall(2), EPERM, "bind, which is not named");
        assert_eq!(socketcall(21), EPERM, "none");
        assert_eq!(socketcall(1 << 32 | 3), EPERM);
        let ipc = |call| answer(&i386, Arch::I386, "ipc", call);
        assert_eq!(ipc(1), ALLOW);
        assert_eq!(ipc(0x0001_0001), ALLOW, "the version is not a part of it");
        assert_eq!(ipc(21), Action::Errno(5), "denied for some arguments");
        assert_eq!(ipc(2), EPERM);
        let open = profile(
            "SCMP_ACT_ALLOW",
            r#"{ "names": ["socket", "shmget"], "action": "SCMP_ACT_ERRNO" }"#,
            Arch::X86_64,
        );
        assert_eq!(answer(&open, Arch::I386, "socketcall", 1), EPERM);
        assert_eq!(answer(&open, Arch::I386, "socketcall", 3), ALLOW);
        assert_eq!(answer(&open, Arch::I386, "ipc", 0x0001_0017), EPERM);
        // A rule for the multiplexer itself cannot be bypassed.
        let closed = profile(
            "SCMP_ACT_ALLOW",
            r#"{ "names": ["socketcall"], "action": "SCMP_ACT_KILL_PROCESS" }"#,
            Arch::X86_64,
        );
        for call in [1, 3, 99] {
            assert_eq!(
                answer(&closed, Arch::I386, "socketcall", call),
                Action::KillProcess
            );
        }
    }

    #[test]
    fn a_rule_that_denies_a_call_denies_its_other_forms() {
        let entries = r#"
            { "names": ["umount2", "chown", "clock_settime", "send", "sendto"], "action": "SCMP_ACT_ERRNO" },
            { "names": ["fcntl"], "action": "SCMP_ACT_ERRNO",
              "args": [{ "index": 0, "value": 9, "op": "SCMP_CMP_EQ" }] },
            { "names": ["mmap"], "action": "SCMP_ACT_ERRNO",
              "args": [{ "index": 2, "value": 4, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ" }] }"#;
        for arch in Arch::ALL {
            let arch_32_bit = arch.of_32_bit().expect("one");
            let profile = profile("SCMP_ACT_ALLOW", entries, arch);
            for name in [
                "umount2",
                "umount",
                "chown",
                "chown32",
                "clock_settime64",
                "sendto",
            ] {
                if arch_32_bit.number(name).is_some() {
                    assert_eq!(
                        answer(&profile, arch_32_bit, name, 0),
                        EPERM,
                        "{name} on {arch_32_bit}"
                    );
                }
            }
            assert_eq!(answer(&profile, arch_32_bit, "fcntl64", 9), EPERM);
            assert_eq!(answer(&profile, arch_32_bit, "fcntl64", 1 << 32 | 9), EPERM);
            assert_eq!(answer(&profile, arch_32_bit, "fcntl64", 8), ALLOW);
            let mmap2 = arch_32_bit.number("mmap2").expect("a call");
            assert_eq!(
                profile.evaluate(arch_32_bit, mmap2, [0, 0, 4, 0, 0, 0]),
                EPERM
            );
            assert_eq!(
                profile.evaluate(arch_32_bit, mmap2, [0, 0, 3, 0, 0, 0]),
                ALLOW
            );
        }
        let i386 = profile("SCMP_ACT_ALLOW", entries, Arch::X86_64);
        assert_eq!(answer(&i386, Arch::I386, "mmap", 0), UNKNOWN_CALL);
        assert_eq!(answer(&i386, Arch::I386, "select", 0), ALLOW);
    }

    #[test]
    fn clone3_does_not_bypass_conditions_on_clone_for_foreign_architectures() {
        let entries = r#"{ "names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [
            { "index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ" } ] }"#;
        for arch in Arch::ALL {
            let arch_32_bit = arch.of_32_bit().expect("one");
            let profile = profile("SCMP_ACT_ALLOW", entries, arch);
            assert_eq!(answer(&profile, arch_32_bit, "clone3", 0), UNKNOWN_CALL);
            assert_eq!(answer(&profile, arch_32_bit, "clone", 0x1000_0000), EPERM);
        }
    }

    /// Docker's profile for both: the program answers as the profiles mean, each
    /// call of its own architecture only.
    #[test]
    fn one_program_implements_both_profiles() {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../policies/seccomp/docker-default.json"
        ));
        let text = text.expect("a shipped profile");
        let listed = text.replace(
            "\"SCMP_ARCH_X86_64\"",
            "\"SCMP_ARCH_X86\", \"SCMP_ARCH_ARM\", \"SCMP_ARCH_X86_64\"",
        );
        for arch in Arch::ALL {
            let arch_32_bit = arch.of_32_bit().expect("one");
            let context = context(arch);
            let conditional = oci::parse(listed.as_bytes()).expect("a profile");
            let large = conditional.resolve(&context).expect("native");
            let profile = conditional.resolve_32_bit(&context).expect("listed");
            let program = compile_with_32_bit(&large, arch, Some(&profile)).expect("a program");
            assert_eq!(disagreement(&large, &program, arch), None);
            assert_eq!(disagreement(&profile, &program, arch_32_bit), None);
            let other = if arch == Arch::X86_64 {
                Arch::Arm
            } else {
                Arch::I386
            };
            let alone = compile(&large, arch).expect("a program");
            for (program, audit) in [(&program, other.audit()), (&alone, arch_32_bit.audit())] {
                let call = Call {
                    number: 4,
                    arch: audit,
                    instruction_pointer: 0,
                    arguments: [0; 6],
                };
                assert_eq!(run(program, &call), Some(return_value(FOREIGN_ARCH)));
            }
        }
    }

    #[test]
    fn a_profile_that_does_not_list_them_has_none() {
        for text in [
            r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                 { "names": ["read"], "action": "SCMP_ACT_ERRNO" } ] }"#,
            r#"{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                 "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ERRNO" }] }"#,
        ] {
            let profile = oci::parse(text.as_bytes()).expect("a profile");
            assert_eq!(profile.resolve_32_bit(&context(Arch::X86_64)), None);
        }
        let docker = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "archMap": [
             { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] } ],
             "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ERRNO" }] }"#;
        let profile = oci::parse(docker.as_bytes()).expect("a profile");
        assert!(profile.resolve_32_bit(&context(Arch::X86_64)).is_some());
    }

    #[test]
    fn forms_are_calls_of_a_32_bit_table() {
        for (form, plain) in OTHER_ARGUMENTS.iter().chain(&SAME_ARGUMENTS) {
            let known = |name: &str, arches: [Arch; 2]| {
                arches.iter().any(|arch| arch.number(name).is_some())
            };
            assert!(known(form, Arch::ALL_32_BIT), "{form}");
            assert!(known(plain, Arch::ALL), "{plain}");
        }
        assert_eq!(plain_form("clock_settime64"), Some(("clock_settime", true)));
        assert_eq!(plain_form("ppoll_time64"), Some(("ppoll", true)));
        assert_eq!(plain_form("pread64"), None);
        assert_eq!(plain_form("read"), None);
    }
}
