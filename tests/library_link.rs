//! libnsexec.a in a link: beside another Rust library, and without further shared
//! libraries.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::wait::WaitStatus;
use support::protocol_b::{Exec, nothing, pids};
use support::runtime::{Link, pkg_config, prefix, runtime};
use support::succeed;

/// The ways in which a runtime is linked.
const MODES: [&str; 4] = ["-static", "-no-pie", "-pie", "-static-pie"];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/runtime")
        .join(name)
}

/// Each library contains its own Rust standard library, whose symbols must not collide: a
/// panic in the other library has to use that library's unwinding routines.
#[test]
fn it_links_beside_another_rust_library_in_each_mode_and_order() {
    support::needs!(cargo);
    let other = prefix().join("libbeside.a");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut build = Command::new(rustc);
    build.args(["--edition", "2024", "-O", "-o"]).arg(&other);
    succeed({
        build.arg(source("beside.rs"));
        build
    });
    let ours = pkg_config("--libs");
    let other = vec![other.into_os_string().into_string().unwrap()];
    for mode in MODES {
        for (order, libraries) in [
            ("libnsexec first", [&ours, &other]),
            ("libnsexec last", [&other, &ours]),
        ] {
            let program = prefix().join("beside");
            let mut gcc = Command::new("gcc");
            gcc.args(["-O1", "-Wall", "-Werror", "-fPIE", mode, "-o"])
                .arg(&program)
                .args(pkg_config("--cflags"))
                .arg(source("beside.c"));
            succeed({
                gcc.args(libraries.into_iter().flatten());
                gcc
            });
            let what = format!("{mode}, {order}");
            let mut alone = Command::new(&program);
            let output = alone.env_clear().output().unwrap();
            assert_eq!(output.status.code(), Some(7), "{what}: {output:?}");
            let outcome = Exec::new(program, &nothing()).run();
            assert!(outcome.stage0.success(), "{what}: {outcome:?}");
            let stage2 = nix::unistd::Pid::from_raw(pids(&outcome.report)[1]);
            let taken_over = WaitStatus::Exited(stage2, 7);
            assert_eq!(outcome.stage2, Some(taken_over), "{what}: {outcome:?}");
        }
    }
}

#[test]
fn a_dynamic_runtime_needs_the_c_library_alone() {
    let mut readelf = Command::new("readelf");
    readelf.arg("--dynamic").arg(runtime(Link::Dynamic));
    let printed = succeed(readelf);
    let needed: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        // The C library's loader.
        .filter(|name| !name.starts_with("ld-linux"))
        .collect();
    assert_eq!(needed, ["libc.so.6"]);
}
