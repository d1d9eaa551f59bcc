//! The program file and the directory are looked up with the rights of the program's user,
//! not with the helper's.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use support::{Target, fail, succeed};

/// Only root may execute `first/program`, only root may search `closed`, and every user may
/// execute `last/program`.
const SCRIPT: &str = r#"
    for name in first closed last; do
        mkdir /tmp/$name
        printf '#!/bin/sh\necho %s\n' $name > /tmp/$name/program
        chmod 755 /tmp/$name /tmp/$name/program
    done
    chmod 700 /tmp/closed /tmp/first/program
    mkdir /tmp/noexec /tmp/directory /tmp/directory/program
    mount -t tmpfs -o noexec none /tmp/noexec
    cp /tmp/last/program /tmp/noexec/program
"#;

const ANN: [&str; 4] = ["-S", "1000", "-G", "1000"];

#[test]
fn the_look_up_skips_files_that_the_user_cannot_execute() {
    support::needs!(root);
    let target = Target::with_script(SCRIPT);
    for policy in ["default", "admin", "strict"] {
        if !support::features::can_use(
            policy,
            "the_look_up_skips_files_that_the_user_cannot_execute",
        ) {
            continue;
        }
        let found = |options: &[&str], path: &str| {
            let mut command = target.nsexec(["-a", "--policy", policy]);
            command.args(options);
            command
                .arg(format!("--env=PATH={path}"))
                .args(["--", "program"]);
            command
        };
        for first in [
            "/tmp/first",
            "/tmp/closed",
            "/tmp/noexec",
            "/tmp/directory",
            "/none",
        ] {
            let path = format!("{first}:/tmp/last");
            assert_eq!(succeed(found(&ANN, &path)), "last\n", "{policy} {path}");
        }
        assert_eq!(succeed(found(&[], "/tmp/first:/tmp/last")), "first\n");
        let message = fail(found(&ANN, "/none:/tmp/first"), 126);
        assert!(message.contains("denied"), "{message}");
        fail(found(&ANN, "/tmp/closed:/none"), 126);
        fail(found(&ANN, "/none"), 127);
    }
}

#[test]
fn a_path_is_executed_with_the_programs_rights() {
    support::needs!(root);
    let target = Target::with_script(SCRIPT);
    for path in ["/tmp/first/program", "/tmp/closed/program"] {
        let mut command = target.nsexec(["-a"]);
        command.args(ANN).args(["--", path]);
        let message = fail(command, 126);
        assert!(message.contains(path), "{message}");
        succeed(target.nsexec(["-a", "--", path]));
    }
    // With the policy's capabilities, which the program keeps.
    let user = Target::build(&support::Build {
        user_namespace: true,
        script: SCRIPT.replace("mount", ": mount").to_owned(),
        ..support::Build::default()
    });
    let mut command = user.nsexec(["-a", "--keep-caps"]);
    command.args(ANN).args(["--", "/tmp/closed/program"]);
    assert_eq!(succeed(command), "closed\n");
}

#[test]
fn the_directory_is_entered_with_the_programs_rights() {
    support::needs!(root);
    let target = Target::with_script(SCRIPT);
    let enter = |options: &[&str]| {
        let mut command = target.nsexec(["-a", "-W", "/tmp/closed"]);
        command.args(options).args(["--", "pwd"]);
        command
    };
    assert_eq!(succeed(enter(&[])), "/tmp/closed\n");
    let message = fail(enter(&ANN), 125);
    assert!(message.contains("/tmp/closed"), "{message}");
}
