//! Tamper evidence: every line of JSON carries the SHA-256 of all before it.
//!
//! The last member of a line is `"chain"`: the hash of the chain value of the line
//! before (32 zero bytes for the first one) and of this line without that member.
//! So a line that is changed, removed or inserted breaks the chain there. A process that
//! can write the whole file can write another valid one, and cut lines off its end: the
//! last value, if kept elsewhere, reveals that.

use std::fmt;
use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

/// A chain value.
pub type Value = [u8; 32];

/// Before the first line.
pub const BEGINNING: Value = [0; 32];

/// The name of the member.
pub const MEMBER_NAME: &str = "chain";
/// How the member begins, right behind the line's others.
const MEMBER: &[u8] = b",\"chain\":\"";
/// How it ends, with the object.
const END: &[u8] = b"\"}";
const DIGITS: usize = 64;
/// How much longer a line is for its value and its end, in bytes.
pub const ADDED: usize = MEMBER.len() + DIGITS + END.len();

/// The value after `last`, for a line without its end.
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
pub struct ChainWriter {
    last: Value,
}

impl ChainWriter {
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

    /// Adds the chain value to `line`, a JSON object with at least one member and without
    /// an end of line, and ends the line.
    ///
    /// # Errors
    /// InvalidInput: it is not such an object, and is unchanged.
    pub fn end(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        // Checking all bytes is quicker than to stop at one.
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

/// A fault of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line has no chain value as its last member.
    NoValue,
    /// Its value is not that of what is before it and in it.
    Value,
    /// The last line has no end: it was not written whole, or was cut.
    Unfinished,
    /// The file continues another one than was given before it, by its first line.
    After(Value),
}

/// The place of a fault.
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

/// The value that a `start` line continues; none of any other line.
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

/// Parses a value: 64 digits, with lower-case letters.
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

/// A line without its chain value, and the value.
fn split(line: &[u8]) -> Option<(Vec<u8>, Value)> {
    let open = line.strip_suffix(END)?;
    let (rest, digits) = open.split_at_checked(open.len().checked_sub(DIGITS)?)?;
    let mut object = rest.strip_suffix(MEMBER)?.to_vec();
    object.push(b'}');
    let value = parse(std::str::from_utf8(digits).ok()?)?;
    Some((object, value))
}

/// Small letters only: each value has one spelling.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The digits of a value.
fn digits(value: Value) -> [u8; DIGITS] {
    let digit = |number: u8| number + if number < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(value) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    digits
}

/// A value as text.
#[must_use]
pub fn hex(value: Value) -> String {
    String::from_utf8_lossy(&digits(value)).into_owned()
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoValue => "it has no chain value at its end",
            Self::Value => "it was changed, or a line before it was removed or inserted",
            Self::Unfinished => "it has no end: it was not written completely, or was cut",
            Self::After(BEGINNING) => "it starts a chain of its own: verify the file separately",
            Self::After(value) => {
                return write!(
                    f,
                    "it continues {0}: give the file that ends with this value before it, or --after {0}",
                    hex(*value)
                );
            }
        })
    }
}

#[cfg(test)]
mod tests;
