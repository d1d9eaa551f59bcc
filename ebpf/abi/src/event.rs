//! One record of any kind.

use crate::code::Kind;
use crate::field::{Fault, Field, Reader, Reason, Writer};
use crate::parts::Header;
use crate::record::{Exec, Exit, Fork, Namespace, Snapshot};

/// A complete and valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap here, and a reader has one at a time"
)]
pub enum Event {
    /// Namespaces were changed, or an attempt failed.
    Namespace(Namespace),
    /// A task was created.
    Fork(Fork),
    /// A program was executed.
    Exec(Exec),
    /// A thread ended.
    Exit(Exit),
    /// An existing task.
    Snapshot(Snapshot),
}

impl Event {
    /// Reads one record from exactly `bytes`.
    ///
    /// # Errors
    /// The first byte at which it is not a record: see [`Reason`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let header = Header::read(&mut Reader::new(bytes))?;
        // Version, then kind, then hook, then length: see Header.
        if header.hook.writes() != Some(header.kind) {
            return Err(Fault {
                span: 3..4,
                reason: Reason::Hook,
            });
        }
        let length = record_length(header.kind);
        if usize::try_from(header.length) != Ok(length) {
            return Err(Fault {
                span: 4..8,
                reason: Reason::Length,
            });
        }
        let mut reader = Reader::new(bytes);
        let event = match header.kind {
            Kind::Namespace => Self::Namespace(Field::read(&mut reader)?),
            Kind::Fork => Self::Fork(Field::read(&mut reader)?),
            Kind::Exec => Self::Exec(Field::read(&mut reader)?),
            Kind::Exit => Self::Exit(Field::read(&mut reader)?),
            Kind::Snapshot => Self::Snapshot(Field::read(&mut reader)?),
        };
        reader.end()?;
        Ok(event)
    }

    /// Writes the record to the front of `bytes`, as the probes do; `None`: there is no
    /// room. Returns the number of written bytes, at most
    /// [`LONGEST`](crate::record::LONGEST).
    pub fn encode(&self, bytes: &mut [u8]) -> Option<usize> {
        match self {
            Self::Namespace(record) => put(record, bytes),
            Self::Fork(record) => put(record, bytes),
            Self::Exec(record) => put(record, bytes),
            Self::Exit(record) => put(record, bytes),
            Self::Snapshot(record) => put(record, bytes),
        }
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &Header {
        match self {
            Self::Namespace(record) => &record.header,
            Self::Fork(record) => &record.header,
            Self::Exec(record) => &record.header,
            Self::Exit(record) => &record.header,
            Self::Snapshot(record) => &record.header,
        }
    }
}

fn put<T: Field>(record: &T, bytes: &mut [u8]) -> Option<usize> {
    record.write(&mut Writer::new(bytes.get_mut(..T::SIZE)?));
    Some(T::SIZE)
}

/// The length of a kind of record, in bytes.
const fn record_length(kind: Kind) -> usize {
    match kind {
        Kind::Namespace => Namespace::SIZE,
        Kind::Fork => Fork::SIZE,
        Kind::Exec => Exec::SIZE,
        Kind::Exit => Exit::SIZE,
        Kind::Snapshot => Snapshot::SIZE,
    }
}

#[cfg(test)]
mod tests;
