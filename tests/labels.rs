//! The label of the program on kernels with a security module that has labels: nsexec
//! writes AppArmor's own file, whichever module is first in lsm=.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::process::Command;

use serde_json::json;
use support::Target;
use support::apparmor::Profile;
use support::protocol_a::{Exec, assert_exited, assert_success, shell};

const SCRIPT: &str = "cat /proc/self/attr/apparmor/current; echo x >/tmp/allowed && echo written; \
                      echo x >/tmp/forbidden || echo refused";

#[test]
fn the_program_runs_under_the_apparmor_profile_of_initconfig() {
    support::needs!(root, apparmor);
    let profile = Profile::new("exec");
    let target = Target::new();
    let mut config = shell(SCRIPT);
    config["config"]["apparmor_profile"] = json!(profile.name());
    let outcome = Exec::into(target.pid()).run_config(&config);
    let expected = format!("{} (enforce)\nwritten\nrefused\n", profile.name());
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
    let outcome = Exec::into(target.pid()).run_config(&shell(SCRIPT));
    assert!(outcome.stdout.starts_with("unconfined\n"), "{outcome:?}");
}

#[test]
fn a_confined_target_is_entered_under_the_profile_of_initconfig() {
    support::needs!(root, apparmor);
    let profile = Profile::new("target");
    let name = profile.name();
    let target = profile.target("");
    let label = format!("/proc/{}/attr/apparmor/current", target.pid());
    let label = std::fs::read_to_string(label).unwrap();
    assert_eq!(label, format!("{name} (enforce)\n"));
    let mut config = shell(SCRIPT);
    config["config"]["apparmor_profile"] = json!(name);
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_success(&outcome);
    let expected = format!("{name} (enforce)\nwritten\nrefused\n");
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}

/// The target's profile restricts the target, and also applies to the program.
#[test]
fn default_takes_the_targets_profile_and_admin_keeps_the_callers() {
    support::needs!(root, apparmor);
    let profile = Profile::new("followed");
    let name = profile.name();
    let confined = profile.target("");
    let seen = |target: &Target, policy: &str| {
        let words = ["-a", "--policy", policy, "--", "sh", "-c", SCRIPT];
        support::text(&support::run(target.nsexec(words)).stdout)
    };
    let expected = format!("{name} (enforce)\nwritten\nrefused\n");
    for policy in ["default", "net"] {
        assert_eq!(seen(&confined, policy), expected, "{policy}");
        let words = ["-a", "--policy", policy, "--dry-run", "--", "true"];
        let plan = support::succeed(confined.nsexec(words));
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(plan["label"]["label"], name, "{plan}");
    }
    let free = "unconfined\nwritten\n";
    assert_eq!(seen(&confined, "admin"), free, "the control");
    // There is no label to follow.
    assert_eq!(seen(&Target::new(), "default"), free);
}

/// A /proc of the target's own, with files that swallow what is written to them.
const FALSE_PROC: &str = "mount -t tmpfs false /proc; mkdir -p /proc/self/attr/apparmor; \
                          : >/proc/self/attr/apparmor/exec; ln -s self /proc/thread-self;";

#[test]
fn a_false_proc_of_the_target_does_not_swallow_the_label() {
    support::needs!(root, apparmor);
    let profile = Profile::new("false-proc");
    let script = "echo x >/tmp/forbidden && echo written || echo refused";
    let target = Target::with_script(FALSE_PROC);
    let naive = format!(
        "echo exec {} >/proc/self/attr/apparmor/exec; exec sh -c '{script}'",
        profile.name()
    );
    let pid = target.pid().to_string();
    let mut control = Command::new("nsenter");
    control.args(["-t", &pid, "-m", "--", "sh", "-c", &naive]);
    assert_eq!(support::succeed(control), "written\n", "the control");
    let mut config = shell(script);
    config["config"]["apparmor_profile"] = json!(profile.name());
    let outcome = Exec::into(target.pid()).run_config(&config);
    assert_eq!(outcome.stdout, "refused\n", "{outcome:?}");
    let confined = profile.target(FALSE_PROC);
    let words = ["-a", "--", "sh", "-c", script];
    let output = support::run(confined.nsexec(words));
    assert_eq!(support::text(&output.stdout), "refused\n", "{output:?}");
}

/// A profile that is not loaded, a disabled module, and SELinux without a policy, which
/// accepts any text.
#[test]
fn a_label_that_does_nothing_is_refused() {
    support::needs!(root);
    let target = Target::new();
    let labels = [
        (
            "apparmor_profile",
            "nsexec-test-no-such-profile",
            "AppArmor",
        ),
        (
            "process_label",
            "system_u:system_r:container_t:s0",
            "SELinux",
        ),
    ];
    for (key, label, module) in labels {
        let mut config = shell("echo started");
        config["config"][key] = json!(label);
        let outcome = Exec::into(target.pid()).run_config(&config);
        assert_exited(&outcome, 1);
        assert!(outcome.message().contains(module), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
}
