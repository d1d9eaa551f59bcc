//! Prints a filter as annotated assembly: the mnemonics of the kernel's bpf_asm,
//! labels for jump targets, and comments for comparisons.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nsexec_policy_engine::seccomp::program::{Instruction, Program};
use nsexec_policy_engine::seccomp::table::Arch;

/// The content of the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// The word of `struct seccomp_data` at this offset.
    Word(u32),
    /// It depends on the path.
    Several,
}

/// The program, a line an instruction.
pub(crate) fn listing(program: &Program, arch: Arch) -> String {
    let instructions = program.instructions();
    let targets: BTreeSet<usize> = instructions
        .iter()
        .enumerate()
        .flat_map(|(at, instruction)| targets(at, instruction))
        .collect();
    let mut held: Vec<Option<Holds>> = vec![None; instructions.len()];
    let mut text = String::new();
    for (at, instruction) in instructions.iter().enumerate() {
        let holds = held.get(at).copied().flatten();
        let after = match instruction.code {
            0x20 => Some(Holds::Word(instruction.k)),
            0x00 | 0x54 | 0x87 => Some(Holds::Several),
            _ => holds,
        };
        let is_jump = instruction.code & 7 == 5;
        let mut next = targets_of(at, instruction, is_jump);
        if !is_jump && instruction.code & 7 != 6 {
            next.push(at + 1);
        }
        for next in next {
            if let Some(place) = held.get_mut(next) {
                *place = match (*place, after) {
                    (None, after) => after,
                    (Some(old), Some(new)) if old == new => Some(old),
                    _ => Some(Holds::Several),
                };
            }
        }
        let label = if targets.contains(&at) {
            format!("l{at}:")
        } else {
            String::new()
        };
        let comment = comment(instruction, holds, arch);
        let mnemonic = mnemonic(at, instruction);
        // Writing to a String cannot fail.
        let line = format!("{label:<7}{mnemonic:<32}");
        let _ = match comment {
            Some(comment) => writeln!(text, "{line}; {comment}"),
            None => writeln!(text, "{}", line.trim_end()),
        };
    }
    text
}

/// The jump targets, without the next instruction.
fn targets(at: usize, instruction: &Instruction) -> Vec<usize> {
    targets_of(at, instruction, instruction.code & 7 == 5)
}

fn targets_of(at: usize, instruction: &Instruction, is_jump: bool) -> Vec<usize> {
    if !is_jump {
        return Vec::new();
    }
    if instruction.code == 0x05 {
        let distance = usize::try_from(instruction.k).unwrap_or(usize::MAX);
        return vec![(at + 1).saturating_add(distance)];
    }
    [instruction.jt, instruction.jf]
        .map(|distance| at + 1 + usize::from(distance))
        .to_vec()
}

fn mnemonic(at: usize, instruction: &Instruction) -> String {
    let k = instruction.k;
    let jump = |name: &str, operand: &str| {
        let yes = at + 1 + usize::from(instruction.jt);
        let no = at + 1 + usize::from(instruction.jf);
        format!("{name} {operand}, l{yes}, l{no}")
    };
    let constant = format!("#{k:#x}");
    match instruction.code {
        0x20 => format!("ld [{k}]"),
        0x00 => format!("ld {constant}"),
        0x07 => "tax".to_owned(),
        0x87 => "txa".to_owned(),
        0x54 => format!("and {constant}"),
        0x05 => {
            let target = targets(at, instruction).first().copied().unwrap_or(at);
            format!("jmp l{target}")
        }
        0x15 => jump("jeq", &constant),
        0x25 => jump("jgt", &constant),
        0x35 => jump("jge", &constant),
        0x45 => jump("jset", &constant),
        0x1d => jump("jeq", "x"),
        0x2d => jump("jgt", "x"),
        0x3d => jump("jge", "x"),
        0x4d => jump("jset", "x"),
        0x06 => format!("ret {constant}"),
        0x16 => "ret a".to_owned(),
        other => format!(".op {other:#x}, {k:#x}"),
    }
}

fn comment(instruction: &Instruction, holds: Option<Holds>, arch: Arch) -> Option<String> {
    let k = instruction.k;
    match instruction.code {
        0x20 => Some(match k {
            0 => "the call's number".to_owned(),
            4 => "the architecture".to_owned(),
            8 | 12 => "the instruction pointer".to_owned(),
            _ => {
                let half = if k.is_multiple_of(8) {
                    "lower"
                } else {
                    "upper"
                };
                format!("argument {}, {half} half", (k / 8).saturating_sub(2))
            }
        }),
        0x15 | 0x25 | 0x35 if holds == Some(Holds::Word(0)) => Some(match arch.name(k) {
            Some(name) if instruction.code == 0x15 => name.to_owned(),
            Some(name) => format!("{name} and above"),
            None if k >= 0x4000_0000 => "x32".to_owned(),
            None => "not in the table".to_owned(),
        }),
        0x15 if holds == Some(Holds::Word(4)) && k == arch.audit() => {
            Some(arch.rust_name().to_owned())
        }
        0x06 => Some(returned(k)),
        _ => None,
    }
}

fn returned(value: u32) -> String {
    let data = value & 0xffff;
    match value >> 16 {
        0x7fff => "allow".to_owned(),
        0x7ffc => "allow and log".to_owned(),
        0x0005 => match nsexec_policy_engine::seccomp::errno::name(data) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {data}"),
        },
        0x0003 => "trap".to_owned(),
        0x8000 => "kill the process".to_owned(),
        0x0000 => "kill the thread".to_owned(),
        _ => format!("action {:#x}", value >> 16),
    }
}
