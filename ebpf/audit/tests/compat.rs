//! Calls by the 32-bit table, which no tracepoint sees: the next thing that the task
//! does shows which namespaces it is in.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test, a panic is how it fails, and a count is printed"
)]

mod support;

use std::os::unix::process::ExitStatusExt as _;

use nix::libc::SIGSEGV;
use nsexec_audit_abi::Event;

use support::driver::Driver;
use support::gaps::gaps;
use support::{Watched, differing, leave_out};

/// How many tasks do it.
const TIMES: usize = 100;

#[test]
fn a_call_that_no_probe_sees_is_a_gap_of_exactly_its_slots() {
    let test = "a_call_that_no_probe_sees_is_a_gap_of_exactly_its_slots";
    let Some(driver) = Driver::build(test) else {
        return;
    };
    let mut trial = driver.start(&["compat", "unshare", "0x04000000", "uts", "exit"]);
    if trial.status().signal() == Some(SIGSEGV) {
        leave_out(test, "this kernel has no 32-bit table");
        return;
    }
    let Some(mut watched) = Watched::start(test) else {
        return;
    };
    let tasks = watched.probes.snapshot().unwrap();
    let types = [
        ("cgroup", "0x02000000"),
        ("ipc", "0x08000000"),
        ("mnt", "0x00020000"),
        ("net", "0x40000000"),
        ("user", "0x10000000"),
        ("uts", "0x04000000"),
    ];
    let mut cases = Vec::new();
    for call in ["unshare", "setns"] {
        for (name, flag) in types {
            for how in ["fork", "exec", "exit"] {
                cases.push((call, name, flag, how));
            }
        }
    }
    let mut done = Vec::new();
    for (call, name, flag, how) in cases.into_iter().cycle().take(TIMES) {
        let said = driver.run(&mut watched, &["compat", call, flag, name, how]);
        let (result, after) = said.call();
        assert_eq!(result, 0, "{call} {name}");
        assert_eq!(differing(&said.before, &after), [name]);
        done.push((said, name, how));
    }
    let (last, ..) = done.last().unwrap();
    watched.find("exit", |event| match event {
        Event::Exit(record) if record.actor.tid == last.tid => Some(()),
        _ => None,
    });
    let gaps = gaps(&tasks, &watched.seen);
    let mut exact = 0;
    for (said, name, how) in &done {
        let own: Vec<_> = gaps.iter().filter(|gap| gap.tid == said.tid).collect();
        let [gap] = own[..] else {
            panic!("{name} {how}: {own:?}");
        };
        assert_eq!(gap.ns.changed.names().collect::<Vec<_>>(), [*name], "{how}");
        assert_eq!(gap.found_at, *how, "{name}");
        let seen = watched
            .seen
            .iter()
            .any(|event| matches!(event, Event::Namespace(record) if record.actor.tid == said.tid));
        assert!(!seen, "{name} {how}: it was seen after all");
        exact += 1;
    }
    println!("compat: {exact} of {TIMES} gaps name exactly the slots");
}
