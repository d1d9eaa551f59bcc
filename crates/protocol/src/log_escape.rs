//! The escapes of a message in protocol B's log lines: those of runc's
//! `escape_json_string` (libcontainer/nsenter/escape.c).

/// A byte in its form in a JSON string: itself, two characters, or six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped {
    /// Unused ones are zero.
    bytes: [u8; 6],
    length: usize,
}

impl Escaped {
    /// The escape of `byte`: `\\`, `\"`, `\b`, `\n`, `\r`, `\t`, `\f`, and
    /// `\u00xx` in lower case for the other control characters, including 0x7f.
    /// All other bytes, including those outside ASCII, are unchanged.
    #[must_use]
    pub fn of(byte: u8) -> Self {
        let short = |letter| Self {
            bytes: [b'\\', letter, 0, 0, 0, 0],
            length: 2,
        };
        match byte {
            b'"' | b'\\' => short(byte),
            0x08 => short(b'b'),
            b'\n' => short(b'n'),
            b'\r' => short(b'r'),
            b'\t' => short(b't'),
            0x0c => short(b'f'),
            0..0x20 | 0x7f => Self {
                bytes: [b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)],
                length: 6,
            },
            _ => Self {
                bytes: [byte, 0, 0, 0, 0, 0],
                length: 1,
            },
        }
    }

    /// The escaped form: 1, 2 or 6 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        0..10 => b'0' + digit,
        _ => b'a' + digit % 16 - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn escaped(message: &[u8]) -> Vec<u8> {
        let all = message.iter().map(|byte| Escaped::of(*byte));
        all.flat_map(|escaped| escaped.as_bytes().to_vec())
            .collect()
    }

    /// The inputs of runc's own test of its escapes (libcontainer/nsenter/test),
    /// except those with a NUL: it ends a C string.
    #[test]
    fn runcs_own_cases() {
        for (message, wanted) in [
            (&b""[..], &b""[..]),
            (b"abcdef", b"abcdef"),
            (br"\\\\\\", br"\\\\\\\\\\\\"),
            (br#"with"quote"#, br#"with\"quote"#),
            (b"\n\r\x08\t\x0c\\", br"\n\r\b\t\f\\"),
            (b"\x07", br"\u0007"),
            (b"\x0f \x10 \x1f", br"\u000f \u0010 \u001f"),
            (b"\x1b", br"\u001b"),
            (b"<->", b"<->"),
            (b"\x7e\x7f\x80", b"~\\u007f\x80"),
            (b"a\x7fxc", br"a\u007fxc"),
            (b"a\x1bxc", br"a\u001bxc"),
            (b"a\nxc", br"a\nxc"),
            (br"a\xc", br"a\\xc"),
            ("Barney B\u{e4}r".as_bytes(), "Barney B\u{e4}r".as_bytes()),
        ] {
            assert_eq!(escaped(message), wanted, "{message:?}");
        }
    }

    #[test]
    fn each_byte_has_one_escape() {
        for byte in 0..=u8::MAX {
            let wanted = match byte {
                b'"' => b"\\\"".to_vec(),
                b'\\' => b"\\\\".to_vec(),
                8 => b"\\b".to_vec(),
                9 => b"\\t".to_vec(),
                10 => b"\\n".to_vec(),
                12 => b"\\f".to_vec(),
                13 => b"\\r".to_vec(),
                0..=31 | 127 => format!("\\u{byte:04x}").into_bytes(),
                _ => vec![byte],
            };
            assert_eq!(Escaped::of(byte).as_bytes(), wanted, "{byte:#x}");
        }
    }

    proptest! {
        #[test]
        fn a_json_reader_gets_the_message(message: String) {
            let string = [&b"\""[..], &escaped(message.as_bytes()), b"\""].concat();
            let read: String = serde_json::from_slice(&string).expect("a string");
            prop_assert_eq!(read, message);
        }
    }
}
