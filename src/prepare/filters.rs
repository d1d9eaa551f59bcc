//! The filters of the helper's own processes, compiled when it was built.

use crate::seccomp::program::{Instruction, Program};
use crate::seccomp::table::Arch;
use crate::{Error, ErrorKind, Result};

// SUPERVISOR, POLICY_CHILD, EXPLAINER, VERIFIER, FINDER, SOCKET_TAKER: programs, from
// own_calls.toml.
include!(concat!(env!("OUT_DIR"), "/filters.rs"));

/// The architecture that filters are made for.
pub(crate) fn native() -> Result<Arch> {
    Arch::native().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "filters are made for x86_64 and aarch64 only",
        )
    })
}

/// Allows only the calls that waiting for the program needs.
pub(crate) fn supervisor() -> Result<Program> {
    program(&SUPERVISOR)
}

/// Allows only the calls that compiling a policy needs.
pub(crate) fn policy_child() -> Result<Program> {
    program(&POLICY_CHILD)
}

/// Allows only the calls that reading the state of the child needs.
pub(crate) fn verifier() -> Result<Program> {
    program(&VERIFIER)
}

/// Allows only the calls that looking up paths needs.
pub(crate) fn finder() -> Result<Program> {
    program(&FINDER)
}

/// Allows only the calls that taking a socket of the target needs.
pub(crate) fn socket_taker() -> Result<Program> {
    program(&SOCKET_TAKER)
}

/// Allows only the calls that explaining refusals needs.
pub(crate) fn explainer() -> Result<Program> {
    program(&EXPLAINER)
}

fn program(instructions: &[Instruction]) -> Result<Program> {
    Program::new(instructions.to_vec()).map_err(|fault| {
        Error::new(
            ErrorKind::LockDown,
            format!("the helper's own filter: {fault}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::compile::return_value;
    use crate::seccomp::evaluate::UNKNOWN_CALL;
    use crate::seccomp::interpret::{Call, run};
    use crate::seccomp::profile::Action;

    #[test]
    fn each_filter_allows_its_calls_and_nothing_else() {
        let arch = native().expect("x86_64 or aarch64");
        for (filter, calls, most) in [
            (supervisor(), SUPERVISOR_CALLS, 23),
            (policy_child(), POLICY_CHILD_CALLS, 12),
            (explainer(), EXPLAINER_CALLS, 20),
            (verifier(), VERIFIER_CALLS, 17),
            (finder(), FINDER_CALLS, 20),
            (socket_taker(), SOCKET_TAKER_CALLS, 12),
        ] {
            assert!(calls.len() <= most, "{}", calls.len());
            let filter = filter.expect("a program");
            for number in 0..=600 {
                let call = Call {
                    number,
                    arch: arch.audit(),
                    instruction_pointer: 0,
                    arguments: [0; 6],
                };
                let meant = match arch.name(number) {
                    Some(name) if calls.contains(&name) => Action::Allow,
                    Some(_) => Action::Errno(1),
                    None => UNKNOWN_CALL,
                };
                assert_eq!(run(&filter, &call), Some(return_value(meant)), "{number}");
            }
        }
    }
}
