//! `/proc/PID/environ`, proc_pid_environ(5): `KEY=VALUE` and a NUL, one after
//! the other.
//!
//! It is a piece of the process's memory, and some processes write their title
//! over it (setproctitle(3)).

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt;

use nsexec_text::Fault;

/// Longest environment, in bytes: the limit of execve(2) (three quarters of
/// _STK_LIM, fs/exec.c).
pub const MAX_BYTES: usize = 6 << 20;

/// Most variables: each uses a pointer and a NUL of the limit of execve(2).
pub const MAX_VARIABLES: usize = MAX_BYTES / 9;

/// Why a text is not a valid environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// More than [`MAX_VARIABLES`].
    TooMany,
    /// No NUL at the end.
    Unfinished,
    /// Something without `=`, or nothing between two NULs.
    NoVariable,
    /// A variable without a name.
    EmptyKey,
}

/// The variables in `text`, in order. For a duplicate key the first wins, as in
/// getenv(3).
///
/// # Errors
/// The text is not entirely an environment. The process has then overwritten it,
/// and text that resembles a variable may not be one: no variable is returned.
pub fn parse(text: &[u8]) -> Result<Vec<(CString, CString)>, Fault<EnvironErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            EnvironErrorKind::TooLong(text.len()),
        ));
    }
    let mut variables = Vec::new();
    let mut known = BTreeSet::new();
    let mut start = 0;
    for entry in text.split_inclusive(|byte| *byte == 0) {
        let end = start + entry.len();
        let fault = |reason| Fault::new(start..end, reason);
        let entry = entry
            .strip_suffix(b"\0")
            .ok_or_else(|| fault(EnvironErrorKind::Unfinished))?;
        let equals = entry.iter().position(|byte| *byte == b'=');
        let (key, value) = equals
            .and_then(|equals| Some((entry.get(..equals)?, entry.get(equals + 1..)?)))
            .ok_or_else(|| fault(EnvironErrorKind::NoVariable))?;
        if key.is_empty() {
            return Err(fault(EnvironErrorKind::EmptyKey));
        }
        if known.insert(key) {
            if variables.len() == MAX_VARIABLES {
                return Err(fault(EnvironErrorKind::TooMany));
            }
            // An entry ends at its first NUL, so it has none inside.
            let no_variable = |_| fault(EnvironErrorKind::NoVariable);
            let key = CString::new(key).map_err(no_variable)?;
            let value = CString::new(value).map_err(no_variable)?;
            variables.push((key, value));
        }
        start = end;
    }
    Ok(variables)
}

impl fmt::Display for EnvironErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "an environment of {length} bytes; the limit is {MAX_BYTES}"
                )
            }
            Self::TooMany => write!(f, "more than {MAX_VARIABLES} variables"),
            Self::Unfinished => f.write_str(
                "an environment that does not end with a NUL: the process has overwritten it",
            ),
            Self::NoVariable => f.write_str(
                "something that is no KEY=VALUE in the environment: the process has overwritten \
                 it; give the variables that are needed by --env",
            ),
            Self::EmptyKey => f.write_str(
                "a variable without a name in the environment: the process has overwritten it; \
                 give the variables that are needed by --env",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<Vec<(String, String)>, Fault<EnvironErrorKind>> {
        let text_of = |c: CString| c.into_string().expect("UTF-8");
        let variables = parse(text)?;
        Ok(variables
            .into_iter()
            .map(|(key, value)| (text_of(key), text_of(value)))
            .collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    fn print(variables: &[(CString, CString)]) -> Vec<u8> {
        let entry = |(key, value): &(CString, CString)| {
            [key.as_bytes(), b"=", value.as_bytes_with_nul()].concat()
        };
        variables.iter().flat_map(entry).collect()
    }

    #[test]
    fn variables_are_read_in_their_order() {
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(
            read(b"B=2\0A=\0C==x=\0A=9\0D=\n\0"),
            Ok(pairs(&[("B", "2"), ("A", ""), ("C", "=x="), ("D", "\n")]))
        );
        assert_eq!(parse(b"\xff=\xfe\0").map(|list| list.len()), Ok(1));
        let own = std::fs::read("/proc/self/environ").expect("procfs");
        assert!(parse(&own).is_ok_and(|own| !own.is_empty()));
    }

    #[test]
    fn overwritten_memory_is_not_an_environment() {
        for (text, reason, place) in [
            (&b"A=1"[..], EnvironErrorKind::Unfinished, &b"A=1"[..]),
            (b"A=1\0B", EnvironErrorKind::Unfinished, b"B"),
            (b"\0", EnvironErrorKind::NoVariable, b"\0"),
            (b"A=1\0\0", EnvironErrorKind::NoVariable, b"\0"),
            (
                b"master process\0A=1\0",
                EnvironErrorKind::NoVariable,
                b"master process\0",
            ),
            (b"A=1\0=2\0", EnvironErrorKind::EmptyKey, b"=2\0"),
        ] {
            let fault = parse(text).expect_err("it should be refused");
            assert_eq!(fault.reason, reason);
            assert_eq!(text.get(fault.span), Some(place));
        }
    }

    #[test]
    fn bytes_and_variables_are_bounded() {
        let long = |length: usize| {
            let mut text = b"A=".to_vec();
            text.resize(length - 1, b'x');
            text.push(0);
            parse(&text).map(|list| list.len())
        };
        assert_eq!(long(MAX_BYTES), Ok(1));
        let fault = long(MAX_BYTES + 1).expect_err("it should be refused");
        assert_eq!(fault.reason, EnvironErrorKind::TooLong(MAX_BYTES + 1));

        let many = |count: usize| {
            let entry = |number: usize| format!("{number:x}=\0").into_bytes();
            parse(&(0..count).flat_map(entry).collect::<Vec<_>>()).map(|list| list.len())
        };
        assert_eq!(many(MAX_VARIABLES), Ok(MAX_VARIABLES));
        let fault = many(MAX_VARIABLES + 1).expect_err("it should be refused");
        assert_eq!(fault.reason, EnvironErrorKind::TooMany);
    }

    proptest! {
        #[test]
        fn a_parsed_environment_prints_and_parses_to_the_same(
            text in prop_oneof!["([A-C]{1,2}=[a-z=]{0,3}\0){0,5}", "[A-B=\0]{0,8}"]
        ) {
            if let Ok(variables) = parse(text.as_bytes()) {
                prop_assert_eq!(parse(&print(&variables)), Ok(variables));
            }
        }
    }
}
