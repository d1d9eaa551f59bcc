//! The environment of protocol A.
//!
//! Places ([`Fault::span`]) count the bytes of the environment as
//! `/proc/PID/environ` has it: `KEY=VALUE` and a NUL, one after the other.

use std::ffi::CString;
use std::fmt;
use std::ops::Range;
use std::os::fd::RawFd;

use crate::path::{MAX_PATH, absolute};
use nsexec_kernel_text::Pid;
use nsexec_kernel_text::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest path of a console, in bytes.
pub const MAX_CONSOLE_PATH: usize = MAX_PATH;

const PREFIX: &[u8] = b"_LIBCONTAINER_";

/// What only protocol B's runtimes set (runc 1.0.0 and later).
const PROTOCOL_B: [&str; 9] = [
    "_LIBCONTAINER_CLONED_BINARY",
    "_LIBCONTAINER_CONSOLE",
    "_LIBCONTAINER_FIFOFD",
    "_LIBCONTAINER_LOGLEVEL",
    "_LIBCONTAINER_LOGPIPE",
    "_LIBCONTAINER_MOUNT_FDS",
    "_LIBCONTAINER_PIDFD_SOCK",
    "_LIBCONTAINER_STATEDIR",
    "_LIBCONTAINER_SYNCPIPE",
];

/// What the environment of protocol A asks for. Made by [`recognise`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolA {
    /// The process whose namespaces are joined.
    pub pid: Pid,
    /// The pipe to the runtime: 3 to 2^31 - 1. Whether it is open is not known yet.
    pub pipe: RawFd,
    /// The caller's path of the terminal that the program gets: absolute, at
    /// most [`MAX_CONSOLE_PATH`] bytes.
    pub console: Option<CString>,
}

/// A variable of protocol A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `_LIBCONTAINER_INITPID`
    Pid,
    /// `_LIBCONTAINER_INITPIPE`
    Pipe,
    /// `_LIBCONTAINER_INITTYPE`
    Type,
    /// `_LIBCONTAINER_CONSOLE_PATH`
    Console,
}

impl Variable {
    const ALL: [Self; 4] = [Self::Pid, Self::Pipe, Self::Type, Self::Console];

    /// Its name in the environment.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "_LIBCONTAINER_INITPID",
            Self::Pipe => "_LIBCONTAINER_INITPIPE",
            Self::Type => "_LIBCONTAINER_INITTYPE",
            Self::Console => "_LIBCONTAINER_CONSOLE_PATH",
        }
    }
}

/// Why an environment is not protocol A's, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not set, while its partner (pid and pipe) is.
    Missing(Variable),
    /// It is set twice.
    Repeated(Variable),
    /// No pid: 1 to 2^31 - 1, in plain decimal.
    Pid,
    /// No descriptor above 2: 3 to 2^31 - 1, in plain decimal.
    Pipe,
    /// Set, and not to `setns`.
    Type,
    /// `standard`, with a pipe and without a pid: the first process of a container.
    Create,
    /// No absolute path of at most [`MAX_CONSOLE_PATH`] bytes.
    Console,
    /// A variable of protocol B.
    ProtocolB(&'static str),
    /// A variable of neither protocol.
    Unknown,
}

/// What a process with this environment is asked to do, the pairs in the order
/// of the environment; `None`: it is not protocol A, it is the command line.
///
/// Numbers are held to runc's own rule: printing them again gives the same
/// text. The console's path has to be absolute, because the helper is started
/// in the container's root directory.
///
/// # Errors
/// Protocol A is meant (pid or pipe is set), and the environment breaks it; the
/// first variable that does, but a sign of protocol B before all else.
pub fn recognise<'a>(
    environ: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Option<ProtocolA>, Fault<Reason>> {
    let mut written = Written::default();
    for (key, value) in environ {
        written.add(key, value);
    }
    written.meaning()
}

/// The variables as they stand in the environment.
#[derive(Default)]
struct Written<'a> {
    /// By [`Variable`].
    values: [Option<Value<'a>>; 4],
    protocol_b: Option<Fault<Reason>>,
    wrong: Option<Fault<Reason>>,
    length: usize,
}

struct Value<'a> {
    text: &'a [u8],
    span: Range<usize>,
}

impl Value<'_> {
    fn fault(&self, reason: Reason) -> Fault<Reason> {
        Fault::new(self.span.clone(), reason)
    }
}

impl<'a> Written<'a> {
    fn add(&mut self, key: &'a [u8], value: &'a [u8]) {
        let key_at = self.length;
        let value_at = key_at.saturating_add(key.len()).saturating_add(1);
        let end = value_at.saturating_add(value.len());
        self.length = end.saturating_add(1);

        if !key.starts_with(PREFIX) {
            return;
        }
        let known = Variable::ALL
            .into_iter()
            .zip(&mut self.values)
            .find(|(variable, _)| variable.name().as_bytes() == key);
        match known {
            Some((_, slot @ None)) => {
                *slot = Some(Value {
                    text: value,
                    span: value_at..end,
                });
            }
            Some((variable, Some(_))) => {
                let repeated = Fault::new(key_at..end, Reason::Repeated(variable));
                self.wrong.get_or_insert(repeated);
            }
            None => match PROTOCOL_B.iter().find(|name| name.as_bytes() == key) {
                Some(name) => {
                    let sign = Fault::new(key_at..end, Reason::ProtocolB(name));
                    self.protocol_b.get_or_insert(sign);
                }
                None => {
                    let unknown = Fault::new(key_at..end, Reason::Unknown);
                    self.wrong.get_or_insert(unknown);
                }
            },
        }
    }

    fn meaning(self) -> Result<Option<ProtocolA>, Fault<Reason>> {
        let [pid, pipe, kind, console] = self.values;
        if pid.is_none() && pipe.is_none() {
            return Ok(None);
        }
        if let Some(fault) = self.protocol_b.or(self.wrong) {
            return Err(fault);
        }
        if let (None, Some(kind)) = (&pid, &kind)
            && kind.text == b"standard"
        {
            return Err(kind.fault(Reason::Create));
        }
        let missing = |variable| Fault::new(0..self.length, Reason::Missing(variable));
        let pid = pid.ok_or_else(|| missing(Variable::Pid))?;
        let pipe = pipe.ok_or_else(|| missing(Variable::Pipe))?;
        if let Some(kind) = kind
            && kind.text != b"setns"
        {
            return Err(kind.fault(Reason::Type));
        }
        Ok(Some(ProtocolA {
            pid: decimal(pid.text)
                .and_then(Pid::new)
                .ok_or_else(|| pid.fault(Reason::Pid))?,
            pipe: decimal(pipe.text)
                .filter(|&fd: &RawFd| fd > 2)
                .ok_or_else(|| pipe.fault(Reason::Pipe))?,
            console: console
                .map(|console| absolute(console.text).ok_or_else(|| console.fault(Reason::Console)))
                .transpose()?,
        }))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = Variable::Pid.name();
        let pipe = Variable::Pipe.name();
        match self {
            Self::Missing(variable) => write!(
                f,
                "{} is not set; protocol A needs both {pid} and {pipe}, the command line neither",
                variable.name()
            ),
            Self::Repeated(variable) => {
                write!(f, "{} is set twice; set it once", variable.name())
            }
            Self::Pid => write!(
                f,
                "{pid} is no pid; a decimal number from 1 to 2147483647 is one"
            ),
            Self::Pipe => write!(
                f,
                "{pipe} is no descriptor for the pipe; a decimal number from 3 to 2147483647 is one"
            ),
            Self::Type => write!(
                f,
                "{} is not \"setns\"; nsexec joins containers, it does not create them",
                Variable::Type.name()
            ),
            Self::Create => write!(
                f,
                "{}=standard without {pid} is the first process of a container, and nsexec only joins; \
                 give nsexec as InitPath to a factory that loads containers, and create them through another",
                Variable::Type.name()
            ),
            Self::Console => write!(
                f,
                "{} is no absolute path of at most {MAX_CONSOLE_PATH} bytes; leave it unset for no terminal",
                Variable::Console.name()
            ),
            Self::ProtocolB(name) => write!(
                f,
                "{name} belongs to protocol B (runc 1.0.0 and later), which this binary does not speak; libnsexec does"
            ),
            Self::Unknown => write!(
                f,
                "a variable that begins with _LIBCONTAINER_ and that protocol A does not have; \
                 {pid}, {pipe}, {} and {} are its variables",
                Variable::Type.name(),
                Variable::Console.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const PID: &str = "_LIBCONTAINER_INITPID";
    const PIPE: &str = "_LIBCONTAINER_INITPIPE";
    const TYPE: &str = "_LIBCONTAINER_INITTYPE";
    const CONSOLE: &str = "_LIBCONTAINER_CONSOLE_PATH";

    fn read(pairs: &[(&str, &str)]) -> Result<Option<ProtocolA>, Fault<Reason>> {
        recognise(pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())))
    }

    fn reason(pairs: &[(&str, &str)]) -> Reason {
        read(pairs).expect_err("it should be refused").reason
    }

    fn print(protocol: &ProtocolA) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = vec![
            (
                PID.as_bytes().to_vec(),
                protocol.pid.to_string().into_bytes(),
            ),
            (
                PIPE.as_bytes().to_vec(),
                protocol.pipe.to_string().into_bytes(),
            ),
        ];
        if let Some(console) = &protocol.console {
            pairs.push((CONSOLE.as_bytes().to_vec(), console.as_bytes().to_vec()));
        }
        pairs
    }

    #[test]
    fn without_pid_and_pipe_it_is_the_command_line() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("HOME", "/root"), (TYPE, "standard")]), Ok(None));
        assert_eq!(
            read(&[("_LIBCONTAINER_LOGLEVEL", "4"), (CONSOLE, "")]),
            Ok(None)
        );
    }

    #[test]
    fn what_libcontainer_sets_is_understood() {
        let expected = |console: Option<&str>| {
            Ok(Some(ProtocolA {
                pid: Pid::new(4711).expect("positive"),
                pipe: 3,
                console: console.map(|path| CString::new(path).expect("no NUL")),
            }))
        };
        assert_eq!(read(&[(PIPE, "3"), (PID, "4711")]), expected(None));
        assert_eq!(
            read(&[(PIPE, "3"), (TYPE, "setns"), (PID, "4711")]),
            expected(None)
        );
        assert_eq!(
            read(&[(PIPE, "3"), (PID, "4711"), (CONSOLE, "/dev/pts/7")]),
            expected(Some("/dev/pts/7"))
        );
    }

    #[test]
    fn one_of_pid_and_pipe_is_not_enough() {
        assert_eq!(reason(&[(PID, "1")]), Reason::Missing(Variable::Pipe));
        assert_eq!(reason(&[(PIPE, "3")]), Reason::Missing(Variable::Pid));
    }

    #[test]
    fn the_first_process_of_a_container_is_named_as_what_it_is() {
        assert_eq!(reason(&[(PIPE, "3"), (TYPE, "standard")]), Reason::Create);
        assert_eq!(
            reason(&[(PIPE, "3"), (TYPE, "setns")]),
            Reason::Missing(Variable::Pid)
        );
        assert_eq!(
            reason(&[(PID, "1"), (PIPE, "3"), (TYPE, "standard")]),
            Reason::Type
        );
    }

    #[test]
    fn numbers_are_plain_decimal_and_in_range() {
        for wrong in [
            "",
            "0",
            "-1",
            "+3",
            "012",
            " 3",
            "3 ",
            "3\n",
            "2147483648",
            "4294967299",
            "99999999999999999999",
            "0x10",
            "a",
        ] {
            assert_eq!(
                reason(&[(PID, wrong), (PIPE, "3")]),
                Reason::Pid,
                "{wrong:?}"
            );
            assert_eq!(
                reason(&[(PID, "1"), (PIPE, wrong)]),
                Reason::Pipe,
                "{wrong:?}"
            );
        }
        for standard in ["1", "2"] {
            assert_eq!(reason(&[(PID, "1"), (PIPE, standard)]), Reason::Pipe);
        }
        let largest = read(&[(PID, "2147483647"), (PIPE, "2147483647")]);
        assert!(matches!(largest, Ok(Some(_))), "{largest:?}");
    }

    #[test]
    fn another_type_than_setns_is_refused() {
        for wrong in ["", "standard", "Setns", "setns "] {
            assert_eq!(
                reason(&[(PID, "1"), (PIPE, "3"), (TYPE, wrong)]),
                Reason::Type,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_console_is_an_absolute_path_of_bounded_length() {
        let with = |path: &str| read(&[(PID, "1"), (PIPE, "3"), (CONSOLE, path)]);
        for wrong in ["", "dev/pts/1", "./console", "/dev/\0pts"] {
            let fault = with(wrong).expect_err("it should be refused");
            assert_eq!(fault.reason, Reason::Console, "{wrong:?}");
        }
        let longest = format!("/{}", "c".repeat(MAX_CONSOLE_PATH - 1));
        assert!(matches!(with(&longest), Ok(Some(_))));
        let fault = with(&format!("{longest}c")).expect_err("it should be refused");
        assert_eq!(fault.reason, Reason::Console);
    }

    #[test]
    fn a_variable_set_twice_is_refused_even_with_the_same_value() {
        for (variable, name, value) in [
            (Variable::Pid, PID, "1"),
            (Variable::Pipe, PIPE, "3"),
            (Variable::Type, TYPE, "setns"),
            (Variable::Console, CONSOLE, "/dev/pts/1"),
        ] {
            let twice = [(PID, "1"), (PIPE, "3"), (TYPE, "setns")]
                .into_iter()
                .filter(|(known, _)| *known != name)
                .chain([(name, value), (name, value)]);
            assert_eq!(
                reason(&twice.collect::<Vec<_>>()),
                Reason::Repeated(variable)
            );
        }
    }

    #[test]
    fn protocol_b_is_named_as_what_it_is() {
        let sync = ("_LIBCONTAINER_SYNCPIPE", "4");
        let wanted = Reason::ProtocolB("_LIBCONTAINER_SYNCPIPE");
        assert_eq!(reason(&[(PIPE, "3"), sync]), wanted);
        assert_eq!(reason(&[(PID, "1"), (PIPE, "3"), sync]), wanted);
        assert_eq!(
            reason(&[(PID, "0"), ("_LIBCONTAINER_X", ""), sync, sync]),
            wanted
        );
    }

    #[test]
    fn another_variable_of_libcontainer_is_refused() {
        assert_eq!(
            reason(&[(PID, "1"), (PIPE, "3"), ("_LIBCONTAINER_INITPID2", "1")]),
            Reason::Unknown
        );
        let others = read(&[(PID, "1"), (PIPE, "3"), ("LIBCONTAINER_INITPID", "2")]);
        assert!(matches!(others, Ok(Some(_))), "{others:?}");
    }

    #[test]
    fn the_place_is_that_of_the_value_in_the_environment() {
        let pairs = [("A", "b"), (PID, "1"), (PIPE, "012")];
        let environ: String = pairs.iter().map(|(k, v)| format!("{k}={v}\0")).collect();
        let fault = read(&pairs).expect_err("it should be refused");
        assert_eq!(environ.get(fault.span), Some("012"));
    }

    fn environment() -> impl Strategy<Value = Vec<(String, String)>> {
        let key = prop_oneof![
            Just(PID.to_owned()),
            Just(PIPE.to_owned()),
            Just(TYPE.to_owned()),
            Just(CONSOLE.to_owned()),
            "[A-Z_]{1,4}",
        ];
        let value = prop_oneof![
            Just("setns".to_owned()),
            Just("/dev/pts/0".to_owned()),
            "-?[0-9]{0,11}",
            any::<String>(),
        ];
        proptest::collection::vec((key, value), 0..6)
    }

    proptest! {
        #[test]
        fn what_is_understood_prints_and_reads_the_same(pairs in environment()) {
            let pairs = pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes()));
            if let Ok(Some(protocol)) = recognise(pairs) {
                let printed = print(&protocol);
                let again = recognise(printed.iter().map(|(k, v)| (k.as_slice(), v.as_slice())));
                prop_assert_eq!(again, Ok(Some(protocol)));
            }
        }

        #[test]
        fn every_meaning_can_be_written(
            pid in 1..=i32::MAX, pipe in 3..=i32::MAX,
            console in proptest::option::of("/[ -~]{0,20}"),
        ) {
            let protocol = ProtocolA {
                pid: Pid::new(pid).expect("positive"),
                pipe,
                console: console.map(|path| CString::new(path).expect("no NUL")),
            };
            let printed = print(&protocol);
            let again = recognise(printed.iter().map(|(k, v)| (k.as_slice(), v.as_slice())));
            prop_assert_eq!(again, Ok(Some(protocol)));
        }
    }
}
