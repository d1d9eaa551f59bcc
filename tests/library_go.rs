//! The Go package: the state that a runtime in Go finds when it takes over.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::wait::WaitStatus;
use support::protocol_b::{Exec, REST, joining, pids};
use support::runtime::{State, prefix};
use support::{Target, leave_out, protocol_a, succeed};

const JOINED: [&str; 5] = ["ipc", "uts", "net", "pid", "mnt"];

/// Ways of building `tests/runtime/go`.
const BUILDS: [(&str, &[&str]); 5] = [
    ("dynamic", &[]),
    (
        "static",
        &["-ldflags", "-linkmode external -extldflags -static"],
    ),
    (
        "static-pie",
        &[
            "-buildmode=pie",
            "-ldflags",
            "-linkmode external -extldflags -static-pie",
        ],
    ),
    ("gccgo", &["-compiler", "gccgo"]),
    ("ceiling", &["-tags", "ceiling"]),
];

/// The go command that `cargo xtask test` has installed, or the one in PATH.
fn go(directory: &str) -> Command {
    let go = std::env::var_os("NSEXEC_GO").unwrap_or_else(|| OsString::from("go"));
    let mut command = Command::new(go);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory))
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .env("GOCACHE", prefix().join("go-cache"))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off");
    command
}

fn is_there(test: &str, program: Command) -> bool {
    let mut program = program;
    let name = program.get_program().to_string_lossy().into_owned();
    let there = program.arg("version").output().is_ok();
    if !there {
        leave_out(test, &format!("there is no {name}"));
    }
    there
}

fn build(name: &str, flags: &[&str]) -> PathBuf {
    let output = prefix().join(format!("go-{name}"));
    let mut build = go("tests/runtime/go");
    build
        .arg("build")
        .arg("-o")
        .arg(&output)
        .args(flags)
        .arg(".");
    succeed(build);
    output
}

#[test]
fn a_runtime_in_go_takes_over_however_it_is_built() {
    const NAME: &str = "a_runtime_in_go_takes_over_however_it_is_built";
    support::needs!(root);
    if !is_there(NAME, go(".")) {
        return;
    }
    let target = Target::new();
    for (name, flags) in BUILDS {
        if name == "gccgo" && !is_there("gccgo", Command::new("gccgo")) {
            continue;
        }
        let program = build(name, flags);
        let exec = Exec::new(program.clone(), &joining(target.pid(), &JOINED));
        let environment = exec.environment.clone();
        let outcome = exec.run();
        assert!(outcome.stage0.success(), "{name}: {outcome:?}");
        let [_, stage2] = pids(&outcome.report);
        let stage2 = nix::unistd::Pid::from_raw(stage2);
        assert_eq!(
            outcome.stage2,
            Some(WaitStatus::Exited(stage2, 7)),
            "{name}: {outcome:?}"
        );
        assert_taken_over(&outcome.state, &target, name);
        // Go reads the kernel's copy.
        let given = environment.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        assert_eq!(outcome.state.environment(), given.collect(), "{name}");

        let mut exec = protocol_a::Exec::into(target.pid());
        exec.program = program;
        let outcome = exec.run(REST.as_bytes());
        protocol_a::assert_exited(&outcome, 7);
        assert_taken_over(&State::read(&outcome.stdout), &target, name);
    }
}

#[track_caller]
fn assert_taken_over(state: &State, target: &Target, build: &str) {
    for name in JOINED {
        assert_eq!(state.get(name), target.namespace(name), "{build} {name}");
    }
    assert_eq!(state.get("sid"), state.get("process"), "{build}");
    assert_eq!(state.get("rest"), REST, "{build}");
    let (seccomp, unshare) = match build {
        "ceiling" => ("2", "operation not permitted"),
        _ => ("0", "allowed"),
    };
    assert_eq!(state.get("Seccomp"), seccomp, "{build}");
    assert_eq!(state.get("unshare"), unshare, "{build}");
}

#[test]
fn the_packages_own_tests_pass() {
    const NAME: &str = "the_packages_own_tests_pass";
    if !is_there(NAME, go(".")) {
        return;
    }
    for arguments in [["vet", "./..."], ["test", "./..."]] {
        let mut own = go("capi/go/nsenter");
        own.args(arguments);
        succeed(own);
    }
}

#[test]
fn elsewhere_it_builds_and_does_nothing() {
    const NAME: &str = "elsewhere_it_builds_and_does_nothing";
    if !is_there(NAME, go(".")) {
        return;
    }
    for (variable, value) in [
        ("CGO_ENABLED", "0"),
        ("GOOS", "darwin"),
        ("GOOS", "windows"),
    ] {
        let mut build = go("capi/go/nsenter");
        build.args(["build", "./..."]).env(variable, value);
        succeed(build);
    }
}
