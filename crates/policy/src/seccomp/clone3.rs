//! clone3, whose flags are in memory, where no filter can read them.
//!
//! A profile that restricts clone(2) by its arguments could be bypassed with
//! clone3(2). In such a profile clone3 returns ENOSYS, regardless of the
//! profile's own rule for it, and callers fall back to clone(2). The same
//! applies if a profile has conditions on clone3 itself: they could only compare
//! an address.

use crate::seccomp::evaluate::UNKNOWN_CALL;
use crate::seccomp::profile::{Profile, Rule, When};
use crate::seccomp::table::Arch;

/// The rule that `profile` needs in addition to its own.
pub(super) fn rule(profile: &Profile, arch: Arch) -> Option<Rule> {
    let (clone, clone3) = (arch.number("clone")?, arch.number("clone3")?);
    let needed = reads_arguments(profile, clone) || reads_arguments(profile, clone3);
    needed.then_some(Rule {
        syscall: clone3,
        when: When::Always,
        action: UNKNOWN_CALL,
    })
}

/// Whether the answer to a call depends on its arguments.
fn reads_arguments(profile: &Profile, number: u32) -> bool {
    let rules = || profile.rules.iter().filter(|rule| rule.syscall == number);
    // Below the strictest rule for any arguments, conditions have no effect.
    let always = rules()
        .filter(|rule| rule.when == When::Always)
        .map(|rule| rule.action.strictness())
        .max();
    rules().any(|rule| {
        rule.when != When::Always && always.is_none_or(|a| rule.action.strictness() > a)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::oci::{self, Context};
    use crate::seccomp::profile::Action;
    use nsexec_kernel_text::capability::CapabilitySet;

    fn resolved(text: &str) -> Profile {
        let context = Context {
            arch: Arch::X86_64,
            bounding: CapabilitySet::EMPTY,
            kernel: (6, 18),
        };
        oci::parse(text.as_bytes())
            .and_then(|profile| profile.resolve(&context))
            .expect("a profile")
    }

    fn answer(profile: &Profile, name: &str) -> Action {
        let number = Arch::X86_64.number(name).expect("a known call");
        profile.evaluate(Arch::X86_64, number, [0; 6])
    }

    #[test]
    fn calls_newer_than_the_profile_answer_enosys() {
        let profile = resolved(
            r#"{ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                 { "names": ["read", "statx"], "action": "SCMP_ACT_ALLOW" } ] }"#,
        );
        assert_eq!(answer(&profile, "write"), Action::Errno(1));
        assert_eq!(answer(&profile, "statx"), Action::Allow);
        for newer in ["rseq", "clone3", "faccessat2", "mseal"] {
            assert_eq!(answer(&profile, newer), UNKNOWN_CALL, "{newer}");
        }
    }

    #[test]
    fn names_in_inactive_entries_count_as_listed() {
        let profile = resolved(
            r#"{ "defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
                 { "names": ["read"], "action": "SCMP_ACT_ALLOW" },
                 { "names": ["openat2"], "action": "SCMP_ACT_ALLOW",
                   "includes": { "caps": ["CAP_SYS_ADMIN"] } } ] }"#,
        );
        assert_eq!(answer(&profile, "openat2"), Action::KillProcess);
        assert_eq!(answer(&profile, "clone3"), Action::KillProcess);
        assert_eq!(answer(&profile, "faccessat2"), UNKNOWN_CALL);
    }

    #[test]
    fn where_all_is_allowed_newer_calls_are_too() {
        let profile = resolved(
            r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                 { "names": ["ptrace"], "action": "SCMP_ACT_ERRNO" } ] }"#,
        );
        assert_eq!(answer(&profile, "mseal"), Action::Allow);
        assert_eq!(answer(&profile, "clone3"), Action::Allow);
    }

    #[test]
    fn clone3_does_not_bypass_conditions_on_clone() {
        let with = |rest: &str| {
            resolved(&format!(
                r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                     {{ "names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [
                       {{ "index": 0, "value": 268435456, "valueTwo": 268435456,
                          "op": "SCMP_CMP_MASKED_EQ" }} ] }} {rest} ] }}"#
            ))
        };
        assert_eq!(answer(&with(""), "clone3"), UNKNOWN_CALL);
        let allowed = r#", { "names": ["clone3"], "action": "SCMP_ACT_ALLOW" }"#;
        assert_eq!(answer(&with(allowed), "clone3"), UNKNOWN_CALL);
        let killed = r#", { "names": ["clone3"], "action": "SCMP_ACT_KILL_PROCESS" }"#;
        assert_eq!(answer(&with(killed), "clone3"), Action::KillProcess);
        // Below a rule for any arguments, conditions have no effect.
        let denied = r#", { "names": ["clone"], "action": "SCMP_ACT_TRAP" }"#;
        assert_eq!(answer(&with(denied), "clone3"), Action::Allow);
    }
}
