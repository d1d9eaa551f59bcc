//! The types of the running kernel: offsets of members of its structures, and values of its
//! enumerations.
//!
//! aya reads BTF as well, but does not export the members. This parser reads only those, in
//! place, from a file of some megabytes.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fmt;

/// The file with the running kernel's types.
pub const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The kinds of types of linux/btf.h that this parser distinguishes.
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const TYPE_TAG: u32 = 18;

/// The magic number of a file, and the length of its header.
const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;

/// The maximum nesting of structures, so that a malformed file cannot cause a loop.
const DEPTH: u32 = 16;

/// A fault in a file of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BtfFault {
    /// It does not begin like BTF in this machine's byte order.
    Header,
    /// A section is outside the file.
    Section,
    /// A type ends after the section does.
    Truncated,
    /// A type of an unknown kind, and therefore of unknown length.
    Kind(u32),
}

impl fmt::Display for BtfFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => {
                f.write_str("this is not BTF; the kernel's own is /sys/kernel/btf/vmlinux")
            }
            Self::Section => f.write_str("a section of the BTF lies outside of it"),
            Self::Truncated => f.write_str("the BTF ends within a type"),
            Self::Kind(kind) => write!(
                f,
                "the BTF has a type of kind {kind}; those up to 19 are known"
            ),
        }
    }
}

impl std::error::Error for BtfFault {}

/// Types through which programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Typedef,
    Function,
}

impl Kind {
    fn code(self) -> u32 {
        match self {
            Self::Typedef => TYPEDEF,
            Self::Function => FUNCTION,
        }
    }
}

/// A parsed file of types.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// The offset of each type in `types`; type 0 is void.
    starts: Vec<u32>,
    /// The structures, unions and enumerations with a requested name.
    named: HashMap<&'a [u8], Vec<u32>>,
}

/// The requested names. The first byte excludes most other names.
struct Names<'n> {
    first: [bool; 256],
    all: HashSet<&'n [u8]>,
}

impl<'n> Names<'n> {
    fn new(names: impl IntoIterator<Item = &'n str>) -> Self {
        let all: HashSet<&[u8]> = names.into_iter().map(str::as_bytes).collect();
        let mut first = [false; 256];
        for name in &all {
            if let Some(at) = name
                .first()
                .and_then(|byte| first.get_mut(usize::from(*byte)))
            {
                *at = true;
            }
        }
        Self { first, all }
    }

    /// The name at this offset, if it was requested.
    fn find<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let first = usize::from(*rest.first()?);
        if !*self.first.get(first)? {
            return None;
        }
        let name = CStr::from_bytes_until_nul(rest).ok()?.to_bytes();
        self.all.contains(name).then_some(name)
    }
}

/// The first three words of a type.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    /// The number of members of a structure, or of names of an enumeration.
    length: u32,
    flag: bool,
    /// A size, or another type.
    word: u32,
}

struct Member {
    name: u32,
    kind: u32,
    /// The offset in the structure, in bytes; `None` for a bit field.
    offset: Option<u32>,
}

impl<'a> Btf<'a> {
    /// Reads a whole file, to look up the structures, unions and enumerations with these
    /// names.
    ///
    /// # Errors
    /// It is not BTF, or contains unknown kinds of types.
    pub fn parse<'n>(
        bytes: &'a [u8],
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, BtfFault> {
        let (types, strings) = sections(bytes)?;
        let mut btf = Self {
            types,
            strings,
            starts: vec![0],
            named: HashMap::new(),
        };
        let names = Names::new(names);
        let mut at = 0;
        while at < types.len() {
            let found = btf.read(at).ok_or(BtfFault::Truncated)?;
            if matches!(found.kind, STRUCT | UNION | ENUM) {
                let number = u32::try_from(btf.starts.len()).map_err(|_| BtfFault::Section)?;
                let name = btf.from(found.name).ok_or(BtfFault::Section)?;
                if let Some(name) = names.find(name) {
                    btf.named.entry(name).or_default().push(number);
                }
            }
            let start = u32::try_from(at).map_err(|_| BtfFault::Section)?;
            btf.starts.push(start);
            at += 12 + tail(found.kind, found.length)?;
        }
        if at > types.len() {
            return Err(BtfFault::Truncated);
        }
        Ok(btf)
    }

    /// The offset in bytes of `path` in a structure; `path` is a member, or members
    /// separated by dots. For an empty path: the size. `None`: there is no such structure
    /// or member.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let candidates = self.named.get(structure.as_bytes())?;
        candidates
            .iter()
            .find_map(|number| self.offset_in(*number, path))
    }

    /// A file with only the existing types of these names and kinds, at the same type
    /// numbers.
    #[must_use]
    pub fn only(&self, wanted: &[(String, Kind)]) -> Vec<u8> {
        let names = Names::new(wanted.iter().map(|(name, _)| name.as_str()));
        let mut found = Vec::new();
        for number in 1..u32::try_from(self.starts.len()).unwrap_or(0) {
            let Some(one) = self.get(number) else {
                continue;
            };
            if !matches!(one.kind, TYPEDEF | FUNCTION) {
                continue;
            }
            let rest = self.from(one.name).unwrap_or_default();
            let Some(name) = names.find(rest) else {
                continue;
            };
            let mut wanted = wanted.iter();
            if let Some((name, kind)) =
                wanted.find(|(wanted, kind)| one.kind == kind.code() && name == wanted.as_bytes())
            {
                found.push((usize::try_from(number).unwrap_or(0), name, *kind));
            }
        }
        // Placeholders for the others have no name. None are needed after the last one.
        let filler = [0, FORWARD << 24, 0].map(u32::to_ne_bytes);
        let count = found.last().map_or(0, |(number, ..)| *number);
        let mut types = filler.as_flattened().repeat(count);
        let mut strings = vec![0];
        for (number, name, kind) in found {
            let place = u32::try_from(strings.len()).unwrap_or(0);
            let words = [place, kind.code() << 24, 0].map(u32::to_ne_bytes);
            if let Some(at) = types.get_mut(12 * (number - 1)..12 * number) {
                at.copy_from_slice(words.as_flattened());
            }
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        let [types_length, strings_length] =
            [types.len(), strings.len()].map(|length| u32::try_from(length).unwrap_or(0));
        let mut file = Vec::with_capacity(HEADER + types.len() + strings.len());
        file.extend(MAGIC.to_ne_bytes());
        file.extend([1, 0]);
        let header = [24, 0, types_length, types_length, strings_length];
        file.extend(header.map(u32::to_ne_bytes).as_flattened());
        file.append(&mut types);
        file.append(&mut strings);
        file
    }

    /// The value of a name of an enumeration; `None`: there is no such enumeration or name,
    /// or its value is negative.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let candidates = self.named.get(enumeration.as_bytes())?;
        let types = candidates.iter().filter_map(|number| self.get(*number));
        types
            .filter(|found| found.kind == ENUM)
            .find_map(|found| self.enumerator_in(found, name.as_bytes()))
    }

    fn enumerator_in(&self, enumeration: Type, name: &[u8]) -> Option<u32> {
        let mut at = enumeration.at + 12;
        for _ in 0..enumeration.length {
            if self.string(word(self.types, at)?)? == name {
                return word(self.types, at + 4)
                    .filter(|number| *number <= i32::MAX.cast_unsigned());
            }
            at += 8;
        }
        None
    }

    fn offset_in(&self, number: u32, path: &str) -> Option<u32> {
        if path.is_empty() {
            let found = self.get(number)?;
            return matches!(found.kind, STRUCT | UNION).then_some(found.word);
        }
        let mut number = number;
        let mut sum = 0_u32;
        for name in path.split('.') {
            let (offset, kind) = self.member(number, name.as_bytes(), DEPTH)?;
            sum = sum.checked_add(offset)?;
            number = kind;
        }
        Some(sum)
    }

    /// A member's offset and type; also for a member of an unnamed structure.
    fn member(&self, number: u32, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        let depth = depth.checked_sub(1)?;
        let structure = self.plain(number)?;
        if !matches!(structure.kind, STRUCT | UNION) {
            return None;
        }
        for index in 0..structure.length {
            let member = self.read_member(structure, index)?;
            let own = self.string(member.name)?;
            if own == name {
                return Some((member.offset?, member.kind));
            }
            if own.is_empty()
                && let Some((inner, kind)) = self.member(member.kind, name, depth)
            {
                return Some((member.offset?.checked_add(inner)?, kind));
            }
        }
        None
    }

    /// A type without typedefs and qualifiers.
    fn plain(&self, number: u32) -> Option<Type> {
        let mut found = self.get(number)?;
        for _ in 0..DEPTH {
            match found.kind {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => found = self.get(found.word)?,
                _ => return Some(found),
            }
        }
        None
    }

    fn get(&self, number: u32) -> Option<Type> {
        if number == 0 {
            return None;
        }
        let start = *self.starts.get(usize::try_from(number).ok()?)?;
        self.read(usize::try_from(start).ok()?)
    }

    fn read(&self, at: usize) -> Option<Type> {
        let info = word(self.types, at + 4)?;
        Some(Type {
            at,
            name: word(self.types, at)?,
            kind: info >> 24 & 0x1f,
            length: info & 0xffff,
            flag: info >> 31 == 1,
            word: word(self.types, at + 8)?,
        })
    }

    fn read_member(&self, structure: Type, index: u32) -> Option<Member> {
        let at = structure.at + 12 + 12 * usize::try_from(index).ok()?;
        let place = word(self.types, at + 8)?;
        // With the flag, the upper byte is the width of a bit field.
        let (bits, width) = if structure.flag {
            (place & 0x00ff_ffff, place >> 24)
        } else {
            (place, 0)
        };
        Some(Member {
            name: word(self.types, at)?,
            kind: word(self.types, at + 4)?,
            offset: (width == 0 && bits % 8 == 0).then_some(bits / 8),
        })
    }

    fn string(&self, offset: u32) -> Option<&'a [u8]> {
        let name = CStr::from_bytes_until_nul(self.from(offset)?).ok()?;
        Some(name.to_bytes())
    }

    /// The strings from this offset on.
    fn from(&self, offset: u32) -> Option<&'a [u8]> {
        self.strings.get(usize::try_from(offset).ok()?..)
    }
}

/// The types and the strings.
fn sections(bytes: &[u8]) -> Result<(&[u8], &[u8]), BtfFault> {
    // struct btf_header: magic, version, flags, length; then both sections, as offset from
    // the end of the header and length.
    let start = u16::from_ne_bytes(*bytes.first_chunk().ok_or(BtfFault::Header)?);
    if start != MAGIC || bytes.get(2) != Some(&1) {
        return Err(BtfFault::Header);
    }
    let section = |at: usize| {
        let base = word(bytes, 4)?.checked_add(word(bytes, at)?)?;
        let end = base.checked_add(word(bytes, at + 4)?)?;
        bytes.get(usize::try_from(base).ok()?..usize::try_from(end).ok()?)
    };
    section(8).zip(section(16)).ok_or(BtfFault::Section)
}

/// The number of bytes after a type's first three words.
fn tail(kind: u32, length: u32) -> Result<usize, BtfFault> {
    let length = usize::try_from(length).map_err(|_| BtfFault::Section)?;
    Ok(match kind {
        // pointer, forward, typedef and qualifiers, function, float
        2 | FORWARD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNCTION | 16 | TYPE_TAG => 0,
        // integer, variable, declaration tag
        1 | 14 | 17 => 4,
        ARRAY => 12,
        STRUCT | UNION => 12 * length,
        // enumeration, parameters of a function
        ENUM | 13 => 8 * length,
        // data section, 64-bit enumeration
        15 | 19 => 12 * length,
        other => return Err(BtfFault::Kind(other)),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let rest = bytes.get(at..)?;
    Some(u32::from_ne_bytes(*rest.first_chunk()?))
}

#[cfg(test)]
mod tests;
