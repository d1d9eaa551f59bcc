//! Text of processes in a page: it stays text, and none of it is invisible.

use std::fmt;

use askama::filters::Escaper;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) use crate::clock::{day, time_of_day as clock};

/// Longest text that is shown, in characters; an event has at most 512 bytes of
/// arguments, of which each can take six characters here.
pub(super) const MAX_TEXT: usize = 600;

/// The escaper of every template (askama.toml), for text in an element or in an attribute
/// between double quotes: everything but letters, digits, spaces and graphic ASCII is shown
/// as an escape, and so is a backslash, so that escapes are unambiguous. A text is escaped
/// in one call, so that the limit is one of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escape;

impl Escaper for Escape {
    fn write_escaped_str<W: fmt::Write>(&self, mut out: W, text: &str) -> fmt::Result {
        for (count, c) in text.chars().enumerate() {
            if count == MAX_TEXT {
                return out.write_char('…');
            }
            match c {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                '\\' => out.write_str("\\\\")?,
                ' ' => out.write_char(' ')?,
                c if c.is_ascii_graphic() || (c.is_alphanumeric() && !c.is_ascii()) => {
                    out.write_char(c)?;
                }
                c => write!(out, "{}", c.escape_default())?,
            }
        }
        Ok(())
    }
}

/// Words quoted for a shell, except for the characters that [`Escape`] escapes.
pub(super) fn words(argv: &[String]) -> String {
    let plain = |c: char| !c.is_whitespace() && !"'\"\\$`|&;<>()*?[]#~".contains(c);
    let quoted: Vec<String> = argv
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        })
        .collect();
    quoted.join(" ")
}

/// The hash of an inline script or style, as a content security policy has it.
pub(super) fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// A length of time, in nanoseconds, with its unit.
pub(super) fn length(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{}.{} µs", ns / 1_000, ns / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        1_000_000_000..60_000_000_000 => {
            format!("{}.{:02} s", ns / 1_000_000_000, ns / 10_000_000 % 100)
        }
        _ => {
            let seconds = ns / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            if hours > 0 {
                format!("{hours} h {minutes:02} min")
            } else {
                format!("{minutes} min {:02} s", seconds % 60)
            }
        }
    }
}

/// A number with a thousands separator.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what is counted.
pub(super) fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests;
