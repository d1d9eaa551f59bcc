//! Calls by the 32-bit table. Where functions are hooked they are seen as any other; no
//! tracepoint sees them, but the next thing that the task does shows which namespaces
//! it is in.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test, a panic is how it fails, and a count is printed"
)]

mod support;

use std::os::unix::process::ExitStatusExt as _;

use nix::libc::SIGSEGV;
use nsexec_audit::config::Backend;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Abi;

use support::driver::{Driver, Said};
use support::gaps::gaps;
use support::{Watched, differing, leave_out};

/// How many tasks do it.
const TIMES: usize = 100;

/// A call, and how its task went on.
struct Done {
    said: Said,
    call: &'static str,
    flag: &'static str,
    name: &'static str,
    how: &'static str,
}

#[test]
fn a_32_bit_call_is_seen_or_is_a_gap_of_exactly_its_slots() {
    let test = "a_32_bit_call_is_seen_or_is_a_gap_of_exactly_its_slots";
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
        done.push(Done {
            said,
            call,
            flag,
            name,
            how,
        });
    }
    let last = &done.last().unwrap().said;
    watched.find("exit", |event| match event {
        Event::Exit(record) if record.actor.tid == last.tid => Some(()),
        _ => None,
    });
    let gaps = gaps(&tasks, &watched.seen);
    for Done {
        said,
        call,
        flag,
        name,
        how,
    } in &done
    {
        let own: Vec<_> = gaps.iter().filter(|gap| gap.tid == said.tid).collect();
        let seen = watched.calls_of(said.tid);
        match (watched.probes.backend(), &own[..], &seen[..]) {
            (Backend::Fentry, [], [record]) => {
                assert_eq!(record.call.abi, Abi::Compat, "{call} {name}");
                assert_eq!(record.call.syscall.name(), *call);
                assert_eq!(format!("{:#010x}", record.call.flags), *flag);
                assert_eq!(record.call.fd >= 0, *call == "setns");
                assert_eq!((record.call.ret, record.after), said.call());
                assert_eq!(record.before, said.before, "{call} {name}");
            }
            (Backend::Tracepoint, [gap], []) => {
                assert_eq!(gap.ns.changed.names().collect::<Vec<_>>(), [*name], "{how}");
                assert_eq!(gap.found_at.name(), *how, "{name}");
            }
            other => panic!("{call} {name} {how}: {other:?}"),
        }
    }
    match watched.probes.backend() {
        Backend::Fentry => println!("compat: {TIMES} of {TIMES} calls are seen as they were"),
        Backend::Tracepoint => println!("compat: {TIMES} of {TIMES} gaps name exactly the slots"),
    }
}
