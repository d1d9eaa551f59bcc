//! Words, operators and values of minijail's policies.

use std::ops::Range;

use super::super::constants::constant;
use super::{Fault, ImportErrorKind, fault};

/// How deep parentheses go; policies need one.
const MOST_DEEP: usize = 16;

/// A token. The end of the text is an empty one.
#[derive(Clone)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@')
}

impl Token<'_> {
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(in_word)
    }

    pub(super) fn ends_line(&self) -> bool {
        matches!(self.text, "" | "\n")
    }

    /// Whether this is `arg` and a number, possibly too high.
    pub(super) fn is_argument(&self) -> bool {
        let digits = self.text.strip_prefix("arg").unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The number or constant that this is.
    pub(super) fn value(self) -> Result<u64, Fault> {
        let text = self.text.to_owned();
        if self
            .text
            .starts_with(|c: char| c.is_ascii_digit() || c == '-')
        {
            let number = number(self.text);
            return number.map_or_else(|| fault(self.span, ImportErrorKind::Number(text)), Ok);
        }
        if !self.is_word() {
            return fault(
                self.span,
                ImportErrorKind::Expected("a number or the name of one"),
            );
        }
        match constant(self.text) {
            Some(value) => Ok(value),
            None => fault(self.span, ImportErrorKind::UnknownConstant(text)),
        }
    }
}

/// A hexadecimal, octal or decimal number as strtol(3) reads it. A negative
/// number is its 64 bits.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (digits, radix) = match (hex, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some("")) | (None, None) => (digits, 10),
        (None, Some(digits)) => (digits, 8),
    };
    // from_str_radix accepts a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    match negative {
        false => Some(value),
        true if value <= 1 << 63 => Some(value.wrapping_neg()),
        true => None,
    }
}

/// Splits the text, from its start.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token, after blanks, comments and continued lines.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                return Ok(self.take(0));
            };
            let length = match first {
                ' ' | '\t' | '\r' => {
                    self.at += 1;
                    continue;
                }
                '#' => {
                    self.comment()?;
                    continue;
                }
                '\\' => {
                    self.continuation()?;
                    continue;
                }
                '\n' | ':' | ';' | ',' | '~' | '(' | ')' | '{' | '}' | '[' | ']' => 1,
                _ if in_word(first) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
                _ => {
                    let operators = ["||", "&&", "==", "!=", "<=", ">=", "|", "&", "<", ">", "="];
                    let operator = operators.iter().find(|known| rest.starts_with(**known));
                    let Some(operator) = operator else {
                        let span = self.at..self.at + first.len_utf8();
                        return fault(
                            span,
                            ImportErrorKind::Expected("a word, a number or an operator"),
                        );
                    };
                    operator.len()
                }
            };
            return Ok(self.take(length));
        }
    }

    pub(super) fn peek(&self) -> Result<Token<'a>, Fault> {
        self.clone().next()
    }

    fn take(&mut self, length: usize) -> Token<'a> {
        let text = self.rest().get(..length).unwrap_or_default();
        let span = self.at..self.at + text.len();
        self.at = span.end;
        Token { text, span }
    }

    /// Skips the rest of this line.
    pub(super) fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    /// A comment with `\` at its end hides the next line from minijail0, and
    /// not from compile_seccomp_policy.py.
    fn comment(&mut self) -> Result<(), Fault> {
        self.skip_line();
        let before = self.text.get(..self.at).unwrap_or_default();
        let before = before.trim_end_matches('\r');
        if before.ends_with('\\') {
            let what = "no `\\` at the end of a comment";
            return fault(
                before.len() - 1..before.len(),
                ImportErrorKind::Expected(what),
            );
        }
        Ok(())
    }

    fn continuation(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let ends = ["\\\n", "\\\r\n"];
        match ends.iter().find(|end| rest.starts_with(**end)) {
            Some(end) => {
                self.at += end.len();
                Ok(())
            }
            None => {
                let what = "the end of the line after `\\`";
                fault(self.at..self.at + 1, ImportErrorKind::Expected(what))
            }
        }
    }

    /// `A|~B|(C|D)`
    pub(super) fn expression(&mut self) -> Result<u64, Fault> {
        self.expression_in(0)
    }

    fn expression_in(&mut self, depth: usize) -> Result<u64, Fault> {
        let mut value = 0;
        loop {
            value |= self.operand(depth)?;
            if self.peek()?.text != "|" {
                return Ok(value);
            }
            self.next()?;
        }
    }

    fn operand(&mut self, depth: usize) -> Result<u64, Fault> {
        let mut first = self.next()?;
        let complement = first.text == "~";
        if complement {
            first = self.next()?;
        }
        let value = match first.text {
            "(" if depth >= MOST_DEEP => {
                return fault(first.span, ImportErrorKind::Expected("fewer parentheses"));
            }
            "(" => {
                let value = self.expression_in(depth + 1)?;
                let close = self.next()?;
                if close.text != ")" {
                    return fault(close.span, ImportErrorKind::Expected("`)` or `|`"));
                }
                value
            }
            _ => first.value()?,
        };
        Ok(if complement { !value } else { value })
    }
}
