//! A call that only seems to succeed: a filter of the caller, or a tracer, answers 0
//! and the kernel does nothing (SECCOMP_RET_ERRNO with errno 0). What is in force is
//! read back, so that the program is not started with less.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how it fails")]

mod support;

use std::fs;

use support::tracer::{self, Action, Stop};
use support::{Build, NSEXEC, Target, temporary_directory, text};

/// Runs an exec in which every call that `pretended` names is not executed and
/// returns 0. The status, and both outputs.
fn run(target: &Target, pretended: impl Fn(&Stop) -> bool) -> (i32, String, String, usize) {
    let directory = temporary_directory("pretended");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let pid = target.pid().to_string();
    // Groups, for there to be some to drop; a directory other than the root.
    let mut words = vec![
        "setpriv",
        "--groups=5,6",
        NSEXEC,
        "-t",
        &pid,
        "-S1000",
        "-G1000",
    ];
    words.extend(["-w=/bin", "--", "/bin/busybox", "echo", "started"]);
    let mut count = 0;
    let ended = tracer::run(&words, open("out"), open("err"), |stop| {
        if stop.result.is_none() && pretended(&stop) {
            count += 1;
            return Action::Pretend;
        }
        Action::Go
    });
    let read = |name: &str| text(&fs::read(directory.join(name)).unwrap());
    let (stdout, stderr) = (read("out"), read("err"));
    fs::remove_dir_all(directory).unwrap();
    (ended.status, stdout, stderr, count)
}

#[test]
fn a_call_that_only_seems_to_succeed_never_starts_a_program_with_less() {
    if support::left_out_without_root(
        "a_call_that_only_seems_to_succeed_never_starts_a_program_with_less",
    ) {
        return;
    }
    // Its root is not that of its mount namespace, where setns(2) leads.
    let target = Target::build(&Build {
        script: "mkdir -p /sub/bin; cp /bin/busybox /sub/bin/".to_owned(),
        program: "chroot /sub /bin/busybox sleep 1000".to_owned(),
        ..Build::default()
    });
    let is = |number: libc::c_long| move |stop: &Stop| i64::try_from(stop.number) == Ok(number);
    let prctl = |option: i32| {
        move |stop: &Stop| {
            i64::try_from(stop.number) == Ok(libc::SYS_prctl)
                && i32::try_from(stop.argument) == Ok(option)
        }
    };
    type Pretended<'a> = Box<dyn Fn(&Stop) -> bool + 'a>;
    let cases: [(&str, Pretended<'_>); 14] = [
        ("setns", Box::new(is(libc::SYS_setns))),
        ("chroot", Box::new(is(libc::SYS_chroot))),
        ("fchdir", Box::new(is(libc::SYS_fchdir))),
        (
            "setgroups",
            // But for the first one, which is setpriv(1)'s.
            Box::new(|stop| is(libc::SYS_setgroups)(stop) && (stop.place, stop.before) != (0, 0)),
        ),
        ("setresgid", Box::new(is(libc::SYS_setresgid))),
        ("setresuid", Box::new(is(libc::SYS_setresuid))),
        ("capset", Box::new(is(libc::SYS_capset))),
        ("keyctl", Box::new(is(libc::SYS_keyctl))),
        ("PR_SET_PDEATHSIG", Box::new(prctl(libc::PR_SET_PDEATHSIG))),
        ("PR_CAPBSET_DROP", Box::new(prctl(libc::PR_CAPBSET_DROP))),
        (
            "PR_SET_NO_NEW_PRIVS",
            Box::new(prctl(libc::PR_SET_NO_NEW_PRIVS)),
        ),
        ("seccomp", Box::new(is(libc::SYS_seccomp))),
        (
            "landlock_restrict_self",
            Box::new(is(libc::SYS_landlock_restrict_self)),
        ),
        ("close_range", Box::new(is(libc::SYS_close_range))),
    ];
    let mut open = Vec::new();
    for (name, pretended) in &cases {
        let (status, stdout, stderr, count) = run(&target, pretended);
        assert!(count > 0, "{name}: never called");
        if status == 0 || !stdout.is_empty() {
            open.push(format!("{name}: {status} {stdout} {stderr}"));
        }
    }
    assert!(open.is_empty(), "started all the same: {open:?}");
    let (status, stdout, _, _) = run(&target, |_| false);
    assert_eq!((status, stdout.as_str()), (0, "started\n"));
}
