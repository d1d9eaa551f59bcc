//! The words, numbers and signs of kafel.

use std::ops::Range;

use super::super::{Fault, ImportErrorKind};

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Word(&'a str),
    Number(u64),
    Sign(&'static str),
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) span: Range<usize>,
}

/// The longer ones first.
const SIGNS: [&str; 19] = [
    "==", "!=", "<=", ">=", "||", "&&", "<", ">", "|", "&", "[", "]", "(", ")", "{", "}", ",", "!",
    "#",
];

/// The tokens of a text, without blanks and comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let fault = |length: usize, reason| Fault {
            span: at..at + length,
            reason,
        };
        let first = rest.as_bytes().first().copied().unwrap_or_default();
        if first.is_ascii_whitespace() {
            at += 1;
        } else if rest.starts_with("#include") {
            // The quoted name behind it is no token.
            return Err(fault(
                8,
                ImportErrorKind::Unsupported(
                    "no other file is read; put its text in the place of #include",
                ),
            ));
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/");
            at += end.ok_or_else(|| {
                fault(2, ImportErrorKind::Expected("*/ at the end of the comment"))
            })? + 4;
        } else if first.is_ascii_alphanumeric() || first == b'_' || first == b'-' {
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let more = rest.bytes().skip(1).take_while(is_word).count();
            let word = rest.get(..=more).unwrap_or(rest);
            let kind =
                if first.is_ascii_digit() || first == b'-' {
                    let value = number(word);
                    Kind::Number(value.ok_or_else(|| {
                        fault(word.len(), ImportErrorKind::Number(word.to_owned()))
                    })?)
                } else {
                    Kind::Word(word)
                };
            tokens.push(Token {
                kind,
                span: at..at + word.len(),
            });
            at += word.len();
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token {
                kind: Kind::Sign(sign),
                span: at..at + sign.len(),
            });
            at += sign.len();
        } else {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            return Err(fault(
                length,
                ImportErrorKind::Expected("a name, a number or an operator"),
            ));
        }
    }
    Ok(tokens)
}

/// A decimal, hexadecimal, octal or binary number. A decimal one may be
/// negative: strtoull(3) reads it as its 64 bits.
fn number(word: &str) -> Option<u64> {
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x', ..] => (word.get(2..)?, 16),
        [b'0', b'b', ..] => (word.get(2..)?, 2),
        [b'0', _, ..] => (word.get(1..)?, 8),
        [b'-', b'1'..=b'9', ..] => return decimal(word.get(1..)?).map(u64::wrapping_neg),
        _ => (word, 10),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain)
}

fn decimal(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_notations() {
        let value = |text: &str| match tokens(text).as_deref() {
            Ok(
                [
                    Token {
                        kind: Kind::Number(value),
                        ..
                    },
                ],
            ) => *value,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(value("42"), 42);
        assert_eq!(value("0"), 0);
        assert_eq!(value("0x7F"), 0x7f);
        assert_eq!(value("0777"), 0o777);
        assert_eq!(value("0b101"), 5);
        assert_eq!(value("-1"), u64::MAX);
        assert_eq!(value("18446744073709551615"), u64::MAX);
    }

    #[test]
    fn comments_and_blanks_are_nothing() {
        let text = "/* a ** b\n */ read // write\n\t,{";
        let all = tokens(text).expect("a text");
        let kinds: Vec<Kind<'_>> = all.iter().map(|token| token.kind).collect();
        assert_eq!(
            kinds,
            [Kind::Word("read"), Kind::Sign(","), Kind::Sign("{")]
        );
        assert_eq!(all.first().map(|token| token.span.clone()), Some(14..18));
    }

    #[test]
    fn an_invalid_token_is_an_error_with_its_span() {
        let number = |text: &str| ImportErrorKind::Number(text.to_owned());
        for (text, span, reason) in [
            ("a 089", 2..5, number("089")),
            ("0x", 0..2, number("0x")),
            ("0b2", 0..3, number("0b2")),
            ("12ab", 0..4, number("12ab")),
            ("-", 0..1, number("-")),
            ("-0", 0..2, number("-0")),
            (
                "18446744073709551616",
                0..20,
                number("18446744073709551616"),
            ),
            (
                "a /* b",
                2..4,
                ImportErrorKind::Expected("*/ at the end of the comment"),
            ),
            (
                "a ; b",
                2..3,
                ImportErrorKind::Expected("a name, a number or an operator"),
            ),
            (
                "\u{e9}",
                0..2,
                ImportErrorKind::Expected("a name, a number or an operator"),
            ),
        ] {
            assert_eq!(tokens(text), Err(Fault { span, reason }), "{text}");
        }
    }
}
