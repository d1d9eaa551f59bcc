//! The answers of protocol A: the pid line, and libcontainer's error JSON.

use std::fmt::Write;
use std::time::Duration;

use nsexec_kernel_text::Pid;

/// Longest message, in bytes before escaping. Escaping makes it at most six
/// times longer, which fits the buffer of any pipe or socket without a reader.
pub const MAX_MESSAGE: usize = 4096;

/// The last second of the year 9999, the last that RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// The line that reports the child: `{ "pid" : N }` and a newline.
#[must_use]
pub fn pid_line(pid: Pid) -> Vec<u8> {
    format!("{{ \"pid\" : {pid} }}\n").into_bytes()
}

/// libcontainer's `genericError` with code 8 (a system error) and no stack
/// frames: one line of JSON, with the keys and escapes of Go.
///
/// `since_epoch` is the time of the error, in UTC since 1970; a time after the
/// year 9999 becomes the last moment of that year. In `message`, invalid UTF-8
/// is replaced, and text beyond [`MAX_MESSAGE`] is cut.
#[must_use]
pub fn generic_error(since_epoch: Duration, message: &[u8]) -> Vec<u8> {
    let mut line = String::from("{\"Timestamp\":\"");
    push_timestamp(&mut line, since_epoch);
    line.push_str("\",\"ECode\":8,\"Message\":\"");
    push_message(&mut line, message);
    line.push_str("\",\"Stack\":{\"Frames\":null}}\n");
    line.into_bytes()
}

/// RFC3339Nano: no trailing zeros in the fraction, and none without nanoseconds.
fn push_timestamp(line: &mut String, since_epoch: Duration) {
    let (seconds, nanoseconds) = match since_epoch.as_secs() {
        0..=LAST_SECOND => (since_epoch.as_secs(), since_epoch.subsec_nanos()),
        _ => (LAST_SECOND, 999_999_999),
    };
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Writing to a String does not fail.
    let _ = write!(
        line,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    if nanoseconds != 0 {
        let fraction = format!("{nanoseconds:09}");
        line.push('.');
        line.push_str(fraction.trim_end_matches('0'));
    }
    line.push('Z');
}

/// Year, month and day of the date `days` days after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= 365 + leap_day(year) {
        days -= 365 + leap_day(year);
        year += 1;
    }
    let lengths = [
        31,
        28 + leap_day(year),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn leap_day(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    u64::from(leap)
}

fn push_message(line: &mut String, message: &[u8]) {
    let message = String::from_utf8_lossy(message);
    let cut = message.floor_char_boundary(MAX_MESSAGE);
    for c in message.get(..cut).unwrap_or_default().chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            // The other characters that JSON requires to be escaped, and those
            // that Go escapes for HTML and JavaScript.
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            _ => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use serde_json::Value;

    fn at(seconds: u64, nanoseconds: u32) -> String {
        let mut line = String::new();
        push_timestamp(&mut line, Duration::new(seconds, nanoseconds));
        line
    }

    fn read(line: &[u8]) -> Value {
        let (end, json) = line.split_last().expect("not empty");
        assert_eq!(*end, b'\n');
        assert!(!json.contains(&b'\n'));
        serde_json::from_slice(json).expect("JSON")
    }

    #[test]
    fn the_pid_line_is_exact() {
        let pid = Pid::new(4711).expect("positive");
        assert_eq!(pid_line(pid), b"{ \"pid\" : 4711 }\n");
    }

    #[test]
    fn the_error_is_byte_for_byte_libcontainer_s() {
        let sample = include_str!("../../../tests/data/proto_a_genericError.json");
        let head = sample.split("[{").next().expect("frames");
        let ours = generic_error(
            Duration::new(1_795_433_500, 871_315_783),
            b"exec: \"unexistent\": executable file not found in $PATH",
        );
        assert_eq!(ours, format!("{head}null}}}}\n").into_bytes());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (86_400, "1970-01-02T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (68_256_000, "1972-03-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_234_567_890, "2009-02-13T23:31:30Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(at(seconds, 0), text);
        }
    }

    #[test]
    fn no_later_year_than_9999_is_written() {
        let last = "9999-12-31T23:59:59.999999999Z";
        assert_eq!(at(253_402_300_799, 999_999_999), last);
        assert_eq!(at(253_402_300_800, 0), last);
        assert_eq!(at(u64::MAX, 0), last);
    }

    #[test]
    fn the_fraction_has_no_trailing_zeros() {
        assert_eq!(at(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(at(0, 500_000_000), "1970-01-01T00:00:00.5Z");
        assert_eq!(at(0, 120_000), "1970-01-01T00:00:00.00012Z");
    }

    #[test]
    fn characters_that_go_escapes_are_escaped() {
        let line = generic_error(Duration::ZERO, "\"\\\n\r\t\0<&>\u{2028}\u{7f}ä".as_bytes());
        let line = String::from_utf8(line).expect("UTF-8");
        let message = "\\\"\\\\\\n\\r\\u0009\\u0000\\u003c\\u0026\\u003e\\u2028\u{7f}ä";
        assert!(
            line.contains(&format!("\"Message\":\"{message}\"")),
            "{line}"
        );
    }

    #[test]
    fn the_message_is_bounded_and_cut_between_characters() {
        let length = |message: &[u8]| {
            let error = read(&generic_error(Duration::ZERO, message));
            error["Message"].as_str().map(str::len)
        };
        assert_eq!(length(&[b'm'; MAX_MESSAGE]), Some(MAX_MESSAGE));
        assert_eq!(length(&[b'm'; MAX_MESSAGE + 1]), Some(MAX_MESSAGE));
        let wide = ["m", &"ä".repeat(MAX_MESSAGE)].concat();
        assert_eq!(length(wide.as_bytes()), Some(MAX_MESSAGE - 1));
    }

    proptest! {
        #[test]
        fn any_message_arrives(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let error = read(&generic_error(Duration::ZERO, &message));
            let arrived = error["Message"].as_str().map(str::to_owned);
            prop_assert_eq!(arrived, Some(String::from_utf8_lossy(&message).into_owned()));
            prop_assert_eq!(&error["ECode"], &Value::from(8));
        }

        #[test]
        fn days_follow_one_another(day in 0_u64..2_932_895) {
            let (year, month, of_month) = date(day);
            let next = date(day + 1);
            let same_month = next == (year, month, of_month + 1);
            let next_month = next == (year, month + 1, 1) && of_month >= 28;
            let next_year = next == (year + 1, 1, 1) && (month, of_month) == (12, 31);
            prop_assert!(same_month || next_month || next_year);
        }
    }
}
