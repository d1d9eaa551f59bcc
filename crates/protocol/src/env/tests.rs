use super::*;

use proptest::prelude::*;

const PID: &str = "_LIBCONTAINER_INITPID";
const PIPE: &str = "_LIBCONTAINER_INITPIPE";
const TYPE: &str = "_LIBCONTAINER_INITTYPE";
const CONSOLE: &str = "_LIBCONTAINER_CONSOLE_PATH";

fn read(pairs: &[(&str, &str)]) -> Result<Option<ProtocolA>, Fault<EnvironmentErrorKind>> {
    recognise(pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())))
}

fn reason(pairs: &[(&str, &str)]) -> EnvironmentErrorKind {
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
fn libcontainer_s_environment_is_valid() {
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
    assert_eq!(
        reason(&[(PID, "1")]),
        EnvironmentErrorKind::Missing(Variable::Pipe)
    );
    assert_eq!(
        reason(&[(PIPE, "3")]),
        EnvironmentErrorKind::Missing(Variable::Pid)
    );
}

#[test]
fn the_first_process_of_a_container_is_recognised() {
    assert_eq!(
        reason(&[(PIPE, "3"), (TYPE, "standard")]),
        EnvironmentErrorKind::Create
    );
    assert_eq!(
        reason(&[(PIPE, "3"), (TYPE, "setns")]),
        EnvironmentErrorKind::Missing(Variable::Pid)
    );
    assert_eq!(
        reason(&[(PID, "1"), (PIPE, "3"), (TYPE, "standard")]),
        EnvironmentErrorKind::Type
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
            EnvironmentErrorKind::Pid,
            "{wrong:?}"
        );
        assert_eq!(
            reason(&[(PID, "1"), (PIPE, wrong)]),
            EnvironmentErrorKind::Pipe,
            "{wrong:?}"
        );
    }
    for standard in ["1", "2"] {
        assert_eq!(
            reason(&[(PID, "1"), (PIPE, standard)]),
            EnvironmentErrorKind::Pipe
        );
    }
    let largest = read(&[(PID, "2147483647"), (PIPE, "2147483647")]);
    assert!(matches!(largest, Ok(Some(_))), "{largest:?}");
}

#[test]
fn another_type_than_setns_is_refused() {
    for wrong in ["", "standard", "Setns", "setns "] {
        assert_eq!(
            reason(&[(PID, "1"), (PIPE, "3"), (TYPE, wrong)]),
            EnvironmentErrorKind::Type,
            "{wrong:?}"
        );
    }
}

#[test]
fn a_console_is_an_absolute_path_of_bounded_length() {
    let with = |path: &str| read(&[(PID, "1"), (PIPE, "3"), (CONSOLE, path)]);
    for wrong in ["", "dev/pts/1", "./console", "/dev/\0pts"] {
        let fault = with(wrong).expect_err("it should be refused");
        assert_eq!(fault.reason, EnvironmentErrorKind::Console, "{wrong:?}");
    }
    let longest = format!("/{}", "c".repeat(MAX_CONSOLE_PATH - 1));
    assert!(matches!(with(&longest), Ok(Some(_))));
    let fault = with(&format!("{longest}c")).expect_err("it should be refused");
    assert_eq!(fault.reason, EnvironmentErrorKind::Console);
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
            EnvironmentErrorKind::Repeated(variable)
        );
    }
}

#[test]
fn protocol_b_is_recognised() {
    let sync = ("_LIBCONTAINER_SYNCPIPE", "4");
    let wanted = EnvironmentErrorKind::ProtocolB("_LIBCONTAINER_SYNCPIPE");
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
        EnvironmentErrorKind::Unknown
    );
    let others = read(&[(PID, "1"), (PIPE, "3"), ("LIBCONTAINER_INITPID", "2")]);
    assert!(matches!(others, Ok(Some(_))), "{others:?}");
}

#[test]
fn the_span_is_that_of_the_value_in_the_environment() {
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
    fn a_parsed_environment_prints_and_parses_to_the_same(pairs in environment()) {
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
