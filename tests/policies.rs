//! Every shipped policy is executed: the kernel's result for a call under the policy is the
//! result of the policy's programs in the interpreter.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::process::Command;

use nsexec_policy_engine::policy::resolved::{Layer, ResolvedPolicy};
use nsexec_policy_engine::seccomp::interpret::{Call, run_stacked};
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::table::Arch;
use nsexec_shipped_policies::builtin;
use support::protocol_a::{Exec, config};
use support::{Target, succeed, temporary_directory};

/// Makes each system call given as arguments (number and six arguments each), and prints
/// errno or 0.
const PROBE: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    for (int i = 1; i + 6 < count; i += 7) {
        unsigned long a[7];
        for (int j = 0; j < 7; j++) a[j] = strtoul(words[i + j], 0, 0);
        long result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
        printf("%d\n", result == -1 ? errno : 0);
    }
    return 0;
}
"#;

struct Probe {
    name: &'static str,
    arguments: [u64; 6],
    /// An allowed call fails with another errno than a filter's (EBADF, EFAULT, EINVAL) or
    /// succeeds.
    distinct: bool,
}

const fn probe(name: &'static str, arguments: [u64; 6]) -> Probe {
    Probe {
        name,
        arguments,
        distinct: true,
    }
}

/// A call that the kernel itself may refuse with a filter's errno.
const fn vague(name: &'static str, arguments: [u64; 6]) -> Probe {
    Probe {
        name,
        arguments,
        distinct: false,
    }
}

const BAD: u64 = u64::MAX;

/// Calls at the values that the rules compare, and next to them. Every allowed call has
/// arguments with which it has no effect.
const PROBES: [Probe; 38] = [
    probe("getpid", [0; 6]),
    probe("read", [BAD, 0, 0, 0, 0, 0]),
    probe("socket", [1, 1, 0, 0, 0, 0]),
    probe("socket", [2, 2, 0, 0, 0, 0]),
    probe("socket", [10, 2, 0, 0, 0, 0]),
    probe("socket", [16, 3, 0, 0, 0, 0]),
    probe("socket", [38, 5, 0, 0, 0, 0]),
    probe("socket", [40, 1, 0, 0, 0, 0]),
    probe("socket", [(1 << 32) | 40, 1, 0, 0, 0, 0]),
    probe("personality", [0xffff_ffff, 0, 0, 0, 0, 0]),
    probe("personality", [1, 0, 0, 0, 0, 0]),
    probe("setns", [BAD, 0, 0, 0, 0, 0]),
    vague("unshare", [0x1_0000, 0, 0, 0, 0, 0]),
    vague("mount", [0; 6]),
    vague("umount2", [0; 6]),
    vague("pivot_root", [0; 6]),
    vague("fsopen", [0; 6]),
    vague("open_tree", [BAD, 0, 0, 0, 0, 0]),
    vague("ptrace", [99, 0, 0, 0, 0, 0]),
    vague("process_vm_readv", [0; 6]),
    vague("bpf", [9999, 0, 0, 0, 0, 0]),
    vague("perf_event_open", [0, 0, 0, BAD, 0, 0]),
    vague("keyctl", [9999, 0, 0, 0, 0, 0]),
    vague("add_key", [0; 6]),
    vague("io_uring_setup", [0; 6]),
    vague("userfaultfd", [BAD, 0, 0, 0, 0, 0]),
    vague("init_module", [0; 6]),
    vague("delete_module", [0; 6]),
    vague("kexec_load", [0, 0, 0, 0xffff, 0, 0]),
    vague("reboot", [0; 6]),
    vague("swapon", [0; 6]),
    vague("open_by_handle_at", [BAD, 0, 0, 0, 0, 0]),
    vague("clone3", [0; 6]),
    probe("ioctl", [BAD, 0x5412, 0, 0, 0, 0]),
    probe("ioctl", [BAD, (1 << 32) | 0x5412, 0, 0, 0, 0]),
    probe("ioctl", [BAD, 0x541c, 0, 0, 0, 0]),
    probe("ioctl", [BAD, 0x5413, 0, 0, 0, 0]),
    probe("mkdirat", [BAD, 0, 0, 0, 0, 0]),
];

/// Compiles the probe into a target's root.
fn install(target: &Target) {
    let directory = temporary_directory("probe");
    let source = directory.join("probe.c");
    fs::write(&source, PROBE).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-static", "-o"])
        .arg(target.root().join("bin/probe"))
        .arg(&source);
    succeed(gcc);
    fs::remove_dir_all(directory).unwrap();
}

/// The probe's arguments, and two calls that no table contains.
fn words(arch: Arch) -> Vec<String> {
    let known = PROBES
        .iter()
        .map(|probe| (arch.number(probe.name).unwrap(), probe.arguments));
    let unknown = [(600, [0; 6]), (0x4000_0000 + 39, [0; 6])];
    known
        .chain(unknown)
        .flat_map(|(number, arguments)| {
            std::iter::once(u64::from(number))
                .chain(arguments)
                .map(|word| word.to_string())
        })
        .collect()
}

/// The result of the policy's programs: the errno, or `None` if they allow the call.
fn meant(policy: &ResolvedPolicy, number: u32, arguments: [u64; 6], arch: Arch) -> Option<u32> {
    let layers = [&policy.ceiling.seccomp, &policy.workload.seccomp];
    let programs: Vec<&Program> = layers
        .into_iter()
        .filter_map(|layer| match layer {
            Layer::Enforce(program) => Some(program),
            Layer::None { .. } => None,
        })
        .collect();
    let call = Call {
        number,
        arch: arch.audit(),
        instruction_pointer: 0,
        arguments,
    };
    let answer = run_stacked(&programs, &call).unwrap();
    match answer & 0xffff_0000 {
        0x7fff_0000 => None,
        0x0005_0000 => Some(answer & 0xffff),
        other => panic!("{number}: {other:#x}"),
    }
}

fn compare(name: &str, printed: &str) {
    let arch = Arch::native().unwrap();
    let policy = builtin(name).unwrap().unwrap();
    let found: Vec<u32> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), PROBES.len() + 2, "{name}: {printed}");
    let mut refused = 0;
    for (probe, errno) in PROBES.iter().zip(&found) {
        let number = arch.number(probe.name).unwrap();
        match meant(&policy, number, probe.arguments, arch) {
            Some(meant) => {
                assert_eq!(
                    *errno, meant,
                    "{name}: {} {:x?}",
                    probe.name, probe.arguments
                );
                refused += 1;
            }
            None if probe.distinct => {
                assert!(![1, 38].contains(errno), "{name}: {}: {errno}", probe.name);
            }
            None => {}
        }
    }
    assert_eq!(
        found[PROBES.len()..],
        [38, 38],
        "{name}: unknown calls are ENOSYS"
    );
    assert!(refused >= 5, "{name}: {refused}");
}

#[test]
fn the_kernel_answers_as_the_policies_mean() {
    support::needs!(root);
    let target = Target::new();
    install(&target);
    let words = words(Arch::native().unwrap());
    for name in ["default", "net", "strict", "admin"] {
        if !support::features::can_use(name, "the_kernel_answers_as_the_policies_mean") {
            continue;
        }
        let mut command = target.nsexec(["-a", "--policy", name, "--", "/bin/probe"]);
        command.args(&words);
        compare(name, &succeed(command));
    }
    for name in ["libcontainer", "libcontainer-privileged"] {
        let mut exec = Exec::into(target.pid());
        exec.arguments = vec!["--policy".into(), name.into(), "init".into()];
        let arguments: Vec<&str> = std::iter::once("/bin/probe")
            .chain(words.iter().map(String::as_str))
            .collect();
        let outcome = exec.run_config(&config(&arguments));
        assert_eq!(outcome.answer, "", "{outcome:?}");
        compare(name, &outcome.stdout);
    }
}

#[test]
fn every_shipped_policy_has_been_executed() {
    let executed = [
        "default",
        "net",
        "strict",
        "admin",
        "libcontainer",
        "libcontainer-privileged",
    ];
    let mut shipped = nsexec_shipped_policies::BUILTIN_NAMES.to_vec();
    shipped.sort_unstable();
    let mut executed = executed.to_vec();
    executed.sort_unstable();
    assert_eq!(shipped, executed);
}
