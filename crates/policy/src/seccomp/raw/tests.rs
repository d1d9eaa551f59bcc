//! Valid and invalid bytes.

use super::*;
use crate::seccomp::program::samples::{RIGHT, Tuple, WRONG};

const ALLOW: Tuple = (0x06, 0, 0, 0x7fff_0000);

fn bytes(instructions: &[Tuple]) -> Vec<u8> {
    let bytes = |&(code, jt, jf, k): &Tuple| {
        let [c0, c1] = code.to_ne_bytes();
        let [k0, k1, k2, k3] = k.to_ne_bytes();
        [c0, c1, jt, jf, k0, k1, k2, k3]
    };
    instructions.iter().flat_map(bytes).collect()
}

fn fault(bytes: &[u8]) -> (std::ops::Range<usize>, RawProgramErrorKind) {
    let Fault { span, reason } = parse(bytes).expect_err("it is wrong");
    (span, reason)
}

#[test]
fn invalid_lengths_are_errors() {
    assert_eq!(fault(&[]), (0..0, RawProgramErrorKind::Empty));
    for left in 1..8 {
        let whole = bytes(&[ALLOW, ALLOW, ALLOW]);
        let cut = &whole[..16 + left];
        assert_eq!(
            fault(cut),
            (16..16 + left, RawProgramErrorKind::Partial(left))
        );
    }
    let longest = bytes(&[ALLOW; MAX_INSTRUCTIONS]);
    assert_eq!(longest.len(), MAX_BYTES);
    assert!(parse(&longest).is_ok());
    for more in [1, 8, 4096] {
        let mut longer = longest.clone();
        longer.extend(vec![0; more]);
        assert_eq!(
            fault(&longer),
            (MAX_BYTES..MAX_BYTES + more, RawProgramErrorKind::Long)
        );
    }
}

#[test]
fn a_program_the_kernel_rejects_is_an_error_at_its_instruction() {
    for (wrong, expected) in WRONG.into_iter().skip(1) {
        let all = bytes(wrong);
        let span = match expected.at() {
            Some(at) => at * 8..at * 8 + 8,
            None => 0..all.len(),
        };
        assert_eq!(fault(&all), (span, RawProgramErrorKind::Program(expected)));
    }
}

#[test]
fn unsupported_answers_are_errors() {
    for (value, reason) in [
        (0x7fc0_0000, RawProgramErrorKind::Notify),
        (0x7fc0_1234, RawProgramErrorKind::Notify),
        (0x7ff0_0001, RawProgramErrorKind::Trace),
        (0x0005_1000, RawProgramErrorKind::Errno(4096)),
        (0x0005_ffff, RawProgramErrorKind::Errno(u16::MAX)),
        (0x0004_0000, RawProgramErrorKind::Unknown(0x0004_0000)),
        (
            0x7fff_0000 | 0x8000_0000,
            RawProgramErrorKind::Unknown(0xffff_0000),
        ),
        (0x8001_0000, RawProgramErrorKind::Unknown(0x8001_0000)),
        (0x0001_0000, RawProgramErrorKind::Unknown(0x0001_0000)),
        (0x7ffe_0000, RawProgramErrorKind::Unknown(0x7ffe_0000)),
    ] {
        // Also where no way leads to.
        let returns = bytes(&[ALLOW, (0x06, 0, 0, value), ALLOW]);
        assert_eq!(fault(&returns), (8..16, reason), "{value:#x}");
    }
    let computed = bytes(&[(0x20, 0, 0, 0), (0x16, 0, 0, 0)]);
    assert_eq!(fault(&computed), (8..16, RawProgramErrorKind::Computed));
}

#[test]
fn a_filter_lists_its_answers() {
    let returns = |value| (0x06, 0, 0, value);
    let all = bytes(&[
        // The kernel ignores these bits, and so does the parser.
        returns(0x7fff_1234),
        returns(0x0005_0000),
        returns(0x0005_0fff),
        returns(0x0005_0000),
        returns(0x7ffc_0000),
        returns(0x0003_0007),
        returns(0x8000_0000),
        returns(0x0000_ffff),
        returns(0x7fff_0000),
    ]);
    let filter = parse(&all).expect("a filter");
    let names: Vec<String> = filter.answers().iter().copied().map(name).collect();
    assert_eq!(
        names,
        [
            "ALLOW",
            "ERRNO(0)",
            "ERRNO(4095)",
            "LOG",
            "TRAP",
            "KILL_PROCESS",
            "KILL_THREAD"
        ]
    );
    let divides = bytes(&[(0x3c, 0, 0, 0), returns(0x0005_0001)]);
    let divides = parse(&divides).expect("a filter");
    assert_eq!(
        divides.answers(),
        [Action::KillThread, Action::Errno(1)],
        "a division by 0 ends with 0"
    );
    assert_eq!(name(Action::Errno(1)), "ERRNO(EPERM)");
}

#[test]
fn a_filter_is_its_bytes() {
    for right in RIGHT {
        let all = bytes(right);
        match parse(&all) {
            Ok(filter) => assert_eq!(filter.to_bytes(), all),
            Err(fault) => assert_eq!(fault.reason, RawProgramErrorKind::Computed, "{right:x?}"),
        }
    }
}

#[test]
fn an_error_has_its_position_and_a_hint() {
    for (wrong, expected) in [
        (
            bytes(&[ALLOW, (0x20, 0, 0, 3), ALLOW]),
            "instruction 1 loads no 32-bit word of struct seccomp_data: offsets are multiples of 4 up to 60 \
             (at byte 8)",
        ),
        (
            bytes(&[(0x06, 0, 0, 0x7fc0_0000)]),
            "a return of SECCOMP_RET_USER_NOTIF, which no process answers; return an errno \
             (at byte 0)",
        ),
        (
            vec![0; 9],
            "instructions have 8 bytes each, and 1 are left over (at byte 8)",
        ),
    ] {
        assert_eq!(
            parse(&wrong).expect_err("it is wrong").to_string(),
            expected
        );
    }
}
