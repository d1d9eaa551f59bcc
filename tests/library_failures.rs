//! A stage that fails: the runtime receives the cause in every run.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nsexec_kernel_text::procfs::id_map;
use nsexec_protocol::netlink::{Bootstrap, Mapping};
use nsexec_protocol::{ns_paths, time_offsets};
use nsexec_request::Namespace;
use support::protocol_b::{Exec, Outcome, nothing};
use support::runtime::{Link, runtime};
use support::share::share;

/// How often each stage fails, with a log pipe and without. A stage that closed its end of
/// the channel before it wrote the cause lost at least one cause in three runs.
const FAILURES: usize = 1000;

/// A message that a stage cannot carry out, and the cause that the stage writes.
struct Case {
    stage: &'static str,
    bootstrap: Bootstrap,
    cause: &'static str,
}

fn cases() -> [Case; 4] {
    let map = || {
        Some(Mapping {
            map: id_map::parse(b"0 0 1\n").unwrap(),
            tool: None,
        })
    };
    let new_user_namespace = |uid_map, gid_map| Bootstrap {
        create: BTreeSet::from([Namespace::User]),
        uid_map,
        gid_map,
        ..nothing()
    };
    let before_the_beginning = "boottime -4000000000 0\n";
    [
        Case {
            stage: "nsexec-0",
            // time_namespaces(7): the offset would make the clock negative.
            bootstrap: Bootstrap {
                create: BTreeSet::from([Namespace::Time]),
                time_offsets: Some(time_offsets::parse(before_the_beginning.as_bytes()).unwrap()),
                ..nothing()
            },
            cause: "timens_offsets: ERANGE: ",
        },
        Case {
            stage: "nsexec",
            // setns(2): a process cannot join its own user namespace. Stage 0 detects this
            // before the first clone.
            bootstrap: Bootstrap {
                join: ns_paths::parse(b"user:/proc/self/ns/user").unwrap(),
                ..nothing()
            },
            cause: "the user namespace cannot be joined",
        },
        Case {
            stage: "nsexec-1",
            // No user is mapped.
            bootstrap: new_user_namespace(None, map()),
            cause: "failed to become root in user namespace: EINVAL",
        },
        Case {
            stage: "nsexec-2",
            // No group is mapped.
            bootstrap: new_user_namespace(map(), None),
            cause: "setgid failed: EINVAL",
        },
    ]
}

#[test]
fn the_cause_of_each_failure_reaches_the_runtime() {
    support::needs!(root);
    let times = FAILURES / share();
    for case in cases() {
        let (mut on_pipe, mut on_stderr) = (0, 0);
        for _ in 0..times {
            let outcome = fail(&case, |exec| exec);
            on_pipe += usize::from(outcome.log.iter().any(|(level, message)| {
                level == "fatal" && is_of(message, case.stage) && message.contains(case.cause)
            }));
            let outcome = fail(&case, Exec::unlogged);
            let mut lines = outcome.stderr.lines();
            let is_cause = |one: &str| one.starts_with("FATAL: ") && one.contains(case.cause);
            on_stderr += usize::from(lines.any(is_cause));
        }
        println!(
            "{}, {}: {on_pipe} of {times} on the log pipe, {on_stderr} of {times} on standard error",
            case.stage, case.cause
        );
        assert_eq!((on_pipe, on_stderr), (times, times), "{}", case.cause);
    }
    // The users of a runtime have no command line of nsexec.
    let outcome = fail(&cases()[1], |exec| exec);
    for message in outcome.fatal() {
        assert!(!message.contains(" -"), "{message}");
    }
    // Level 0 suppresses all lines except the cause.
    let outcome = fail(&cases()[0], |exec| exec.set("_LIBCONTAINER_LOGLEVEL", "0"));
    assert!(outcome.log.iter().all(|(level, _)| level == "fatal"));
    assert!(outcome.fatal()[0].contains(cases()[0].cause), "{outcome:?}");
}

fn fail(case: &Case, how: impl FnOnce(Exec) -> Exec) -> Outcome {
    let outcome = how(Exec::new(runtime(Link::Static), &case.bootstrap)).run();
    assert_eq!(outcome.stage0.code(), Some(1), "{outcome:?}");
    // Stages 1 and 2 are children of this process, which has no others.
    loop {
        match waitpid(None, None) {
            Ok(_) => {}
            Err(Errno::ECHILD) => return outcome,
            Err(errno) => panic!("{errno}"),
        }
    }
}

fn is_of(message: &str, stage: &str) -> bool {
    message.starts_with(&format!("{stage}["))
}
