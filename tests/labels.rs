//! The label of the program on kernels with a security module that has labels: nsexec
//! writes AppArmor's own file, whichever module is first in lsm=.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use support::protocol_a::{Exec, assert_exited, assert_success, shell};
use support::{Build, Target};

/// The enabled security modules; empty: securityfs is not mounted.
/// A profile that allows all but to write one file, for as long as this lives.
struct Profile(String);

impl Profile {
    fn new(purpose: &str) -> Self {
        let own = Self(format!("nsexec-test-{}-{purpose}", std::process::id()));
        own.parse("--replace");
        own
    }

    fn parse(&self, action: &str) {
        let text = format!(
            "profile {} flags=(attach_disconnected,mediate_deleted) {{\n\
             file, capability, network, mount, umount, pivot_root, ptrace, signal, unix,\n\
             change_profile,\n\
             deny /tmp/forbidden w,\n}}\n",
            self.0
        );
        let mut parser = Command::new("apparmor_parser")
            .args([action, "--skip-cache"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("apparmor_parser(8)");
        let mut stdin = parser.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(parser.wait().unwrap().success(), "{action} {}", self.0);
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parse("--remove");
    }
}

const SCRIPT: &str = "cat /proc/self/attr/apparmor/current; echo x >/tmp/allowed && echo written; \
                      echo x >/tmp/forbidden || echo refused";

#[test]
fn the_program_runs_under_the_apparmor_profile_of_initconfig() {
    support::needs!(root, apparmor);
    let profile = Profile::new("exec");
    let target = Target::new();
    let mut config = shell(SCRIPT);
    config["config"]["apparmor_profile"] = json!(profile.0);
    let outcome = Exec::into(target.pid()).run_config(&config);
    let expected = format!("{} (enforce)\nwritten\nrefused\n", profile.0);
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
    let outcome = Exec::into(target.pid()).run_config(&shell(SCRIPT));
    assert!(outcome.stdout.starts_with("unconfined\n"), "{outcome:?}");
}

#[test]
fn a_confined_target_is_entered_under_the_profile_of_initconfig() {
    support::needs!(root, apparmor);
    let profile = Profile::new("target");
    let name: &'static str = Box::leak(profile.0.clone().into_boxed_str());
    let target = Target::build(&Build {
        prefix: vec!["aa-exec", "-p", name, "--"],
        ..Build::default()
    });
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

/// The target's profile is a layer of the target, and also applies to the program.
#[test]
fn default_takes_the_targets_profile_and_admin_leaves_it() {
    support::needs!(root, apparmor);
    let profile = Profile::new("followed");
    let name: &'static str = Box::leak(profile.0.clone().into_boxed_str());
    let confined = Target::build(&Build {
        prefix: vec!["aa-exec", "-p", name, "--"],
        ..Build::default()
    });
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
