//! Calls through the 32-bit table. Function hooks report them like other calls. Tracepoints
//! do not, but the next event of the task shows its namespaces.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by a panic, and a count is printed"
)]

mod support;

use std::os::unix::process::ExitStatusExt as _;

use nix::libc::SIGSEGV;
use nsexec_audit::config::Backend;
use nsexec_audit_abi::Event;
use nsexec_audit_abi::code::Abi;

use support::driver::{Driver, DriverOutput};
use support::gaps::gaps;
use support::{Watched, differing, leave_out};

/// The number of tasks.
const TIMES: usize = 100;

/// A call, and the event of its task after it.
struct Done {
    output: DriverOutput,
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
        let output = driver.run(&mut watched, &["compat", call, flag, name, how]);
        let (result, after) = output.call();
        assert_eq!(result, 0, "{call} {name}");
        assert_eq!(differing(&output.before, &after), [name]);
        done.push(Done {
            output,
            call,
            flag,
            name,
            how,
        });
    }
    let last = &done.last().unwrap().output;
    watched.find("exit", |event| match event {
        Event::Exit(record) if record.actor.tid == last.tid => Some(()),
        _ => None,
    });
    let gaps = gaps(&tasks, &watched.seen);
    for Done {
        output,
        call,
        flag,
        name,
        how,
    } in &done
    {
        let own: Vec<_> = gaps.iter().filter(|gap| gap.tid == output.tid).collect();
        let seen = watched.calls_of(output.tid);
        match (watched.probes.backend(), &own[..], &seen[..]) {
            (Backend::Fentry, [], [record]) => {
                assert_eq!(record.call.abi, Abi::Compat, "{call} {name}");
                assert_eq!(record.call.syscall.name(), *call);
                assert_eq!(format!("{:#010x}", record.call.flags), *flag);
                assert_eq!(record.call.fd >= 0, *call == "setns");
                assert_eq!((record.call.ret, record.after), output.call());
                assert_eq!(record.before, output.before, "{call} {name}");
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
