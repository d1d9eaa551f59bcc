//! Text of others, made safe to be shown on a terminal.
//!
//! JSON only has to escape the first 32 characters. Terminals obey more than those: DEL,
//! the second set of control characters, and the marks that change the direction of text,
//! which make a text look like another one. They are escaped as well.

use std::fmt::Write as _;

use serde::Serialize;

/// Appends a value as JSON, without an end of line.
///
/// # Errors
/// It cannot be written as JSON.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let start = out.len();
    serde_json::to_writer(&mut *out, value)?;
    // Most lines are ASCII. Checking all bytes is quicker than to stop at one.
    let plain = |so_far, byte: &u8| so_far & (*byte < 0x7f);
    let written = out.get(start..).unwrap_or_default();
    if !written.iter().fold(true, plain) {
        let escaped = escape_json(&String::from_utf8_lossy(written));
        out.truncate(start);
        out.extend_from_slice(escaped.as_bytes());
    }
    Ok(())
}

/// Escapes them in JSON, where they occur in strings alone: everything else is ASCII.
pub(super) fn escape_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_obeyed(character) {
            // None of them is beyond U+FFFF, and writing to a String cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text
}

/// Whether a terminal does more than to show it.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Longest name or word that is shown, in characters.
const MAX_SHOWN: usize = 64;

/// Escapes everything but letters, digits and graphic ASCII, and cuts long text: nothing
/// in it reaches a terminal as a command, and its spaces differ from those between words.
#[must_use]
pub fn escape_text(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            shown.push('…');
            break;
        }
        match c {
            ' ' => shown.push_str("\\ "),
            c if c.is_control() || c == '\u{fffd}' || !is_plain(c) => {
                shown.extend(c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that do not change how others are shown (no direction marks, no
/// zero width).
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() || c.is_alphanumeric()
}

#[cfg(test)]
mod tests;
