//! Strict parsers for numbers and ids: only decimal digits, with nothing before,
//! between or after them. Anything else is an error and never 0
//! (CVE-2026-30892).

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;

use nsexec_request::{IdChoice, Pid, TargetId};
use nsexec_text::Fault;

/// Why a text is not a valid number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberErrorKind {
    /// The text is empty.
    Empty,
    /// A byte that is no decimal digit.
    Digit,
    /// A leading zero, which other parsers read as octal.
    LeadingZero,
    /// The list contains the number twice.
    Twice,
    /// A list of more numbers than this.
    TooMany(usize),
    /// Outside these bounds.
    Range {
        /// The smallest valid number.
        least: u64,
        /// The largest valid number.
        most: u64,
    },
}

/// A number from `least` to `most`.
///
/// # Errors
/// The reason and position of an error.
pub fn number(text: &[u8], least: u64, most: u64) -> Result<u64, Fault<NumberErrorKind>> {
    at(text, 0, least, most)
}

fn at(text: &[u8], start: usize, least: u64, most: u64) -> Result<u64, Fault<NumberErrorKind>> {
    let whole = start..start + text.len();
    if text.is_empty() {
        return Err(Fault::new(whole, NumberErrorKind::Empty));
    }
    if let Some(odd) = text.iter().position(|byte| !byte.is_ascii_digit()) {
        return Err(Fault::new(
            start + odd..start + odd + 1,
            NumberErrorKind::Digit,
        ));
    }
    if text.len() > 1 && text.first() == Some(&b'0') {
        return Err(Fault::new(start..start + 1, NumberErrorKind::LeadingZero));
    }
    let digits = std::str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse().ok());
    digits
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Fault::new(whole, NumberErrorKind::Range { least, most }))
}

/// `PID` or `PID:INODE`.
///
/// # Errors
/// The invalid part, and the reason.
pub fn target(text: &[u8]) -> Result<TargetId, Fault<NumberErrorKind>> {
    let colon = text.iter().position(|byte| *byte == b':');
    let (pid, inode) = match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((pid, rest)) => (pid, Some(rest.get(1..).unwrap_or_default())),
        None => (text, None),
    };
    let most = i32::MAX.unsigned_abs().into();
    let number = at(pid, 0, 1, most)?;
    let out_of_range = || Fault::new(0..pid.len(), NumberErrorKind::Range { least: 1, most });
    let number = i32::try_from(number)
        .ok()
        .and_then(Pid::new)
        .ok_or_else(out_of_range)?;
    let inode = inode
        .map(|inode| at(inode, pid.len() + 1, 1, u64::MAX))
        .transpose()?;
    Ok(TargetId {
        pid: number,
        inode: inode.and_then(NonZeroU64::new),
    })
}

/// `N` or `N-M`, or several of them separated by commas: numbers from `least` to
/// `most`, each once, at most `count` of them.
///
/// # Errors
/// The invalid part, and the reason.
pub fn list(
    text: &[u8],
    least: u64,
    most: u64,
    count: usize,
) -> Result<BTreeSet<u64>, Fault<NumberErrorKind>> {
    let mut numbers = BTreeSet::new();
    let mut start = 0;
    for part in text.split(|byte| *byte == b',') {
        let span = start..start + part.len();
        let mut ends = part.splitn(2, |byte| *byte == b'-');
        let begin = ends.next().unwrap_or_default();
        let first = at(begin, start, least, most)?;
        let last = match ends.next() {
            Some(end) => at(end, start + begin.len() + 1, first, most)?,
            None => first,
        };
        for number in first..=last {
            if !numbers.insert(number) {
                return Err(Fault::new(span, NumberErrorKind::Twice));
            }
            if numbers.len() > count {
                return Err(Fault::new(span, NumberErrorKind::TooMany(count)));
            }
        }
        start = span.end + 1;
    }
    Ok(numbers)
}

/// The greatest user or group id: the kernel reads 2^32 - 1 as "no change".
pub const MAX_ID: u32 = u32::MAX - 1;

/// An id, or `follow`.
///
/// # Errors
/// Why it is neither.
pub fn id(text: &[u8]) -> Result<IdChoice, Fault<NumberErrorKind>> {
    if text == b"follow" {
        return Ok(IdChoice::Follow);
    }
    let number = at(text, 0, 0, MAX_ID.into())?;
    Ok(IdChoice::Number(u32::try_from(number).unwrap_or(MAX_ID)))
}

impl fmt::Display for NumberErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a number is missing"),
            Self::Digit => f.write_str("only decimal digits make a number"),
            Self::LeadingZero => f.write_str("a number has no leading zero"),
            Self::Twice => f.write_str("a number is in the list twice"),
            Self::TooMany(count) => write!(f, "more than {count} numbers"),
            Self::Range { least, most } => write!(f, "it has to be from {least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pids_are_strict() {
        let reason = |text: &str| target(text.as_bytes()).unwrap_err().reason;
        let range = NumberErrorKind::Range {
            least: 1,
            most: 2_147_483_647,
        };
        for text in ["0", "2147483648", "99999999999999999999999"] {
            assert_eq!(reason(text), range, "{text}");
        }
        for text in [
            "-1", "+3", " 3", "3 ", "0x3", "3\n", "\u{0663}", "3:4:5", "1e3",
        ] {
            assert_eq!(reason(text), NumberErrorKind::Digit, "{text:?}");
        }
        for text in ["012", "00", "3:01"] {
            assert_eq!(reason(text), NumberErrorKind::LeadingZero, "{text}");
        }
        for text in ["", ":", ":3", "3:"] {
            assert_eq!(reason(text), NumberErrorKind::Empty, "{text}");
        }
        assert_eq!(
            reason("3:0"),
            NumberErrorKind::Range {
                least: 1,
                most: u64::MAX
            }
        );
        let fault = target(b"12:3x").unwrap_err();
        assert_eq!(fault.span, 4..5);
        let good = target(b"2147483647:18446744073709551615").unwrap();
        assert_eq!(
            (good.pid.get(), good.inode),
            (i32::MAX, NonZeroU64::new(u64::MAX))
        );
    }

    #[test]
    fn lists_are_strict() {
        let read = |text: &str| list(text.as_bytes(), 3, 4000, 1024);
        let numbers = |text: &str| read(text).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(numbers("63"), [63]);
        assert_eq!(numbers("63,3"), [3, 63]);
        assert_eq!(numbers("9,20-22,10-10"), [9, 10, 20, 21, 22]);
        assert_eq!(numbers("3-1026").len(), 1024);
        let reason = |text: &str| read(text).unwrap_err().reason;
        assert_eq!(reason("3-1027"), NumberErrorKind::TooMany(1024));
        for text in ["", ",", "3,", ",3", "3,,4", "-3", "3-", "-", "3-,4"] {
            assert_eq!(reason(text), NumberErrorKind::Empty, "{text:?}");
        }
        for text in ["3 4", "3, 4", "3-5-7", "+3", "3;4", "x"] {
            assert_eq!(reason(text), NumberErrorKind::Digit, "{text:?}");
        }
        for text in ["3,3", "3-5,4", "4,3-5"] {
            assert_eq!(reason(text), NumberErrorKind::Twice, "{text}");
        }
        for text in ["2", "4001", "5-3", "3-4001"] {
            assert!(
                matches!(reason(text), NumberErrorKind::Range { .. }),
                "{text}"
            );
        }
        assert_eq!(read("10,20-2x").unwrap_err().span, 7..8);
    }

    #[test]
    fn ids_are_strict() {
        assert_eq!(id(b"0"), Ok(IdChoice::Number(0)));
        assert_eq!(id(b"4294967294"), Ok(IdChoice::Number(MAX_ID)));
        assert_eq!(id(b"follow"), Ok(IdChoice::Follow));
        for text in [
            "",
            "root",
            "-0",
            "+1",
            "1 ",
            "01",
            "4294967295",
            "Follow",
            "followx",
            "1:1",
        ] {
            assert!(id(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_target_parses_to_the_same(pid in 1..i32::MAX, inode: Option<u64>) {
            let inode = inode.and_then(NonZeroU64::new);
            let text = match inode {
                Some(inode) => format!("{pid}:{inode}"),
                None => pid.to_string(),
            };
            let read = target(text.as_bytes()).unwrap();
            prop_assert_eq!((read.pid.get(), read.inode), (pid, inode));
        }

        #[test]
        fn a_number_is_its_own_print(text in "\\PC{0,12}") {
            if let Ok(read) = number(text.as_bytes(), 0, u64::MAX) {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
