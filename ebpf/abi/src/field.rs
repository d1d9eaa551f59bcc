//! Reads and writes records, field by field.

use core::fmt;
use core::ops::Range;

/// The bytes that are not a record, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The invalid bytes; empty at the end of an input that is too short.
    pub span: Range<usize>,
    /// The reason.
    pub reason: Reason,
}

/// The reason of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The input ends before its record does.
    Short,
    /// Bytes follow the record.
    Trailing,
    /// The length in the header is not that of this kind of record.
    Length,
    /// Another version of the layout.
    Version,
    /// An unknown code.
    Code,
    /// An unknown bit.
    Bit,
    /// A boolean is neither 0 nor 1.
    Bool,
    /// Bytes that must be zero are not.
    Reserved,
    /// A text is longer than its field.
    Text,
    /// This hook writes no record of this kind.
    Hook,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wrong, right) = match self.reason {
            Reason::Short => ("the record ends too early", "give it whole"),
            Reason::Trailing => ("bytes follow the record", "give one record"),
            Reason::Length => ("wrong length", "it is fixed by the kind of the record"),
            Reason::Version => (
                "another version of the layout",
                "probes and loader come from one build",
            ),
            Reason::Code => ("a number without a meaning", "see nsexec_audit_abi::code"),
            Reason::Bit => ("a bit without a meaning", "see nsexec_audit_abi::code"),
            Reason::Bool => ("neither yes nor no", "it is 0 or 1"),
            Reason::Reserved => ("reserved bytes are in use", "they are 0"),
            Reason::Text => (
                "a text is longer than its place",
                "its length is at most that",
            ),
            Reason::Hook => (
                "the hook writes no such record",
                "see nsexec_audit_abi::code::Kind",
            ),
        };
        write!(
            f,
            "bytes {} to {}: {wrong}; {right}",
            self.span.start, self.span.end
        )
    }
}

impl core::error::Error for Fault {}

/// The bytes of a record, read from the front.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => Err(Fault {
                span: self.bytes.len()..self.bytes.len(),
                reason: Reason::Short,
            }),
        }
    }

    /// A fault in the last `size` bytes that were read.
    pub(crate) fn fault(&self, size: usize, reason: Reason) -> Fault {
        Fault {
            span: self.at.saturating_sub(size)..self.at,
            reason,
        }
    }

    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(Fault {
            span: self.at..self.bytes.len(),
            reason: Reason::Trailing,
        })
    }
}

/// The destination of a record, from the front.
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// [`Event::encode`](crate::Event::encode) has made sure that it fits.
    fn put(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.rest);
        if let Some((place, rest)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.rest = rest;
        }
    }
}

/// A part of a record: it has a fixed size and byte order.
pub trait Field: Sized {
    /// In bytes, in memory and in a record.
    const SIZE: usize;
    /// Reads it.
    ///
    /// # Errors
    /// The input ends, or the bytes are invalid.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault>;
    /// Writes it, as the probes do.
    fn write(&self, writer: &mut Writer<'_>);
}

macro_rules! integers {
    ($($type:ty)+) => {$(
        impl Field for $type {
            const SIZE: usize = size_of::<Self>();
            fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
                Ok(Self::from_ne_bytes(reader.take()?))
            }
            fn write(&self, writer: &mut Writer<'_>) {
                writer.put(&self.to_ne_bytes());
            }
        }
    )+};
}

integers!(u8 u16 u32 u64 i32 i64);

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = N * T::SIZE;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut all = [T::default(); N];
        for one in &mut all {
            *one = T::read(reader)?;
        }
        Ok(all)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        for one in self {
            one.write(writer);
        }
    }
}

/// Reserved bytes, which are zero.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved<const N: usize>([u8; N]);

impl<const N: usize> Reserved<N> {
    /// The only value.
    pub const ZERO: Self = Self([0; N]);
}

impl<const N: usize> Field for Reserved<N> {
    const SIZE: usize = N;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.take()? {
            bytes if bytes == [0; N] => Ok(Self::ZERO),
            _ => Err(reader.fault(N, Reason::Reserved)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.put(&self.0);
    }
}

/// Yes or no, in one byte.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bool(u8);

impl Bool {
    /// No.
    pub const NO: Self = Self(0);

    /// As the probes write it.
    #[inline(always)]
    #[must_use]
    pub fn new(yes: bool) -> Self {
        Self(u8::from(yes))
    }

    /// As the loader reads it.
    #[must_use]
    pub fn get(self) -> bool {
        self.0 == 1
    }
}

impl Field for Bool {
    const SIZE: usize = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match u8::read(reader)? {
            byte @ 0..=1 => Ok(Self(byte)),
            _ => Err(reader.fault(1, Reason::Bool)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}

/// Defines a structure that is read, written and laid out field by field. Asserts that the
/// layouts in memory and in a record agree: the size, every offset, no padding.
macro_rules! record {
    ($(#[$about:meta])* pub struct $name:ident {
        $($(#[$what:meta])* pub $field:ident: $type:ty,)+
    }) => {
        $(#[$about])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$what])* pub $field: $type,)+
        }

        impl $name {
            /// The name, the offset and the size of each field, in bytes.
            pub const FIELDS: &'static [(&'static str, usize, usize)] = &[$((
                stringify!($field),
                core::mem::offset_of!($name, $field),
                <$type as $crate::field::Field>::SIZE,
            )),+];
        }

        impl $crate::field::Field for $name {
            const SIZE: usize = 0 $(+ <$type as $crate::field::Field>::SIZE)+;

            fn read(
                reader: &mut $crate::field::Reader<'_>,
            ) -> Result<Self, $crate::field::Fault> {
                Ok(Self { $($field: $crate::field::Field::read(reader)?,)+ })
            }

            fn write(&self, writer: &mut $crate::field::Writer<'_>) {
                $($crate::field::Field::write(&self.$field, writer);)+
            }
        }

        const _: () = {
            assert!(size_of::<$name>() == <$name as $crate::field::Field>::SIZE);
            let mut at = 0;
            $(
                assert!(core::mem::offset_of!($name, $field) == at);
                at += <$type as $crate::field::Field>::SIZE;
            )+
            assert!(at == size_of::<$name>());
        };
    };
}

pub(crate) use record;
