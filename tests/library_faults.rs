//! Any system call of any stage fails: the stages end, the runtime receives the cause, and
//! it never takes over in a process that is not in every namespace.
//!
//! strace(1) makes the n-th call of a name fail in the process that makes it.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use support::Target;
use support::protocol_b::{Exec, Outcome, joining};
use support::runtime::{Link, runtime};
use support::share;

const JOINED: [&str; 5] = ["ipc", "uts", "net", "pid", "mnt"];

/// An errno that none of these calls returns by itself.
const ERRNO: &str = "EDOM";

/// Calls of the C library before the constructor, calls of `runtime.c` after it, and
/// write(2), without which no stage can report an error.
const OTHERS: [&str; 13] = [
    "arch_prctl",
    "brk",
    "execve",
    "exit",
    "exit_group",
    "getcwd",
    "getrandom",
    "mprotect",
    "readlink",
    "rseq",
    "set_robust_list",
    "set_tid_address",
    "write",
];

/// No stage makes a call more often than this before the runtime takes over.
const MOST: usize = 25;

/// The messages of a stage about another stage that ended, which are no cause.
const ENDED: [&str; 2] = [
    "failed to sync with stage-",
    "cannot communicate with stage 0",
];

struct Bench {
    target: Target,
    directory: PathBuf,
}

impl Bench {
    fn run(&self, inject: Option<(&str, usize)>, logged: bool) -> Outcome {
        let inject = match inject {
            Some((name, n)) => format!("-e inject={name}:error={ERRNO}:when={n}"),
            None => String::new(),
        };
        // -D: the runtime is this process's child, and strace is not.
        let script = format!(
            "#!/bin/sh\nexec /usr/bin/strace -D -f -qq -o {} {inject} {}\n",
            self.log().display(),
            runtime(Link::Static).display()
        );
        let wrapper = self.directory.join("runtime");
        fs::write(&wrapper, script).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let mut bootstrap = joining(self.target.pid(), &JOINED);
        bootstrap.oom_score_adj = Some(100);
        let exec = Exec::new(wrapper, &bootstrap);
        if logged { exec } else { exec.unlogged() }.run()
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

/// The highest number of times that a process made each call.
fn calls(log: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_once(' ').map(|(pid, call)| (pid, call.trim()));
        if let Some((pid, call)) = call
            && let Some((name, _)) = call.split_once('(')
            && !name.starts_with('<')
        {
            *counts.entry((name.to_owned(), pid.to_owned())).or_insert(0) += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((name, _), count) in counts {
        let entry = most.entry(name).or_insert(0);
        *entry = count.max(*entry);
    }
    most
}

#[test]
fn any_failed_call_is_reported_to_the_runtime() {
    support::needs!(root);
    let bench = Bench {
        target: Target::new(),
        directory: support::temporary_directory("library-faults"),
    };
    let calm = bench.run(None, true);
    assert!(calm.stage0.success(), "{calm:?}");
    let points: Vec<(String, usize)> = calls(&bench.log())
        .into_iter()
        .filter(|(name, _)| !OTHERS.contains(&name.as_str()))
        .flat_map(|(name, most)| (1..=most.min(MOST)).map(move |n| (name.clone(), n)))
        .collect();
    let (mut report, mut unharmed) = (0, 0);
    for (name, n) in share::of(points.into_iter()) {
        for logged in [true, false] {
            let what = format!("{name} {n}, logged: {logged}");
            let outcome = bench.run(Some((&name, n)), logged);
            if outcome.stage0.success() {
                for namespace in JOINED {
                    let joined = outcome.state.get(namespace);
                    assert_eq!(joined, bench.target.namespace(namespace), "{what}");
                }
                unharmed += 1;
                continue;
            }
            assert_eq!(outcome.stage0.code(), Some(1), "{what}: {outcome:?}");
            let on_stderr = outcome.stderr.lines();
            let on_stderr = on_stderr.filter_map(|line| line.strip_prefix("FATAL: "));
            let mut lines = outcome.fatal().into_iter().chain(on_stderr);
            let is_cause = |line: &str| !ENDED.iter().any(|ended| line.starts_with(ended));
            assert!(
                lines.any(|line| is_cause(line) || line.contains(ERRNO)),
                "{what}: {outcome:?}"
            );
            report += 1;
        }
    }
    println!("{report} failures reported, {unharmed} without harm");
    assert!(report > 0 && unharmed > 0);
    fs::remove_dir_all(&bench.directory).unwrap();
}
