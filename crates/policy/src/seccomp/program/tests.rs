use super::samples::{RIGHT, Tuple, WRONG};
use super::*;

const ALLOW: Tuple = (0x06, 0, 0, 0x7fff_0000);

#[test]
fn each_fault_is_named_with_its_instruction() {
    for (instructions, expected) in WRONG {
        let found = Program::try_from(instructions.to_vec());
        assert_eq!(found, Err(expected), "{instructions:x?}");
        assert_eq!(
            expected.at().is_none(),
            matches!(expected, ProgramFault::Length(_) | ProgramFault::Falls)
        );
    }
}

#[test]
fn programs_the_kernel_accepts_are_valid() {
    for instructions in RIGHT {
        let program = Program::try_from(instructions.to_vec()).expect("a program");
        assert_eq!(Vec::from(program), instructions);
    }
}

#[test]
fn a_program_has_at_most_4096_instructions() {
    let of = |length| Program::try_from(vec![ALLOW; length]);
    assert!(of(4096).is_ok());
    assert_eq!(of(4097), Err(ProgramFault::Length(4097)));
}
