//! Sample programs for tests of this crate and of the helper: invalid ones, each
//! with one error, which the kernel must also reject; valid ones; and random
//! ones.
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use proptest::prelude::*;

use super::*;
use crate::seccomp::table::Arch;

/// An instruction as a tuple.
pub type Tuple = (u16, u8, u8, u32);

const ALLOW: Tuple = (0x06, 0, 0, 0x7fff_0000);

/// Invalid programs, and the error of each.
pub const WRONG: [(&[Tuple], ProgramFault); 39] = [
    (&[], ProgramFault::Length(0)),
    // No code of classic BPF.
    (&[(0xffff, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x08, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x0d, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x8c, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x120, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x0e, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    // Classic BPF, and not seccomp's: half words, bytes, indirect loads, MSH, MOD.
    (&[(0x28, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x30, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x40, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0xb1, 0, 0, 0), ALLOW], ProgramFault::Instruction(0)),
    (&[(0x94, 0, 0, 3), ALLOW], ProgramFault::Instruction(0)),
    (
        &[ALLOW, (0x9c, 0, 0, 0), ALLOW],
        ProgramFault::Instruction(1),
    ),
    // Loads: not of a whole word, beyond the end, an ancillary one.
    (&[(0x20, 0, 0, 1), ALLOW], ProgramFault::Offset(0)),
    (&[(0x20, 0, 0, 62), ALLOW], ProgramFault::Offset(0)),
    (&[(0x20, 0, 0, 64), ALLOW], ProgramFault::Offset(0)),
    (&[(0x20, 0, 0, 0xffff_f000), ALLOW], ProgramFault::Offset(0)),
    // Constants.
    (&[(0x34, 0, 0, 0), ALLOW], ProgramFault::Divisor(0)),
    (&[(0x64, 0, 0, 32), ALLOW], ProgramFault::Shift(0)),
    (&[(0x74, 0, 0, u32::MAX), ALLOW], ProgramFault::Shift(0)),
    // Scratch memory that is not there.
    (&[(0x02, 0, 0, 16), ALLOW], ProgramFault::Cell(0)),
    (&[(0x03, 0, 0, 16), ALLOW], ProgramFault::Cell(0)),
    (&[(0x60, 0, 0, 16), ALLOW], ProgramFault::Cell(0)),
    (&[(0x61, 0, 0, u32::MAX), ALLOW], ProgramFault::Cell(0)),
    // Scratch memory that was not written: at all, on one way of two, on a way
    // that jumps over it, and in another cell.
    (&[(0x60, 0, 0, 0), ALLOW], ProgramFault::Unwritten(0)),
    (&[(0x61, 0, 0, 15), ALLOW], ProgramFault::Unwritten(0)),
    (
        &[(0x15, 0, 1, 0), (0x02, 0, 0, 3), (0x60, 0, 0, 3), ALLOW],
        ProgramFault::Unwritten(2),
    ),
    (
        &[(0x05, 0, 0, 1), (0x02, 0, 0, 3), (0x60, 0, 0, 3), ALLOW],
        ProgramFault::Unwritten(2),
    ),
    (
        &[(0x02, 0, 0, 3), (0x61, 0, 0, 4), ALLOW],
        ProgramFault::Unwritten(1),
    ),
    (
        &[(0x06, 0, 0, 0), (0x60, 0, 0, 4), ALLOW],
        ProgramFault::Unwritten(1),
    ),
    // Jumps out of the program, by one and by far.
    (&[(0x05, 0, 0, 1), ALLOW], ProgramFault::Jump(0)),
    (&[(0x05, 0, 0, u32::MAX), ALLOW], ProgramFault::Jump(0)),
    (&[(0x15, 1, 0, 0), ALLOW], ProgramFault::Jump(0)),
    (&[(0x3d, 0, 1, 0), ALLOW], ProgramFault::Jump(0)),
    (&[ALLOW, (0x45, 255, 0, 0), ALLOW], ProgramFault::Jump(1)),
    (&[ALLOW, (0x15, 0, 0, 0)], ProgramFault::Jump(1)),
    // Programs without a final return.
    (&[(0x20, 0, 0, 0)], ProgramFault::Falls),
    (&[ALLOW, (0x87, 0, 0, 0)], ProgramFault::Falls),
    (&[ALLOW, (0x04, 0, 0, 1)], ProgramFault::Falls),
];

/// Valid programs: each instruction at its bounds, and cells that are written on
/// every path to their use.
pub const RIGHT: [&[Tuple]; 11] = [
    &[ALLOW],
    &[(0x16, 0, 0, 0)],
    &[(0x20, 0, 0, 0), (0x20, 0, 0, 60), ALLOW],
    &[
        (0x80, 1, 2, 3),
        (0x81, 1, 2, 3),
        (0x00, 1, 2, 3),
        (0x01, 1, 2, 3),
        ALLOW,
    ],
    &[
        (0x02, 0, 0, 15),
        (0x61, 0, 0, 15),
        (0x03, 0, 0, 0),
        (0x60, 0, 0, 0),
        ALLOW,
    ],
    &[
        (0x34, 0, 0, 1),
        (0x3c, 0, 0, 0),
        (0x64, 0, 0, 31),
        (0x74, 0, 0, 31),
        ALLOW,
    ],
    &[
        (0x84, 0, 0, 9),
        (0x07, 0, 0, 9),
        (0x87, 0, 0, 9),
        (0x6c, 0, 0, 99),
        ALLOW,
    ],
    &[(0x05, 0, 0, 0), (0x05, 9, 9, 1), ALLOW, ALLOW],
    &[
        (0x15, 0, 1, 7),
        (0x25, 1, 0, 7),
        (0x3d, 0, 0, 7),
        (0x4d, 0, 0, 7),
        ALLOW,
    ],
    // Written on both ways.
    &[
        (0x15, 0, 2, 0),
        (0x02, 0, 0, 3),
        (0x05, 0, 0, 1),
        (0x03, 0, 0, 3),
        (0x60, 0, 0, 3),
        ALLOW,
    ],
    // Behind a jump that nothing leads past, as the kernel sees it.
    &[(0x05, 0, 0, 1), (0x60, 0, 0, 7), ALLOW],
];

/// Accepted codes, their neighbours, and others.
fn code() -> impl Strategy<Value = u16> {
    let near = prop::sample::select(vec![
        0x20_u16, 0x00, 0x01, 0x80, 0x81, 0x60, 0x61, 0x02, 0x03, 0x07, 0x87, 0x84, 0x05, 0x06,
        0x16, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x04, 0x0c, 0x34, 0x3c, 0x54, 0x5c,
        0x64, 0x6c, 0x74, 0x7c, 0xa4, 0xac, 0x60, 0x61, 0x02, 0x03,
    ]);
    prop_oneof![12 => near, 1 => any::<u8>().prop_map(u16::from), 1 => any::<u16>()]
}

/// An instruction, valid or not.
pub fn instruction() -> impl Strategy<Value = Tuple> {
    let k = prop_oneof![
        4 => 0_u32..4,
        2 => prop::sample::select(vec![4_u32, 15, 16, 31, 32, 60, 61, 63, 64, u32::MAX]),
        1 => any::<u32>(),
    ];
    (code(), 0_u8..4, 0_u8..4, k)
}

/// A computation: no return, jumps of at most 2 forward, cells 0 to 3, no use of
/// the instruction pointer.
fn computation() -> impl Strategy<Value = Tuple> {
    let word = prop::sample::select(vec![
        0_u32, 4, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60,
    ]);
    let value = prop_oneof![0_u32..5, any::<u32>(), 0x7fff_fff0_u32..0x8000_0010];
    let cell = 0_u32..4;
    let arithmetic = prop::sample::select(vec![
        0x04_u16, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x6c, 0x7c,
        0x84, 0xa4, 0xac,
    ]);
    let test = prop::sample::select(vec![0x15_u16, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d]);
    prop_oneof![
        2 => word.prop_map(|offset| (0x20, 0, 0, offset)),
        1 => prop::sample::select(vec![0x80_u16, 0x81, 0x07, 0x87]).prop_map(|code| (code, 0, 0, 0)),
        2 => (prop::bool::ANY, value.clone()).prop_map(|(x, k)| (u16::from(x), 0, 0, k)),
        2 => (prop::sample::select(vec![0x60_u16, 0x61, 0x02, 0x03]), cell)
            .prop_map(|(code, cell)| (code, 0, 0, cell)),
        5 => (arithmetic, value.clone())
            .prop_map(|(code, k)| (code, 0, 0, if code == 0x34 { k.max(1) } else { k })),
        1 => (prop::sample::select(vec![0x64_u16, 0x74]), 0_u32..32)
            .prop_map(|(code, k)| (code, 0, 0, k)),
        2 => (test, 0_u8..3, 0_u8..3, value).prop_map(|(code, jt, jf, k)| (code, jt, jf, k)),
    ]
}

/// A program that allows all calls but this one, to which it answers with an errno
/// that it computes; 0 after a division by zero.
pub fn answering(arch: Arch, call: &str) -> impl Strategy<Value = Program> {
    let number = arch.number(call).expect("a call");
    let body = prop::collection::vec(computation(), 1..24);
    (body, 0_u32..21).prop_map(move |(body, shift)| {
        let mut all = vec![(0x20, 0, 0, 0), (0x15, 1, 0, number), ALLOW];
        all.extend((0..4).map(|cell| (0x02, 0, 0, cell)));
        all.extend(body);
        // No jump of the body reaches farther.
        all.extend([(0x07, 0, 0, 0); 3]);
        let end = [(0x74, shift), (0x54, 0xfff), (0x44, 0x0005_0000), (0x16, 0)];
        all.extend(end.map(|(code, k)| (code, 0, 0, k)));
        Program::try_from(all).expect("a program")
    })
}
