//! Programs of classic BPF as bytes.

use nsexec_policy_engine::policy::needs::denied_by_added;
use nsexec_policy_engine::seccomp::interpret::{Call, run};
use nsexec_policy_engine::seccomp::limit;
use nsexec_policy_engine::seccomp::partial::{PartialCall, answers};
use nsexec_policy_engine::seccomp::program::Program;
use nsexec_policy_engine::seccomp::raw::{self, Filter};
use nsexec_policy_engine::seccomp::table::Arch;

/// An accepted program prints as its bytes, runs on any call, and gives only
/// answers from its list. An error has a span in the input.
pub fn raw_bpf(input: &[u8]) {
    let filter = match raw::parse(input) {
        Ok(filter) => filter,
        Err(fault) => {
            assert!(fault.span.start <= fault.span.end && fault.span.end <= input.len());
            return;
        }
    };
    assert_eq!(filter.to_bytes(), input);
    let program = filter.program();
    assert!(limit::total([program]) > program.instructions().len());
    let values = values(program);
    for arch in Arch::ALL {
        let needed = ["seccomp", "execve", "write", "exit_group"];
        let needed: Vec<u32> = needed
            .into_iter()
            .filter_map(|name| arch.number(name))
            .collect();
        for number in values.iter().chain(&needed).copied() {
            for (at, low) in values.iter().enumerate() {
                let high = values.get(at * 5 % values.len()).unwrap_or(low);
                let wide = u64::from(*high) << 32 | u64::from(*low);
                let call = Call {
                    number,
                    arch: arch.audit(),
                    instruction_pointer: wide,
                    arguments: [wide, wide ^ 1, u64::from(*low), 1, u64::MAX, 0],
                };
                // One kind of partial call per input: all of them take most of a run.
                let known = [0, 0b00_0111, 0b11_1111];
                ask(&filter, &call, known.get(at % 3).copied().unwrap_or(0));
            }
        }
        if denied_by_added(program, arch).is_none() {
            for number in needed {
                for low in &values {
                    let call = Call {
                        number,
                        arch: arch.audit(),
                        instruction_pointer: u64::from(*low),
                        // SECCOMP_SET_MODE_FILTER, and anything.
                        arguments: [1, 0, (*low).into(), 12, 0, u64::MAX],
                    };
                    let executed = matches!(
                        run(program, &call).map(|value| value & 0xffff_0000),
                        Some(0x7fff_0000 | 0x7ffc_0000)
                    );
                    assert!(executed, "{call:?}");
                }
            }
        }
    }
}

/// `known`: a bit for each argument that is.
fn ask(filter: &Filter, call: &Call, known: u8) {
    let program = filter.program();
    let value = run(program, call).expect("a program ends with a value");
    let answer = raw::answer(value).expect("a filter's values are answers");
    assert!(filter.answers().contains(&answer), "{answer:?}");
    let mut arguments = call.arguments.map(Some);
    for (at, argument) in arguments.iter_mut().enumerate() {
        *argument = argument.filter(|_| known & (1 << at) != 0);
    }
    let partial = PartialCall {
        number: call.number,
        arch: call.arch,
        arguments,
    };
    let may = answers(program, &partial);
    assert!(may.contains(&Some(value)) || may.contains(&None));
}

/// Some of the program's compared values and their neighbours.
fn values(program: &Program) -> Vec<u32> {
    let compared = program
        .instructions()
        .iter()
        .filter(|instruction| instruction.code & 7 == 5)
        .map(|instruction| instruction.k);
    let beside = compared.flat_map(|k| [k, k.wrapping_add(1), k.wrapping_sub(1)]);
    let mut values: Vec<u32> = beside.take(9).collect();
    values.extend([0, 1, u32::MAX]);
    values
}
