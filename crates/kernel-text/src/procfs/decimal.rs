//! Numbers as `%u` and `%d` print them.

use std::str::FromStr;

/// The number that `text` is, when printing it again gives `text`: decimal
/// digits only, at least one, no leading zero, within the range of `T`.
pub fn decimal<T: FromStr>(text: &[u8]) -> Option<T> {
    let plain = text.iter().all(u8::is_ascii_digit);
    let leading_zero = text.len() > 1 && text.starts_with(b"0");
    if !plain || leading_zero {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The same with a sign; `-` only before a number other than zero.
pub fn signed<T: FromStr>(text: &[u8]) -> Option<T> {
    let Some(digits) = text.strip_prefix(b"-") else {
        return decimal(text);
    };
    let plain = digits.iter().all(u8::is_ascii_digit);
    if !plain || digits.starts_with(b"0") {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(decimal::<u8>(b"0"), Some(0));
        assert_eq!(decimal::<u8>(b"255"), Some(255));
        for wrong in [
            "", "256", "00", "012", "+3", "-1", "-0", " 3", "3 ", "3\n", "0x3", "\u{663}",
        ] {
            assert_eq!(decimal::<u8>(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(decimal::<i32>(b"2147483647"), Some(i32::MAX));
        assert_eq!(decimal::<i32>(b"2147483648"), None);
    }

    #[test]
    fn a_sign_is_one_minus_before_a_nonzero_number() {
        assert_eq!(signed::<i16>(b"0"), Some(0));
        assert_eq!(signed::<i16>(b"-1000"), Some(-1000));
        assert_eq!(signed::<i16>(b"32767"), Some(i16::MAX));
        assert_eq!(signed::<i16>(b"-32768"), Some(i16::MIN));
        for wrong in [
            "", "-", "-0", "-01", "--1", "+1", "- 1", "-1 ", "-32769", "32768",
        ] {
            assert_eq!(signed::<i16>(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(signed::<u32>(b"-1"), None);
    }

    proptest! {
        #[test]
        fn every_signed_number_is_read(number: i64) {
            prop_assert_eq!(signed::<i64>(number.to_string().as_bytes()), Some(number));
        }

        #[test]
        fn a_parsed_number_prints_as_written(text in "[0-9+ -]{0,12}") {
            if let Some(number) = decimal::<u32>(text.as_bytes()) {
                prop_assert_eq!(number.to_string(), text);
            }
        }

        #[test]
        fn every_number_is_read(number: u64) {
            prop_assert_eq!(decimal::<u64>(number.to_string().as_bytes()), Some(number));
        }
    }
}
