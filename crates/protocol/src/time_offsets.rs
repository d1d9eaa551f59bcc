//! The lines that are written to `/proc/PID/timens_offsets`, time_namespaces(7):
//! `CLOCK SECONDS NANOSECONDS` and a newline for each clock.

use std::fmt;

use nsexec_kernel_text::procfs::decimal::{decimal, signed};
use nsexec_text::Fault;

/// Most seconds, forward or back: half of KTIME_SEC_MAX (linux/ktime.h), the
/// limit of a clock inside, time_namespaces(7). The exact limit of an offset
/// depends on the clock's value, which only the kernel can check.
pub const MAX_SECONDS: i64 = 9_223_372_036 / 2;

/// Longest text, in bytes: both clocks, each with the longest numbers.
pub const MAX_BYTES: usize =
    "monotonic -4611686018 999999999\nboottime -4611686018 999999999\n".len();

/// The offsets of a new time namespace, at least one. Made by [`parse`] alone;
/// `Display` is the lines to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeOffsets {
    /// Of CLOCK_MONOTONIC; `None`: as outside.
    pub monotonic: Option<TimeOffset>,
    /// Of CLOCK_BOOTTIME; `None`: as outside.
    pub boottime: Option<TimeOffset>,
}

/// The difference between a clock inside and the same clock outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeOffset {
    /// -[`MAX_SECONDS`] to [`MAX_SECONDS`].
    pub seconds: i64,
    /// 0 to 999,999,999, always forward.
    pub nanoseconds: u32,
}

/// Why lines are not valid offsets, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOffsetsErrorKind {
    /// The text has no line.
    Empty,
    /// The last line has no newline.
    Unfinished,
    /// Not a clock and two decimal numbers, separated by single spaces.
    Shape,
    /// A clock that has no offset.
    Clock,
    /// A clock that has its offset from a line before.
    Repeated,
    /// Further than [`MAX_SECONDS`], or not a decimal number.
    Seconds,
    /// More than 999,999,999, or not a decimal number.
    Nanoseconds,
}

/// The offsets in `text`; clocks may be in any order.
///
/// # Errors
/// The first invalid line, or its invalid part.
pub fn parse(text: &[u8]) -> Result<TimeOffsets, Fault<TimeOffsetsErrorKind>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, TimeOffsetsErrorKind::Empty));
    }
    let mut offsets = TimeOffsets {
        monotonic: None,
        boottime: None,
    };
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        let fault = |reason| Fault::new(start..end, reason);
        let line = line
            .strip_suffix(b"\n")
            .ok_or_else(|| fault(TimeOffsetsErrorKind::Unfinished))?;
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(clock), Some(seconds), Some(nanoseconds), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(fault(TimeOffsetsErrorKind::Shape));
        };
        let seconds_at = start + clock.len() + 1;
        let nanoseconds_at = seconds_at + seconds.len() + 1;
        let at = |place: usize, word: &[u8], reason| Fault::new(place..place + word.len(), reason);

        let slot = match clock {
            b"monotonic" => &mut offsets.monotonic,
            b"boottime" => &mut offsets.boottime,
            _ => return Err(at(start, clock, TimeOffsetsErrorKind::Clock)),
        };
        if slot.is_some() {
            return Err(at(start, clock, TimeOffsetsErrorKind::Repeated));
        }
        *slot = Some(TimeOffset {
            seconds: signed(seconds)
                .filter(|seconds| (-MAX_SECONDS..=MAX_SECONDS).contains(seconds))
                .ok_or_else(|| at(seconds_at, seconds, TimeOffsetsErrorKind::Seconds))?,
            nanoseconds: decimal(nanoseconds)
                .filter(|nanoseconds| *nanoseconds < 1_000_000_000)
                .ok_or_else(|| {
                    at(
                        nanoseconds_at,
                        nanoseconds,
                        TimeOffsetsErrorKind::Nanoseconds,
                    )
                })?,
        });
        start = end;
    }
    Ok(offsets)
}

impl fmt::Display for TimeOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (clock, offset) in [("monotonic", self.monotonic), ("boottime", self.boottime)] {
            if let Some(TimeOffset {
                seconds,
                nanoseconds,
            }) = offset
            {
                writeln!(f, "{clock} {seconds} {nanoseconds}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TimeOffsetsErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("time offsets without a line; they have one for each clock"),
            Self::Unfinished => f.write_str("no newline at the end of the time offsets"),
            Self::Shape => f.write_str("a line that is not CLOCK SECONDS NANOSECONDS"),
            Self::Clock => {
                f.write_str("a clock without an offset; only monotonic and boottime have one")
            }
            Self::Repeated => f.write_str("a duplicate clock; name it once"),
            Self::Seconds => write!(
                f,
                "invalid seconds; give a decimal number from -{MAX_SECONDS} to {MAX_SECONDS}"
            ),
            Self::Nanoseconds => {
                f.write_str("invalid nanoseconds; give a decimal number from 0 to 999999999")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn offset(seconds: i64, nanoseconds: u32) -> Option<TimeOffset> {
        Some(TimeOffset {
            seconds,
            nanoseconds,
        })
    }

    #[test]
    fn clocks_are_accepted_in_any_order_and_alone() {
        let read = |text: &str| {
            let offsets = parse(text.as_bytes()).expect("offsets");
            (offsets.monotonic, offsets.boottime)
        };
        let both = (offset(172_800, 0), offset(-604_800, 999_999_999));
        assert_eq!(
            read("monotonic 172800 0\nboottime -604800 999999999\n"),
            both
        );
        assert_eq!(
            read("boottime -604800 999999999\nmonotonic 172800 0\n"),
            both
        );
        assert_eq!(read("monotonic 0 0\n"), (offset(0, 0), None));
        assert_eq!(
            read("boottime -4611686018 1\n"),
            (None, offset(-MAX_SECONDS, 1))
        );
    }

    #[test]
    fn the_longest_lines_have_the_longest_numbers() {
        let text = "monotonic -4611686018 999999999\nboottime -4611686018 999999999\n";
        assert_eq!(text.len(), MAX_BYTES);
        let offsets = parse(text.as_bytes()).expect("offsets");
        assert_eq!(offsets.to_string(), text);
    }

    #[test]
    fn an_invalid_offset_is_an_error_with_its_span() {
        for (text, reason, place) in [
            ("", TimeOffsetsErrorKind::Empty, ""),
            ("\n", TimeOffsetsErrorKind::Shape, "\n"),
            (
                "monotonic 1 0",
                TimeOffsetsErrorKind::Unfinished,
                "monotonic 1 0",
            ),
            (
                "monotonic 1\n",
                TimeOffsetsErrorKind::Shape,
                "monotonic 1\n",
            ),
            (
                "monotonic 1 0 \n",
                TimeOffsetsErrorKind::Shape,
                "monotonic 1 0 \n",
            ),
            (
                "monotonic  1 0\n",
                TimeOffsetsErrorKind::Shape,
                "monotonic  1 0\n",
            ),
            (
                "monotonic\t1 0\n",
                TimeOffsetsErrorKind::Shape,
                "monotonic\t1 0\n",
            ),
            ("boottime 1 0\n\n", TimeOffsetsErrorKind::Shape, "\n"),
            ("realtime 1 0\n", TimeOffsetsErrorKind::Clock, "realtime"),
            // The kernel also accepts 1 and 7 here; libcontainer writes names.
            ("1 1 0\n", TimeOffsetsErrorKind::Clock, "1"),
            (
                "monotonic 1 0\nmonotonic 2 0\n",
                TimeOffsetsErrorKind::Repeated,
                "monotonic",
            ),
            (
                "monotonic 4611686019 0\n",
                TimeOffsetsErrorKind::Seconds,
                "4611686019",
            ),
            (
                "boottime -4611686019 0\n",
                TimeOffsetsErrorKind::Seconds,
                "-4611686019",
            ),
            (
                "boottime 99999999999999999999 0\n",
                TimeOffsetsErrorKind::Seconds,
                "99999999999999999999",
            ),
            ("boottime -0 0\n", TimeOffsetsErrorKind::Seconds, "-0"),
            ("boottime +1 0\n", TimeOffsetsErrorKind::Seconds, "+1"),
            ("boottime 01 0\n", TimeOffsetsErrorKind::Seconds, "01"),
            (
                "monotonic 1 1000000000\n",
                TimeOffsetsErrorKind::Nanoseconds,
                "1000000000",
            ),
            ("monotonic 1 -1\n", TimeOffsetsErrorKind::Nanoseconds, "-1"),
            (
                "monotonic 1 4294967296\n",
                TimeOffsetsErrorKind::Nanoseconds,
                "4294967296",
            ),
            (
                "monotonic 1 0\0\n",
                TimeOffsetsErrorKind::Nanoseconds,
                "0\0",
            ),
        ] {
            let fault = parse(text.as_bytes()).expect_err("it should be refused");
            let found = text.get(fault.span).expect("inside the text");
            assert_eq!((fault.reason, found), (reason, place), "{text:?}");
        }
        let twice = parse(b"boottime 1 0\nboottime 1 0\n").expect_err("twice");
        assert_eq!(twice.span, 13..21);
    }

    proptest! {
        #[test]
        fn parsed_offsets_print_and_parse_to_the_same(
            text in "((monotonic|boottime) -?[0-9]{1,11} [0-9]{1,10}\n){0,3}"
        ) {
            if let Ok(offsets) = parse(text.as_bytes()) {
                prop_assert_eq!(parse(offsets.to_string().as_bytes()), Ok(offsets));
            }
        }
    }
}
