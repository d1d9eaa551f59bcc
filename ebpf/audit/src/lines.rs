//! A value as a line of JSON, safe to be shown on a terminal.
//!
//! JSON has to escape the first 32 characters alone. Names come from whoever is told
//! of, and a terminal obeys more than those: DEL, the second set of control
//! characters, and those that turn the direction of what is written, which make a
//! text look like another one. They are escaped as well.

use std::fmt::Write as _;

use serde::Serialize;

/// Writes a value behind what is there, without an end of line.
///
/// # Errors
/// It cannot be written as JSON.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let start = out.len();
    serde_json::to_writer(&mut *out, value)?;
    // Most lines are ASCII. All bytes are looked at, which is quicker than to stop at one.
    let plain = |so_far, byte: &u8| so_far & (*byte < 0x7f);
    let written = out.get(start..).unwrap_or_default();
    if !written.iter().fold(true, plain) {
        let escaped = escaped(&String::from_utf8_lossy(written));
        out.truncate(start);
        out.extend_from_slice(escaped.as_bytes());
    }
    Ok(())
}

/// JSON in which those characters stand in texts alone, since everything else in it
/// is ASCII.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if obeyed(character) {
            // None of them is beyond U+FFFF, and writing to a String cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text
}

/// Whether a terminal does not just show it.
fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str) -> String {
        let mut out = Vec::new();
        write(&value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_read_back_as_it_was() {
        for (value, written) in [
            ("plain", r#""plain""#),
            ("a\"b\\c\n\u{1b}[2J", r#""a\"b\\c\n\u001b[2J""#),
            ("\u{9b}31m\u{7f}", r#""\u009b31m\u007f""#),
            ("über \u{202e}txt\u{2066}x", r#""über \u202etxt\u2066x""#),
            ("\u{7f}", r#""\u007f""#),
            ("", r#""""#),
        ] {
            assert_eq!(line(value), written);
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), value);
        }
    }
}
