//! A raw message: attributes, each at most once.

use std::ops::Range;

use crate::netlink::{ATTRIBUTE_HEADER, Attribute, BootstrapErrorKind, HEADER};
use nsexec_text::Fault;

/// The attributes of a message, by [`Attribute::ALL`].
#[derive(Default)]
pub(super) struct RawMessage<'a> {
    pub(super) values: [Option<Value<'a>>; Attribute::ALL.len()],
}

/// The value of an attribute, without its padding.
pub(super) struct Value<'a> {
    pub(super) attribute: Attribute,
    bytes: &'a [u8],
    /// Its offset in the message.
    at: usize,
}

impl<'a> RawMessage<'a> {
    /// Splits `payload` into attributes; no byte is left over.
    pub(super) fn split(payload: &'a [u8]) -> Result<Self, Fault<BootstrapErrorKind>> {
        let mut written = Self::default();
        let mut rest = payload;
        let mut at = HEADER;
        while !rest.is_empty() {
            let end = at + rest.len();
            let Some((&[l0, l1, t0, t1], after)) = rest.split_first_chunk() else {
                return Err(Fault::new(at..end, BootstrapErrorKind::AttributeHeader));
            };
            let announced = u16::from_ne_bytes([l0, l1]);
            let kind = u16::from_ne_bytes([t0, t1]);
            let length_at = at..at + 2;
            let length = usize::from(announced)
                .checked_sub(ATTRIBUTE_HEADER)
                .ok_or_else(|| {
                    Fault::new(
                        length_at.clone(),
                        BootstrapErrorKind::AttributeLength(announced),
                    )
                })?;
            let (bytes, after) = after
                .split_at_checked(length)
                .ok_or_else(|| Fault::new(length_at, BootstrapErrorKind::Overrun(announced)))?;

            let value_at = at + ATTRIBUTE_HEADER;
            let padding_at = value_at + length;
            let padding = length.next_multiple_of(4) - length;
            let (zeros, after) = match after.split_at_checked(padding) {
                Some((zeros, after)) if zeros.iter().all(|byte| *byte == 0) => (zeros, after),
                _ => {
                    let place = padding_at..end.min(padding_at + padding);
                    return Err(Fault::new(place, BootstrapErrorKind::Padding));
                }
            };

            let known = Attribute::ALL
                .into_iter()
                .zip(&mut written.values)
                .find(|(attribute, _)| attribute.number() == kind);
            match known {
                Some((attribute, slot @ None)) => {
                    *slot = Some(Value {
                        attribute,
                        bytes,
                        at: value_at,
                    });
                }
                Some((attribute, Some(_))) => {
                    return Err(Fault::new(
                        at..padding_at,
                        BootstrapErrorKind::Repeated(attribute),
                    ));
                }
                None => {
                    return Err(Fault::new(
                        at + 2..value_at,
                        BootstrapErrorKind::Unknown(kind),
                    ));
                }
            }
            at = padding_at + zeros.len();
            rest = after;
        }
        Ok(written)
    }
}

impl<'a> Value<'a> {
    /// A number of 32 bits.
    pub(super) fn number(&self) -> Result<u32, Fault<BootstrapErrorKind>> {
        let size = BootstrapErrorKind::NumberSize(self.attribute, self.bytes.len());
        let bytes = <[u8; 4]>::try_from(self.bytes).map_err(|_| self.fault(size))?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// 0 or 1 as such a number.
    pub(super) fn flag(&self) -> Result<bool, Fault<BootstrapErrorKind>> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.fault(BootstrapErrorKind::Flag(self.attribute, other))),
        }
    }

    /// A text, without the NUL at its end.
    pub(super) fn text(&self) -> Result<&'a [u8], Fault<BootstrapErrorKind>> {
        let Some((0, text)) = self.bytes.split_last() else {
            return Err(self.fault(BootstrapErrorKind::NoNul(self.attribute)));
        };
        match text.iter().position(|byte| *byte == 0) {
            Some(nul) => {
                let nul = self.at + nul;
                Err(Fault::new(
                    nul..nul + 1,
                    BootstrapErrorKind::InnerNul(self.attribute),
                ))
            }
            None => Ok(text),
        }
    }

    /// Parses the value as text.
    pub(super) fn parsed<T, R>(
        &self,
        parse: impl FnOnce(&[u8]) -> Result<T, Fault<R>>,
        reason: impl FnOnce(R) -> BootstrapErrorKind,
    ) -> Result<T, Fault<BootstrapErrorKind>> {
        parse(self.text()?).map_err(|fault| {
            let Range { start, end } = fault.span;
            Fault::new(self.at + start..self.at + end, reason(fault.reason))
        })
    }

    /// A fault at the value.
    pub(super) fn fault(&self, reason: BootstrapErrorKind) -> Fault<BootstrapErrorKind> {
        Fault::new(self.at..self.at + self.bytes.len(), reason)
    }

    /// A fault at the whole attribute, which should be absent.
    pub(super) fn whole(&self, reason: BootstrapErrorKind) -> Fault<BootstrapErrorKind> {
        let start = self.at - ATTRIBUTE_HEADER;
        Fault::new(start..self.at + self.bytes.len(), reason)
    }
}
