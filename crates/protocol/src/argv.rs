//! The arguments of protocol A.
//!
//! Places ([`Fault::span`]) count the bytes of the arguments as
//! `/proc/PID/cmdline` has them: each with a NUL after it.

use std::fmt;
use std::ops::Range;

use nsexec_request::{MAX_POLICY_NAME, MAX_POLICY_PATH, PolicyChoice};
use nsexec_text::Fault;

/// Why the arguments are not protocol A's, and the correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgvErrorKind {
    /// Not even the name of the program.
    Empty,
    /// `--policy` is the last argument.
    NoPolicy,
    /// Neither a name nor a file.
    Policy,
    /// Anything else.
    Unexpected,
}

/// The policy named by the arguments.
///
/// The form is `NAME [--policy POLICY | --policy=POLICY] [init]`. libcontainer
/// passes `init`; a runtime that sets the init arguments itself may add the
/// policy.
///
/// # Errors
/// The first unexpected argument.
pub fn parse<'a>(
    arguments: impl IntoIterator<Item = &'a [u8]>,
) -> Result<PolicyChoice, Fault<ArgvErrorKind>> {
    let mut arguments = Arguments {
        arguments: arguments.into_iter(),
        offset: 0,
    };
    if arguments.next().is_none() {
        return Err(Fault::new(0..0, ArgvErrorKind::Empty));
    }

    let mut next = arguments.next();
    let mut choice = PolicyChoice::Configured;
    if let Some((option, span)) = &next {
        let value = if *option == b"--policy" {
            let missing = Fault::new(span.clone(), ArgvErrorKind::NoPolicy);
            Some(arguments.next().ok_or(missing)?)
        } else {
            let value = option.strip_prefix(b"--policy=");
            value.map(|value| (value, span.end - value.len()..span.end))
        };
        if let Some((value, span)) = value {
            let wrong = Fault::new(span, ArgvErrorKind::Policy);
            choice = PolicyChoice::read(value).ok_or(wrong)?;
            next = arguments.next();
        }
    }
    if let Some((b"init", _)) = next {
        next = arguments.next();
    }
    match next {
        None => Ok(choice),
        Some((_, span)) => Err(Fault::new(span, ArgvErrorKind::Unexpected)),
    }
}

/// The arguments with their places.
struct Arguments<I> {
    arguments: I,
    offset: usize,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Iterator for Arguments<I> {
    type Item = (&'a [u8], Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let argument = self.arguments.next()?;
        let start = self.offset;
        let end = start.saturating_add(argument.len());
        self.offset = end.saturating_add(1);
        Some((argument, start..end))
    }
}

impl fmt::Display for ArgvErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no argument at all; the first is the program's name"),
            Self::NoPolicy => {
                f.write_str("--policy without a policy; a name or a file follows it")
            }
            Self::Policy => write!(
                f,
                "no policy; a name is 1 to {MAX_POLICY_NAME} of a-z, 0-9 and -, which is not the \
                 first; a file has a / or ends with .toml, and {MAX_POLICY_PATH} bytes at the most"
            ),
            Self::Unexpected => f.write_str(
                "an argument that protocol A does not have; [--policy NAME|FILE] [init] are its arguments",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    use proptest::prelude::*;

    fn read(arguments: &[&str]) -> Result<PolicyChoice, Fault<ArgvErrorKind>> {
        parse(arguments.iter().map(|argument| argument.as_bytes()))
    }

    fn reason(arguments: &[&str]) -> ArgvErrorKind {
        read(arguments).expect_err("it should be refused").reason
    }

    fn print(choice: &PolicyChoice) -> Vec<Vec<u8>> {
        let value = match choice {
            PolicyChoice::Configured => None,
            PolicyChoice::Named(name) => Some(name.as_bytes()),
            PolicyChoice::File(path) => Some(path.as_os_str().as_bytes()),
        };
        let option = value.map(|value| [b"--policy=", value].concat());
        [b"nsexec".to_vec()].into_iter().chain(option).collect()
    }

    #[test]
    fn libcontainer_s_arguments_are_valid() {
        for plain in [&["nsexec"][..], &["nsexec", "init"], &["", "init"]] {
            assert_eq!(read(plain), Ok(PolicyChoice::Configured), "{plain:?}");
        }
        let named = Ok(PolicyChoice::Named("libcontainer-privileged".to_owned()));
        for arguments in [
            &["nsexec", "--policy", "libcontainer-privileged"][..],
            &["nsexec", "--policy", "libcontainer-privileged", "init"],
            &["nsexec", "--policy=libcontainer-privileged"],
            &["nsexec", "--policy=libcontainer-privileged", "init"],
        ] {
            assert_eq!(read(arguments), named, "{arguments:?}");
        }
        assert_eq!(
            read(&["nsexec", "--policy", "init"]),
            Ok(PolicyChoice::Named("init".to_owned()))
        );
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(reason(&[]), ArgvErrorKind::Empty);
        assert_eq!(reason(&["nsexec", "--policy"]), ArgvErrorKind::NoPolicy);
        for arguments in [
            &["nsexec", ""][..],
            &["nsexec", "Init"],
            &["nsexec", "init", "init"],
            &["nsexec", "init", "--policy", "strict"],
            &["nsexec", "--policy", "strict", "--policy", "strict"],
            &["nsexec", "--policy=strict", "init", "x"],
            &["nsexec", "--policyx=strict"],
            &["nsexec", "-t", "1"],
            &["nsexec", "--"],
        ] {
            assert_eq!(
                reason(arguments),
                ArgvErrorKind::Unexpected,
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn the_span_is_that_of_the_argument() {
        let fault = read(&["nsexec", "--policy=A"]).expect_err("it should be refused");
        assert_eq!("nsexec\0--policy=A\0".get(fault.span), Some("A"));
        let fault = read(&["nsexec", "init", "xy"]).expect_err("it should be refused");
        assert_eq!("nsexec\0init\0xy\0".get(fault.span), Some("xy"));
    }

    proptest! {
        #[test]
        fn parsed_arguments_print_and_parse_to_the_same(
            arguments in proptest::collection::vec(
                prop_oneof![
                    Just("--policy".to_owned()), Just("init".to_owned()),
                    "--policy=[a-z/.-]{0,6}", "[a-z/.-]{0,8}", any::<String>(),
                ],
                0..5,
            )
        ) {
            if let Ok(choice) = parse(arguments.iter().map(|argument| argument.as_bytes())) {
                let printed = print(&choice);
                let again = parse(printed.iter().map(Vec::as_slice));
                prop_assert_eq!(again, Ok(choice));
            }
        }
    }
}
