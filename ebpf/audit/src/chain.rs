//! Tamper evidence: every line of JSON carries the SHA-256 of all before it.
//!
//! The last member of a line is `"chain"`: the hash of the chain value of the line
//! before (32 zero bytes for the first one) and of this line without that member.
//! So a line that is changed, taken out or put in breaks the chain there. Whoever
//! can write the whole file can write another whole one, and cut lines off its end:
//! the last value, noted elsewhere, tells of that.

use std::fmt;
use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

/// A chain value.
pub type Value = [u8; 32];

/// Before the first line.
pub const BEGINNING: Value = [0; 32];

/// How the member begins, right behind the line's others.
const MEMBER: &[u8] = b",\"chain\":\"";
/// How it ends, with the object.
const END: &[u8] = b"\"}";
const DIGITS: usize = 64;
/// How much longer a line is for its value and its end, in bytes.
pub const ADDED: usize = MEMBER.len() + DIGITS + END.len();

/// What comes after `last`, for a line without its end.
#[must_use]
pub fn next(last: Value, line: &[u8]) -> Value {
    Sha256::new()
        .chain_update(last)
        .chain_update(line)
        .finalize()
        .into()
}

/// Writes lines with their chain values.
#[derive(Debug)]
pub struct Chained {
    last: Value,
}

impl Chained {
    /// After the line of this value.
    #[must_use]
    pub fn after(last: Value) -> Self {
        Self { last }
    }

    /// The value of the last line.
    #[must_use]
    pub fn last(&self) -> Value {
        self.last
    }

    /// Puts the chain value into `line`, one JSON object with at least one member and
    /// without an end of line, and ends the line.
    ///
    /// # Errors
    /// InvalidInput: it is no such object, and is left as it is.
    pub fn end(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        // All bytes are looked at, which is quicker than to stop at one.
        let broken = line.iter().fold(false, |one, byte| one | (*byte == b'\n'));
        if broken || line.len() <= 2 || !line.ends_with(b"}") {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        self.last = next(self.last, line);
        line.pop();
        line.extend_from_slice(MEMBER);
        line.extend_from_slice(&digits(self.last));
        line.extend_from_slice(END);
        line.push(b'\n');
        Ok(())
    }
}

/// Why a file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line has no chain value as its last member.
    NoValue,
    /// Its value is not that of what is before it and in it.
    Value,
    /// The last line has no end: it was not written whole, or was cut.
    Unfinished,
    /// The file says itself that it continues another one than was given before it.
    After(Value),
}

/// Where it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// From 1.
    pub line: u64,
    pub wrong: Wrong,
}

/// Reads lines and their values from after `last`: how many there are, and the last
/// value, or the first break.
///
/// # Errors
/// It cannot be read.
pub fn verify(input: &mut dyn BufRead, last: Value) -> io::Result<Result<(u64, Value), Break>> {
    let (mut last, mut count) = (last, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(Ok((count, last)));
        }
        count += 1;
        let broken = |wrong| Ok(Err(Break { line: count, wrong }));
        let Some(whole) = line.strip_suffix(b"\n") else {
            return broken(Wrong::Unfinished);
        };
        let Some((object, value)) = split(whole) else {
            return broken(Wrong::NoValue);
        };
        if count == 1
            && let Some(before) = continues(&object)
            && before != last
        {
            return broken(Wrong::After(before));
        }
        let expected = next(last, &object);
        if expected != value {
            return broken(Wrong::Value);
        }
        last = expected;
    }
}

/// What a `start` line says that it continues; none of any other line.
fn continues(object: &[u8]) -> Option<Value> {
    #[derive(serde::Deserialize)]
    struct Start {
        kind: String,
        continues: Option<String>,
    }
    let start: Start = serde_json::from_slice(object).ok()?;
    match start.continues {
        _ if start.kind != "start" => None,
        None => Some(BEGINNING),
        Some(digits) => parse(&digits),
    }
}

/// A value as it is written: 64 digits, with small letters.
#[must_use]
pub fn parse(text: &str) -> Option<Value> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if text.len() != DIGITS || !rest.is_empty() {
        return None;
    }
    let mut value = BEGINNING;
    for (byte, pair) in value.iter_mut().zip(pairs) {
        let [high, low] = pair.map(digit);
        *byte = high? << 4 | low?;
    }
    Some(value)
}

/// A line without its chain value, and that.
fn split(line: &[u8]) -> Option<(Vec<u8>, Value)> {
    let open = line.strip_suffix(END)?;
    let (rest, digits) = open.split_at_checked(open.len().checked_sub(DIGITS)?)?;
    let mut object = rest.strip_suffix(MEMBER)?.to_vec();
    object.push(b'}');
    let value = parse(std::str::from_utf8(digits).ok()?)?;
    Some((object, value))
}

/// Small letters only: one value is written in one way.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The digits that it is written with.
fn digits(value: Value) -> [u8; DIGITS] {
    let digit = |number: u8| number + if number < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(value) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    digits
}

/// As it is written.
#[must_use]
pub fn hex(value: Value) -> String {
    String::from_utf8_lossy(&digits(value)).into_owned()
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoValue => "no chain value stands at its end: it was not written like this",
            Self::Value => "it was changed, or one before it was taken out or put in",
            Self::Unfinished => "it has no end: it was not written whole, or was cut",
            Self::After(BEGINNING) => "it begins a chain of its own: verify the file by itself",
            Self::After(value) => {
                return write!(
                    f,
                    "it continues {0}: give the file that ends so before it, or --after {0}",
                    hex(*value)
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(objects: &[String]) -> Vec<u8> {
        let mut chained = Chained::after(BEGINNING);
        let mut file = Vec::new();
        for object in objects {
            file.extend(ended(&mut chained, object));
        }
        file
    }

    fn ended(chained: &mut Chained, object: &str) -> Vec<u8> {
        let mut line = object.as_bytes().to_vec();
        chained.end(&mut line).unwrap();
        line
    }

    fn broken(file: &[u8]) -> Option<Break> {
        verify(&mut &*file, BEGINNING).unwrap().err()
    }

    fn objects(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
    }

    /// As sha256sum(1) has it, of 32 zeros and {"a":1}.
    #[test]
    fn the_first_value_is_that_of_zeros_and_the_line() {
        let file = written(&["{\"a\":1}".to_owned()]);
        let value = hex(next(BEGINNING, b"{\"a\":1}"));
        let expected = format!("{{\"a\":1,\"chain\":\"{value}\"}}\n");
        assert_eq!(String::from_utf8(file).unwrap(), expected);
        assert_eq!(value, FIRST);
    }

    const FIRST: &str = "b06a229070741292512e8760f470dd7a4c46ccfdf253df781d88dabe58c1ccb1";

    #[test]
    fn a_file_continues_another() {
        let first = written(&objects(3));
        let (count, last) = verify(&mut first.as_slice(), BEGINNING).unwrap().unwrap();
        assert_eq!(count, 3);
        let second = ended(&mut Chained::after(last), "{\"more\":1}");
        assert!(verify(&mut second.as_slice(), last).unwrap().is_ok());
        assert_eq!(broken(&second).unwrap().wrong, Wrong::Value);
        assert_eq!(broken(&[first, second].concat()), None);
    }

    #[test]
    fn a_file_that_names_what_it_continues_is_verified_after_that_only() {
        let mut chained = Chained::after(next(BEGINNING, b"{}"));
        let before = chained.last();
        let start = format!("{{\"kind\":\"start\",\"continues\":\"{}\"}}", hex(before));
        let file = ended(&mut chained, &start);
        let wrong = |last| verify(&mut file.as_slice(), last).unwrap().err();
        assert_eq!(wrong(before), None);
        let after = Wrong::After(before);
        assert_eq!(wrong(BEGINNING).map(|one| one.wrong), Some(after));
        assert!(
            after
                .to_string()
                .contains(&format!("--after {}", hex(before)))
        );
        let first = written(&["{\"kind\":\"start\"}".to_owned()]);
        let found = verify(&mut first.as_slice(), before).unwrap().unwrap_err();
        assert_eq!(found.wrong, Wrong::After(BEGINNING));
    }

    #[test]
    fn a_value_is_read_as_it_is_written_only() {
        let value = next(BEGINNING, b"{}");
        let text = hex(value);
        assert_eq!(parse(&text), Some(value));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.to_uppercase()] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_object_is_not_written() {
        for wrong in ["", "{", "}", "[1]", "{\"a\":\n1}", "1"] {
            let mut line = wrong.as_bytes().to_vec();
            let refused = Chained::after(BEGINNING).end(&mut line);
            assert!(refused.is_err() && line == wrong.as_bytes(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_change_of_a_byte_is_found_at_its_line(
            count in 1_usize..6, at in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let file = written(&objects(count));
            let mut changed = file.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            let line = file[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            // A new end of line in its middle breaks the line that it ends.
            prop_assert_eq!(broken(&changed).map(|one| one.line), u64::try_from(line).ok());
        }

        #[test]
        fn a_line_that_is_gone_doubled_or_moved_is_found(
            count in 3_usize..8, from in any::<prop::sample::Index>(), kind in 0..3,
        ) {
            let file = written(&objects(count));
            let mut lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
            // Not the last one: what is cut off the end leaves no trace in the file.
            let from = from.index(count - 1);
            let first_wrong = match kind {
                0 => {
                    lines.remove(from);
                    from
                }
                1 => {
                    lines.insert(from, lines[from]);
                    from + 1
                }
                _ => {
                    lines.swap(from, from + 1);
                    from
                }
            };
            let found = broken(&lines.concat()).map(|one| (one.line, one.wrong));
            prop_assert_eq!(found, Some((u64::try_from(first_wrong).unwrap() + 1, Wrong::Value)));
        }

        #[test]
        fn a_file_that_is_cut_inside_a_line_is_told(
            count in 1_usize..5, cut in any::<prop::sample::Index>(),
        ) {
            let file = written(&objects(count));
            let cut = cut.index(file.len());
            let at_a_line = cut == 0 || file[cut - 1] == b'\n';
            let expected = (!at_a_line).then_some(Wrong::Unfinished);
            prop_assert_eq!(broken(&file[..cut]).map(|one| one.wrong), expected);
        }
    }
}
