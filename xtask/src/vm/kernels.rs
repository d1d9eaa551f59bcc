//! The kernels that run the helper's tests, and the features that each lacks.
//! The list is a declaration: a mismatch is a failure.

use std::collections::BTreeMap;

/// A kernel of Debian's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// As `--kernel` names it.
    pub(crate) name: &'static str,
    /// The prefix of its package name.
    pub(super) package: &'static str,
    /// Additional kernel parameters.
    pub(super) command_line: &'static str,
    /// Rows of `nsexec --features` with "no", and names of [`ABSENCES`].
    pub(super) lacks: &'static [&'static str],
}

pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "5.10",
        package: "linux-image-5.10.0-",
        command_line: "",
        lacks: &[
            "close_range(2) with CLOEXEC",
            "detached read-only mounts",
            "pidfd inode numbers",
            "namespaces by pidfd",
            "namespaces by id alone",
            "Landlock: execute",
            "Landlock: refer",
            "Landlock: truncate",
            "Landlock: TCP",
            "Landlock: device ioctls",
            "Landlock: scopes",
            "Landlock: log flags",
        ],
    },
    Kernel {
        name: "6.1",
        package: "linux-image-6.1.0-",
        command_line: "",
        lacks: &[
            "pidfd inode numbers",
            "namespaces by pidfd",
            "namespaces by id alone",
            "Landlock: truncate",
            "Landlock: TCP",
            "Landlock: device ioctls",
            "Landlock: scopes",
            "Landlock: log flags",
        ],
    },
    // Here `bpf` handles attr/exec before AppArmor.
    Kernel {
        name: "6.12",
        package: "linux-image-6.12.",
        command_line: "lsm=landlock,lockdown,yama,bpf,apparmor",
        lacks: &["namespaces by id alone", "Landlock: log flags"],
    },
    // SELinux without a policy accepts any label.
    Kernel {
        name: "newest",
        package: "linux-binary-",
        command_line: "lsm=landlock,lockdown,yama,selinux,bpf",
        lacks: &["AppArmor"],
    },
];

/// An absent feature, and the tests or cases that are skipped without it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    pub(super) name: &'static str,
    /// `PROGRAM::TEST`, or `PROGRAM::TEST, CASE`.
    tests: &'static [&'static str],
}

pub(super) const ABSENCES: &[Absence] = &[
    Absence {
        name: "AppArmor",
        tests: &[
            "labels::a_false_proc_of_the_target_does_not_swallow_the_label",
            "labels::a_confined_target_is_entered_under_the_profile_of_initconfig",
            "labels::default_takes_the_targets_profile_and_admin_keeps_the_callers",
            "labels::the_program_runs_under_the_apparmor_profile_of_initconfig",
            "steps::a_label_gives_no_access_to_the_host",
        ],
    },
    Absence {
        name: "a Go compiler",
        tests: &[
            "library_go::a_runtime_in_go_takes_over_however_it_is_built",
            "library_go::the_packages_own_tests_pass",
            "library_go::elsewhere_it_builds_and_does_nothing",
        ],
    },
    Absence {
        name: "cgroups of version 1",
        tests: &[
            "stuck::a_signal_ends_the_helper_wherever_it_is_stuck, a program in a frozen cgroup, version 1",
        ],
    },
    Absence {
        name: "cargo",
        tests: &[
            "library_b::a_panic_ends_the_process_without_a_way_back_into_c",
            "library_link::it_links_beside_another_rust_library_in_each_mode_and_order",
        ],
    },
    Absence {
        name: "pidfd inode numbers",
        tests: &[
            "invariants::h2_a_recycled_pid_is_an_error",
            "invariants::h2_holds_while_pids_are_given_again",
        ],
    },
    Absence {
        name: "Landlock: scopes",
        tests: &[
            "landlock_rules::a_target_does_not_choose_what_is_granted",
            "lock_down::strict_reads_and_does_not_write",
            "policy_paths::the_configuration_is_taken_whole_or_refused",
            "command_line::capabilities_are_kept_of_a_joined_user_namespace_only, strict",
            "lock_down::the_program_has_what_its_policy_gives_and_no_more, strict",
            "lock_down::under_a_domain_the_files_of_the_targets_processes_are_out_of_reach, strict",
            "cgroups::a_policy_puts_the_program_into_the_targets_cgroups, strict",
            "policies::the_kernel_answers_as_the_policies_mean, strict",
            "program_lookup::the_look_up_skips_files_that_the_user_cannot_execute, strict",
            "seccomp_fd::a_filter_is_in_force_besides_the_policys, strict",
            "small_programs::a_32_bit_program_runs_where_every_filter_lists_it_and_is_refused_elsewhere, strict",
            "strict::strict_changes_nothing_and_reaches_nobody",
            "pretended::a_program_without_a_parent_has_its_last_filter, strict",
            "readme::the_examples_of_nsexec, strict",
            "status_lines::a_run_is_planned_started_and_exited, strict",
            "readme::the_transcript_of_refusals",
            "steps::a_mount_namespace_file_gives_no_access_to_the_host, strict",
            "steps::a_run_that_is_explained_holds_nothing_that_leads_out, strict",
            "steps::the_command_line_holds_nothing_that_leads_out, strict",
        ],
    },
    Absence {
        name: "Landlock: refer",
        tests: &[
            "bad_input::a_policy_from_a_file_is_in_force",
            "own_file::under_the_default_policy_the_helper_cannot_be_executed_at_all",
            "lock_down::landlock_denies_execution_outside_the_root",
            "lock_down::the_childs_last_calls_are_close_range_and_seccomp",
            "lock_down::the_helper_is_locked_down_before_it_clones",
            "lock_down::the_status_lines_contain_the_plan_and_the_state_in_force",
            "lock_down::under_a_domain_the_files_of_the_targets_processes_are_out_of_reach",
        ],
    },
    Absence {
        name: "Landlock: execute",
        tests: &[
            "pretended::a_call_that_only_seems_to_succeed_never_starts_a_program_with_less, landlock_restrict_self",
            "pretended::a_child_of_protocol_a_starts_no_program_with_less, landlock_restrict_self",
        ],
    },
    Absence {
        name: "Landlock: device ioctls",
        tests: &["landlock_rules::a_device_under_the_name_of_a_terminal_gets_no_ioctl"],
    },
    Absence {
        name: "Landlock: log flags",
        tests: &[
            "explain::audited_refusals_are_reported_by_rule_and_stay_refused",
            "landlock_rules::an_explained_run_is_logged_whatever_the_policy_says",
            "landlock_rules::each_path_of_a_variable_is_granted",
            "landlock_rules::log_flags_reach_the_kernel",
            "landlock_rules::the_plan_contains_log_flags",
        ],
    },
];

/// Absent from the emulated machine, whatever its kernel.
pub(super) const NOWHERE: &[&str] = &["a Go compiler", "cargo", "cgroups of version 1"];

impl Kernel {
    /// The tests of these programs that are skipped on this kernel, each with its
    /// absent feature.
    pub(super) fn left_out(&self, programs: &[String]) -> BTreeMap<&'static str, &'static str> {
        let absent = ABSENCES.iter().filter(|absence| {
            self.lacks.contains(&absence.name) || NOWHERE.contains(&absence.name)
        });
        let is_run = |test: &str| {
            let program = test.split("::").next().unwrap_or_default();
            programs.iter().any(|run| run == program)
        };
        absent
            .flat_map(|absence| absence.tests.iter().map(|test| (*test, absence.name)))
            .filter(|(test, _)| is_run(test))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_are_declared_exist() {
        for absence in ABSENCES {
            for test in absence.tests {
                let (program, name) = test.split_once("::").unwrap_or_default();
                let name = name.split(", ").next().unwrap_or_default();
                let file = crate::cargo::root().join(format!("tests/{program}.rs"));
                let source = std::fs::read_to_string(&file).unwrap_or_default();
                assert!(source.contains(&format!("fn {name}()")), "{test}");
            }
        }
    }

    #[test]
    fn each_absence_applies_to_a_kernel() {
        for absence in ABSENCES {
            let lacks = |kernel: &Kernel| kernel.lacks.contains(&absence.name);
            assert!(
                KERNELS.iter().any(lacks) || NOWHERE.contains(&absence.name),
                "{absence:?}"
            );
        }
    }
}
