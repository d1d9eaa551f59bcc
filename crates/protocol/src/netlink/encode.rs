//! The message as a runtime sends it.

use crate::netlink::{
    ATTRIBUTE_HEADER, Attribute, Bootstrap, BootstrapErrorKind, HEADER, INIT_MSG, REQUEST, header,
    message,
};
use crate::{clone_flags, id_map_lines, ns_paths};
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
    let flags = clone_flags::print(&bootstrap.create);
    payload.number(Attribute::CloneFlags, flags);
    if !bootstrap.join.is_empty() {
        payload.text(Attribute::NsPaths, &ns_paths::print(&bootstrap.join))?;
    }
    for (attribute, mapping) in [
        (Attribute::UidMap, &bootstrap.uid_map),
        (Attribute::GidMap, &bootstrap.gid_map),
    ] {
        if let Some(mapping) = mapping {
            payload.text(attribute, id_map_lines::print(&mapping.map).as_bytes())?;
        }
    }
    if bootstrap.setgroups {
        payload.number(Attribute::Setgroup, 1);
    }
    if let Some(score) = bootstrap.oom_score_adj {
        payload.text(Attribute::OomScoreAdj, score.to_string().as_bytes())?;
    }
    payload.number(Attribute::RootlessEuid, u32::from(bootstrap.rootless_euid));
    for (attribute, mapping) in [
        (Attribute::UidMapPath, &bootstrap.uid_map),
        (Attribute::GidMapPath, &bootstrap.gid_map),
    ] {
        if let Some(tool) = mapping.as_ref().and_then(|mapping| mapping.tool.as_ref()) {
            payload.text(attribute, tool.as_bytes())?;
        }
    }
    if let Some(offsets) = &bootstrap.time_offsets {
        payload.text(Attribute::TimeOffsets, offsets.to_string().as_bytes())?;
    }

    let Payload(payload) = payload;
    // Seven texts of 16 bits of length each: it always fits.
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

struct Payload(Vec<u8>);

impl Payload {
    fn number(&mut self, attribute: Attribute, number: u32) {
        let Self(bytes) = self;
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(attribute.number().to_ne_bytes());
        bytes.extend(number.to_ne_bytes());
    }

    fn text(&mut self, attribute: Attribute, text: &[u8]) -> Result<(), Fault<BootstrapErrorKind>> {
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
