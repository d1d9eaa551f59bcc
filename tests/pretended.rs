//! A call that only seems to succeed: a filter of the caller, or a tracer, returns 0 and
//! the kernel does not execute the call (SECCOMP_RET_ERRNO with errno 0). nsexec reads the
//! resulting state back, so that it does not start a program with less.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeSet;
use std::fs;

use nsexec_protocol::netlink::Bootstrap;
use nsexec_protocol::ns_paths;
use nsexec_request::Namespace;
use support::features::can_use;
use support::protocol_b::{Exec, Outcome, joining, nothing};
use support::runtime::{Link, runtime};
use support::tracer::{self, Action, Stop};
use support::{Build, NSEXEC, Target, temporary_directory, text};

type Pretended<'a> = Box<dyn Fn(&Stop) -> bool + 'a>;

fn is(number: libc::c_long) -> impl Fn(&Stop) -> bool {
    move |stop| i64::try_from(stop.number) == Ok(number)
}

/// Runs an exec in which every call that `pretended` names is not executed and
/// returns 0. The status, and both outputs. The caller is root `without` something.
fn run(
    target: &Target,
    without: &[&str],
    pretended: impl Fn(&Stop) -> bool,
) -> (i32, String, String, usize) {
    let directory = temporary_directory("pretended");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let pid = target.pid().to_string();
    // Groups, for there to be some to drop; a directory other than the root.
    let mut words = vec!["setpriv", "--groups=5,6"];
    words.extend(without);
    words.extend([NSEXEC, "-t", &pid, "-S1000", "-G1000"]);
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
    support::needs!(root);
    let test = "a_call_that_only_seems_to_succeed_never_starts_a_program_with_less";
    let target = with_a_chroot(Vec::new());
    let prctl = |option: i32| {
        move |stop: &Stop| {
            i64::try_from(stop.number) == Ok(libc::SYS_prctl)
                && i32::try_from(stop.argument) == Ok(option)
        }
    };
    let cases: [(&str, Pretended<'_>); 16] = [
        ("setsid", Box::new(is(libc::SYS_setsid))),
        ("PR_SET_DUMPABLE", Box::new(prctl(libc::PR_SET_DUMPABLE))),
        ("setns", Box::new(is(libc::SYS_setns))),
        ("chroot", Box::new(is(libc::SYS_chroot))),
        ("fchdir", Box::new(is(libc::SYS_fchdir))),
        (
            "setgroups",
            // All but the first, which is setpriv(1)'s.
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
        if !is_called_here(test, name) {
            continue;
        }
        let (status, stdout, stderr, count) = run(&target, &[], pretended);
        assert!(count > 0, "{name}: never called");
        if status == 0 || !stdout.is_empty() {
            open.push(format!("{name}: {status} {stdout} {stderr}"));
        }
    }
    assert!(open.is_empty(), "started all the same: {open:?}");
    let (status, stdout, _, _) = run(&target, &[], |_| false);
    assert_eq!((status, stdout.as_str()), (0, "started\n"));
}

/// umask(2) has no failure: only a second call shows whether the first was executed.
#[test]
fn a_umask_that_is_not_set_is_detected() {
    support::needs!(root);
    let directory = temporary_directory("pretended-umask");
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut copy = std::process::Command::new("cp");
    copy.args(["-r", &format!("{policies}/."), directory.to_str().unwrap()]);
    support::succeed(copy);
    let policy = directory.join("admin.toml");
    let text_of_admin = fs::read_to_string(&policy).unwrap();
    let with_umask = text_of_admin.replace("[process]\n", "[process]\numask = 0o027\n");
    fs::write(&policy, with_umask).unwrap();
    let target = Target::new();
    let pid = target.pid().to_string();
    let policy = policy.to_str().unwrap();
    let words = [
        NSEXEC, "-t", &pid, "--policy", policy, "--", "/bin/sh", "-c", "umask",
    ];
    let run = |pretends: bool| {
        let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
        let ended = tracer::run(&words, open("out"), open("err"), |stop| {
            // The shell's own calls follow an execve of a process that is no helper.
            let is_child = stop.place > 0 && is(libc::SYS_umask)(&stop);
            match pretends && is_child && stop.result.is_none() {
                true => Action::Pretend,
                false => Action::Go,
            }
        });
        let read = |name: &str| text(&fs::read(directory.join(name)).unwrap());
        (ended.status, read("out"), read("err"))
    };
    let (status, stdout, stderr) = run(true);
    assert_eq!((status, stdout.as_str()), (125, ""), "{stderr}");
    assert!(stderr.contains("the umask cannot be set"), "{stderr}");
    let (status, stdout, stderr) = run(false);
    assert_eq!((status, stdout.as_str()), (0, "0027\n"), "{stderr}");
    fs::remove_dir_all(directory).unwrap();
}

/// Whether the helper makes the call of a case on this kernel; if not, the case is left out.
fn is_called_here(test: &str, case: &str) -> bool {
    let case_of_test = format!("{test}, {case}");
    case != "landlock_restrict_self" || support::needs::feature(&case_of_test, "Landlock: execute")
}

/// A target with a root that is not that of its mount namespace, where setns(2) leads.
fn with_a_chroot(prefix: Vec<&'static str>) -> Target {
    Target::build(&Build {
        prefix,
        script: "mkdir -p /sub/bin; cp /bin/busybox /sub/bin/".to_owned(),
        program: Some("chroot /sub /bin/busybox sleep 1000".to_owned()),
        ..Build::default()
    })
}

/// Without CAP_SYS_PTRACE, /proc shows the verifier neither root nor working directory of
/// the undumpable child: the child compares them itself.
#[test]
fn a_child_compares_its_own_root_where_nobody_else_can() {
    support::needs!(root);
    let without = ["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];
    let target = with_a_chroot([&["setpriv"], &without[..]].concat());
    for (name, number) in [("chroot", libc::SYS_chroot), ("fchdir", libc::SYS_fchdir)] {
        let (status, stdout, stderr, count) = run(&target, &without, is(number));
        assert!(count > 0, "{name}: never called");
        let ended = (status, stdout.as_str());
        assert_eq!(ended, (125, ""), "{name}: {stderr}");
    }
    let (status, stdout, stderr, _) = run(&target, &without, |_| false);
    assert_eq!((status, stdout.as_str()), (0, "started\n"), "{stderr}");
}

/// The child of protocol A, whose helper has ended: it reads its own state back.
#[test]
fn a_child_of_protocol_a_starts_no_program_with_less() {
    support::needs!(root);
    let target = with_a_chroot(Vec::new());
    let prctl = |option: i32| {
        move |stop: &Stop| {
            i64::try_from(stop.number) == Ok(libc::SYS_prctl)
                && i32::try_from(stop.argument) == Ok(option)
        }
    };
    let cases: [(&str, Pretended<'_>); 13] = [
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
        ("PR_CAPBSET_DROP", Box::new(prctl(libc::PR_CAPBSET_DROP))),
        (
            "PR_SET_NO_NEW_PRIVS",
            Box::new(prctl(libc::PR_SET_NO_NEW_PRIVS)),
        ),
        ("seccomp", Box::new(is(libc::SYS_seccomp))),
        (
            "seccomp of the child",
            Box::new(|stop| is(libc::SYS_seccomp)(stop) && stop.place > 0),
        ),
        (
            "landlock_restrict_self",
            Box::new(is(libc::SYS_landlock_restrict_self)),
        ),
    ];
    let mut open = Vec::new();
    for (name, pretended) in &cases {
        if !is_called_here("a_child_of_protocol_a_starts_no_program_with_less", name) {
            continue;
        }
        let (status, stdout, stderr, count) = run_a(&target, pretended);
        if stdout.contains("started") || count == 0 {
            open.push(format!("{name}: {count} {status} {stdout} {stderr}"));
        }
    }
    assert!(open.is_empty(), "started all the same: {open:#?}");
    let (_, stdout, stderr, _) = run_a(&target, |_| false);
    assert_eq!(stdout, "started\n", "{stderr}");
}

/// With --no-fork no parent counts the last filters. The ceiling's, the first one, is loaded.
#[test]
fn a_program_without_a_parent_has_its_last_filter() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid().to_string();
    for policy in ["default", "strict", "admin", "net"] {
        if !can_use(policy, "a_program_without_a_parent_has_its_last_filter") {
            continue;
        }
        for pretends in [true, false] {
            let directory = temporary_directory("pretended-f");
            let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
            let words = [NSEXEC, "-F", "-t", &pid, "--policy", policy, "--"];
            let words = [&words[..], &["/bin/busybox", "echo", "started"]].concat();
            let mut loads = 0;
            tracer::run(&words, open("out"), open("err"), |stop| {
                let loading = is(libc::SYS_seccomp)(&stop) && stop.place == 0;
                if !loading || stop.result.is_some() || stop.before == 0 {
                    return Action::Go;
                }
                loads += 1;
                if pretends {
                    Action::Pretend
                } else {
                    Action::Go
                }
            });
            let stdout = text(&fs::read(directory.join("out")).unwrap());
            fs::remove_dir_all(directory).unwrap();
            let started = if pretends && loads > 0 {
                ""
            } else {
                "started\n"
            };
            assert_eq!(stdout, started, "{policy}: {pretends}");
            assert_eq!(loads > 0, policy != "admin", "{policy}: {loads}");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runtime's side waits while the tracer works"
)]
fn run_a(target: &Target, pretended: impl Fn(&Stop) -> bool) -> (i32, String, String, usize) {
    use command_fds::{CommandFdExt, FdMapping};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    let directory = temporary_directory("pretended-a");
    let open = |name: &str| fs::File::create(directory.join(name)).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let runtime = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(&ours).read_line(&mut line).unwrap();
        let words = ["/bin/busybox", "echo", "started"];
        let mut config = support::protocol_a::config(&words);
        config["user"] = "1000:1000".into();
        config["cwd"] = "/bin".into();
        config["config"]["additional_groups"] = serde_json::json!(["7", "8"]);
        config["config"]["seccomp"] = serde_json::json!({
            "default_action": -1,
            "architectures": null,
            "syscalls": [{ "name": "mkdir", "action": -3, "args": null }],
        });
        let _ = (&ours).write_all(config.to_string().as_bytes());
        let _ = ours.shutdown(Shutdown::Write);
        let mut answer = String::new();
        let _ = (&ours).read_to_string(&mut answer);
        answer
    });
    let pid = target.pid().to_string();
    let prepare = |command: &mut std::process::Command| {
        let mapping = FdMapping {
            parent_fd: theirs.into(),
            child_fd: 3,
        };
        command.fd_mappings(vec![mapping]).unwrap();
        command
            .env("_LIBCONTAINER_INITPID", &pid)
            .env("_LIBCONTAINER_INITPIPE", "3")
            .env("_LIBCONTAINER_INITTYPE", "setns");
    };
    let mut count = 0;
    let words = ["setpriv", "--groups=5,6", NSEXEC, "init"];
    let ended = tracer::run_prepared(&words, prepare, open("out"), open("err"), |stop| {
        if stop.result.is_none() && pretended(&stop) {
            count += 1;
            return Action::Pretend;
        }
        Action::Go
    });
    let read = |name: &str| text(&fs::read(directory.join(name)).unwrap());
    let (stdout, stderr) = (read("out"), read("err"));
    fs::remove_dir_all(directory).unwrap();
    let answer = runtime.join().unwrap();
    (ended.status, stdout, stderr + &answer, count)
}

/// The namespaces that `runc exec` joins, in the order in which a stage joins files one by
/// one.
const JOINED: [&str; 6] = ["cgroup", "ipc", "uts", "net", "pid", "mnt"];

/// Protocol B, in which the calls of `pretended` are not executed and return 0.
fn run_b(exec: Exec, pretended: impl Fn(&Stop) -> bool) -> (Outcome, usize) {
    let mut count = 0;
    let outcome = exec.run_traced(|stop| {
        if stop.result.is_none() && pretended(&stop) {
            count += 1;
            return Action::Pretend;
        }
        Action::Go
    });
    (outcome, count)
}

/// The only fatal line names the namespace, and no pid was reported to the runtime.
#[track_caller]
fn assert_not_taken_over(name: &str, (outcome, count): &(Outcome, usize), why: &str) {
    assert!(*count > 0, "{name}: never called");
    assert_eq!(outcome.stage0.code(), Some(1), "{name}: {outcome:?}");
    assert_eq!(outcome.report, "", "{name}: {outcome:?}");
    assert!(outcome.state.0.is_empty(), "{name}: {outcome:?}");
    let fatal = outcome.fatal();
    let first = fatal
        .first()
        .unwrap_or_else(|| panic!("{name}: {outcome:?}"));
    assert!(first.contains(why), "{name}: {why}: {outcome:?}");
}

fn as_files(pid: i32) -> Bootstrap {
    // Another spelling of the paths, so that stage 0 does not recognise them as one
    // process's.
    let paths = JOINED.map(|name| format!("{name}:/proc/{pid}/task/{pid}/ns/{name}"));
    Bootstrap {
        join: ns_paths::parse(paths.join(",").as_bytes()).unwrap(),
        ..nothing()
    }
}

/// libnsexec: stage 0 reads the namespaces of stage 2 before it reports stage 2 to the
/// runtime.
#[test]
fn a_stage_in_other_namespaces_is_not_reported_to_a_runtime() {
    support::needs!(root);
    let target = Target::new();
    let program = || runtime(Link::Static);
    let pid = target.pid();
    let whole = joining(pid, &JOINED);
    let elsewhere = |name: &str| {
        let kept = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        format!(
            "its {name} namespace is {}; the plan requires",
            kept.display()
        )
    };

    let setns = run_b(Exec::new(program(), &whole), is(libc::SYS_setns));
    assert_not_taken_over("setns", &setns, " namespace is ");

    // Each call alone. The stage joins in the order of the types.
    for (index, name) in JOINED.into_iter().enumerate() {
        let one = |stop: &Stop| is(libc::SYS_setns)(stop) && stop.before == index;
        let outcome = run_b(Exec::new(program(), &as_files(pid)), one);
        assert_not_taken_over(name, &outcome, &elsewhere(name));
    }

    for created in [
        Namespace::Ipc,
        Namespace::Net,
        Namespace::Pid,
        Namespace::Uts,
    ] {
        let bootstrap = Bootstrap {
            create: BTreeSet::from([created]),
            ..nothing()
        };
        let outcome = run_b(Exec::new(program(), &bootstrap), is(libc::SYS_unshare));
        assert_not_taken_over(created.name(), &outcome, &elsewhere(created.name()));
    }

    let ceiling = Exec::new(program(), &whole).set("RUNTIME_CEILING", "1");
    let seccomp = run_b(ceiling, is(libc::SYS_seccomp));
    assert_not_taken_over("seccomp", &seccomp, "its Seccomp_filters is ");

    for bootstrap in [&whole, &as_files(pid)] {
        let (outcome, _) = run_b(Exec::new(program(), bootstrap), |_| false);
        assert!(outcome.stage0.success(), "{outcome:?}");
        for name in JOINED {
            assert_eq!(
                outcome.state.get(name),
                target.namespace(name),
                "{outcome:?}"
            );
        }
    }
}

/// Without CAP_SYS_PTRACE, /proc shows stage 0 no namespace of an undumpable stage: stage 1
/// reads its own, and those for its children.
#[test]
fn a_stage_compares_its_own_namespaces_without_ptrace() {
    support::needs!(root);
    let without = vec![
        "setpriv",
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-sys_ptrace",
    ];
    let target = Target::build(&Build {
        prefix: without.clone(),
        ..Build::default()
    });
    let exec = |bootstrap: &Bootstrap| Exec {
        prefix: without.clone(),
        ..Exec::new(runtime(Link::Static), bootstrap)
    };
    let files = as_files(target.pid());
    for (index, name) in JOINED.into_iter().enumerate() {
        let one = |stop: &Stop| is(libc::SYS_setns)(stop) && stop.before == index;
        let outcome = run_b(exec(&files), one);
        let name = match name {
            "pid" => "pid_for_children",
            name => name,
        };
        let why = format!("its {name} namespace would be ");
        assert_not_taken_over(name, &outcome, &why);
    }
    let bootstrap = Bootstrap {
        create: BTreeSet::from([Namespace::Uts]),
        ..nothing()
    };
    let outcome = run_b(exec(&bootstrap), is(libc::SYS_unshare));
    assert_not_taken_over("unshare", &outcome, "its uts namespace would be ");

    let (outcome, _) = run_b(exec(&files), |_| false);
    assert!(outcome.stage0.success(), "{outcome:?}");
    for name in JOINED {
        assert_eq!(
            outcome.state.get(name),
            target.namespace(name),
            "{outcome:?}"
        );
    }
}
