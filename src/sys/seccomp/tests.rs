//! Compares the kernel with the description of programs in `seccomp`: whether it accepts them, how
//! it counts them, and their results.
//!
//! Each filter is loaded in a child, which allocates nothing.

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use proptest::prelude::*;

use super::*;
use crate::seccomp::interpret::{Call, run};
use crate::seccomp::limit::{MAX_TOTAL, total};
use crate::seccomp::program::samples::{RIGHT, Tuple, WRONG, answering, instruction};
use crate::seccomp::table::Arch;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::process::{exit_now, set_no_new_privs};
use crate::sys::wait::{Change, WaitMode, change};

const ALLOW: Tuple = (0x06, 0, 0, 0x7fff_0000);

fn instructions(tuples: &[Tuple]) -> Vec<Instruction> {
    let instruction = |&(code, jt, jf, k): &Tuple| Instruction { code, jt, jf, k };
    tuples.iter().map(instruction).collect()
}

/// Runs `work` in a child under no_new_privs; its value is the exit status.
fn in_child(work: impl FnOnce() -> u8) -> Change {
    match clone(Parentage::Own).expect("clone") {
        Side::Child => exit_now(set_no_new_privs().map_or(201, |()| work())),
        Side::Parent { child, .. } => change(child, WaitMode::Block)
            .expect("waitid")
            .expect("an end"),
    }
}

fn number(errno: Errno) -> u8 {
    match errno {
        Errno::EINVAL => 101,
        Errno::ENOMEM => 102,
        _ => 200,
    }
}

/// Whether seccomp(2) accepts it. The filter may change the child's exit in any way: a child with a
/// refused filter ends with the number of EINVAL, and no other child does.
fn is_taken(tuples: &[Tuple]) -> bool {
    let instructions = instructions(tuples);
    let ended = in_child(|| match set_mode_filter(&instructions, 0) {
        Ok(_) => 0,
        Err(errno) => number(errno),
    });
    assert!(!matches!(ended, Change::Exited(200..)), "{ended:?}");
    ended != Change::Exited(101)
}

#[test]
fn the_kernel_accepts_exactly_the_valid_programs() {
    for (wrong, fault) in WRONG {
        assert!(!is_taken(wrong), "{fault}: {wrong:x?}");
    }
    for right in RIGHT {
        assert!(is_taken(right), "{right:x?}");
    }
    assert!(is_taken(&[ALLOW; 4096]));
    assert!(!is_taken(&[ALLOW; 4097]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The kernel accepts exactly the valid programs.
    #[test]
    fn random_programs_are_accepted_as_by_the_kernel(
        mut all in prop::collection::vec(instruction(), 0..7),
        ends in prop::bool::weighted(0.9),
    ) {
        if ends {
            all.extend([ALLOW, ALLOW]);
        }
        let judged = Program::try_from(all.clone());
        prop_assert_eq!(judged.is_ok(), is_taken(&all), "{:?}", judged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The kernel computes the same result as the interpreter: twelve bits of it are visible as an
    /// errno.
    #[test]
    fn random_programs_return_what_the_kernel_returns(
        program in answering(Arch::native().expect("an architecture"), "getpgid"),
        arguments in prop::array::uniform6(prop_oneof![0_u64..3, any::<u64>()]),
    ) {
        let arch = Arch::native().expect("an architecture");
        let call_number = arch.number("getpgid").expect("a call");
        let call = Call { number: call_number, arch: arch.audit(), instruction_pointer: 0, arguments };
        let (sent, tell) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let ended = in_child(|| {
            let [a, b, c, d, e, f] = arguments;
            if load(&program).is_err() {
                return 1;
            }
            // SAFETY: getpgid takes an integer; and it is never executed.
            let answered = unsafe { libc::syscall(libc::SYS_getpgid, a, b, c, d, e, f) };
            let errno = if answered == -1 { Errno::last_raw() } else { 0 };
            match nix::unistd::write(&tell, &errno.to_ne_bytes()) {
                Ok(4) => 0,
                _ => 2,
            }
        });
        drop(tell);
        let mut bytes = [0; 4];
        let read = nix::unistd::read(&sent, &mut bytes).expect("the pipe");
        let meant = run(&program, &call).expect("a valid program");
        if meant == 0 {
            // A division by zero.
            prop_assert_eq!(ended, Change::Signaled(libc::SIGSYS));
        } else {
            prop_assert_eq!((ended, read), (Change::Exited(0), 4));
            prop_assert_eq!(u32::from_ne_bytes(bytes) | 0x5_0000, meant);
        }
    }
}

/// Programs of `kind` that count as much as the kernel accepts, and `more` in addition.
fn fill_to_limit(kind: Tuple, more: usize) -> Vec<Program> {
    let program = |kind: Tuple, length: usize| {
        // No division is by zero, and each return permits the child to continue.
        let mut all = vec![(0x01, 0, 0, 1), (0x00, 0, 0, 0x7fff_0000)];
        all.extend(std::iter::repeat_n(kind, length));
        all.extend([ALLOW, ALLOW]);
        Program::try_from(all).expect("a program")
    };
    let mut all = vec![program(kind, 4000)];
    while total(&all) + 12 < MAX_TOTAL {
        // The remaining number of instructions that count as one.
        let left = MAX_TOTAL - total(&all) - total(&[program((0, 0, 0, 0), 0)]) - 4;
        all.push(program((0, 0, 0, 0), left.min(4000)));
    }
    let last = all.pop().expect("a program").instructions().len() - 4;
    all.push(program((0, 0, 0, 0), last + more));
    all
}

#[test]
fn the_kernel_counts_as_the_limit_does() {
    let filters = std::fs::read_to_string("/proc/self/status").expect("status");
    let free = filters.contains("Seccomp:\t0");
    let harden = std::fs::read("/proc/sys/net/core/bpf_jit_harden").unwrap_or_default();
    if !free || harden.starts_with(b"2") {
        nsexec_test_support::leave_out(
            "the_kernel_counts_as_the_limit_does",
            "the kernel counts more here",
        );
        return;
    }
    for kind in [
        ALLOW,
        (0x16, 0, 0, 0),
        (0x20, 0, 0, 16),
        (0x02, 0, 0, 3),
        (0x87, 0, 0, 0),
        (0x84, 0, 0, 0),
        (0x34, 0, 0, 3),
        (0x3c, 0, 0, 0),
        (0x74, 0, 0, 3),
        (0x05, 0, 0, 0),
        (0x15, 0, 0, 1),
        (0x15, 1, 0, 1),
        (0x15, 0, 1, 1),
        (0x15, 1, 1, 1),
        (0x25, 0, 1, 0x8000_0000),
        (0x35, 1, 1, 0x7fff_ffff),
        (0x3d, 1, 1, 0x8000_0000),
        (0x45, 1, 0, 1),
        (0x45, 0, 1, 1),
        (0x45, 0, 1, 0x8000_0000),
        (0x4d, 0, 1, 0),
    ] {
        let go = fill_to_limit(kind, 0);
        assert_eq!(total(&go), MAX_TOTAL, "{kind:x?}");
        let loaded = |programs: &[Program]| {
            in_child(|| {
                let mut loaded = programs.iter().map(load);
                loaded.find_map(Result::err).map_or(0, number)
            })
        };
        assert_eq!(loaded(&go), Change::Exited(0), "{kind:x?}");
        let beyond = fill_to_limit(kind, 1);
        assert_eq!(loaded(&beyond), Change::Exited(102), "{kind:x?}");
    }
}
