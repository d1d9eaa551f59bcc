//! The message as a runtime sends it.

use crate::netlink::{
    ATTRIBUTE_HEADER, Attribute, Bootstrap, BootstrapErrorKind, HEADER, INIT_MSG, REQUEST, header,
    message,
};
use nsexec_text::Fault;

/// The message for `bootstrap`, with its attributes in the order of their
/// numbers. The sender chooses `sequence`; libcontainer counts from 1.
///
/// This is the runtime's end of the protocol. It parses its own output, so it
/// never sends a message that the other end would reject.
///
/// # Errors
/// The error that [`message`] finds, such as a map without a new user namespace,
/// or a text longer than an attribute can hold (in CVE-2021-43784 such a length
/// wrapped around, and the text was parsed as attributes).
pub fn encode(bootstrap: &Bootstrap, sequence: u32) -> Result<Vec<u8>, Fault<BootstrapErrorKind>> {
    let mut payload = Payload(Vec::new());
    bootstrap.write(&mut payload)?;

    let Payload(payload) = payload;
    // Each attribute has 16 bits of length: it always fits.
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut whole = length.to_ne_bytes().to_vec();
    whole.extend(INIT_MSG.to_ne_bytes());
    whole.extend(REQUEST.to_ne_bytes());
    whole.extend(sequence.to_ne_bytes());
    whole.extend(0_u32.to_ne_bytes());
    message(header(&whole)?, &payload)?;
    whole.extend(payload);
    Ok(whole)
}

/// The attributes.
pub(super) struct Payload(Vec<u8>);

impl Payload {
    pub(super) fn number(&mut self, attribute: Attribute, number: u32) {
        let Self(bytes) = self;
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(attribute.number().to_ne_bytes());
        bytes.extend(number.to_ne_bytes());
    }

    pub(super) fn text(
        &mut self,
        attribute: Attribute,
        text: &[u8],
    ) -> Result<(), Fault<BootstrapErrorKind>> {
        let Self(bytes) = self;
        let at = HEADER + bytes.len();
        let length = u16::try_from(ATTRIBUTE_HEADER + text.len() + 1).map_err(|_| {
            Fault::new(
                at..at + text.len(),
                BootstrapErrorKind::Unwritable(attribute),
            )
        })?;
        bytes.extend(length.to_ne_bytes());
        bytes.extend(attribute.number().to_ne_bytes());
        bytes.extend(text);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Ok(())
    }
}
