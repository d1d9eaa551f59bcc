//! Makes text from other programs safe to print. A raw control character could
//! move the terminal's cursor or begin a new line in a log.
#![forbid(unsafe_code)]

use std::fmt::{self, Write};

use serde_json::Value;

/// A writer that escapes control characters: those below 32, DEL, and 128 to 159
/// (C1), which some terminals read as the start of an escape sequence. All other
/// characters pass unchanged.
#[derive(Debug)]
pub struct Escaping<W>(pub W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, behind) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = behind.chars();
            if let Some(control) = characters.next() {
                write!(self.0, "{}", control.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// A value that is displayed with control characters escaped.
#[derive(Debug)]
pub struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// The value as JSON, in which serde escapes control characters below 32 alone.
pub fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(char::is_control) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside a string such a character is invalid JSON.
        if c.is_control() {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped_and_nothing_else_is() {
        let shown = Printable("a\x1b[31m\n\t\x7f\u{9b}2J\0é\u{2028}\\u{1b}\"").to_string();
        assert_eq!(
            shown,
            "a\\u{1b}[31m\\n\\t\\u{7f}\\u{9b}2J\\u{0}é\u{2028}\\u{1b}\""
        );
    }

    #[test]
    fn json_and_toml_give_the_same_rules() {
        let value = serde_json::json!({ "k\u{85}": "a\x1b\x7f\u{9b}é" });
        let text = json(&value);
        assert_eq!(text, "{\"k\\u0085\":\"a\\u001b\\u007f\\u009bé\"}");
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
    }

    proptest! {
        #[test]
        fn no_text_gets_through_with_a_control_character(text in any::<String>()) {
            let shown = Printable(&text).to_string();
            prop_assert!(!shown.contains(char::is_control));
            let value = Value::String(text);
            let shown = json(&value);
            prop_assert!(!shown.contains(char::is_control));
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).ok(), Some(value));
        }
    }
}
