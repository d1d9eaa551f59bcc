//! `/proc/PID/{uid,gid}_map`, user_namespaces(7): `inside outside length`, a
//! line for each range.

use std::fmt;

use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Most ranges: UID_GID_MAP_MAX_EXTENTS, linux/user_namespace.h.
pub const MAX_RANGES: usize = 340;

/// Longest text, in bytes: three numbers of ten digits or spaces, two spaces
/// and a newline for each range.
pub const MAX_BYTES: usize = MAX_RANGES * 33;

/// The ids of a user namespace, and the reader's ids that they map to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    ranges: Vec<MappedRange>,
}

/// Ids that follow one another on both sides. The last of them is at most
/// 2^32 - 2 on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedRange {
    /// Its first id inside the namespace.
    pub inside: u32,
    /// The same id outside.
    pub outside: u32,
    /// How many ids; not zero.
    pub length: u32,
}

impl IdMap {
    /// Its ranges, in the order of the text; they do not overlap on either side.
    #[must_use]
    pub fn ranges(&self) -> &[MappedRange] {
        &self.ranges
    }

    /// The id inside the namespace that is `outside` to the reader; `None`: it
    /// has none.
    #[must_use]
    pub fn to_inside(&self, outside: u32) -> Option<u32> {
        let side = |range: &MappedRange| (range.outside, range.inside);
        self.translate(outside, side)
    }

    /// The reader's id for `inside`; `None` if it is not mapped.
    #[must_use]
    pub fn to_outside(&self, inside: u32) -> Option<u32> {
        let side = |range: &MappedRange| (range.inside, range.outside);
        self.translate(inside, side)
    }

    /// Whether each id has the same number inside and outside, as in the first user namespace.
    #[must_use]
    pub fn has_all_ids(&self) -> bool {
        matches!(&self.ranges[..], [all] if (all.inside, all.outside, all.length) == (0, 0, u32::MAX))
    }

    fn translate(&self, id: u32, side: impl Fn(&MappedRange) -> (u32, u32)) -> Option<u32> {
        self.ranges.iter().find_map(|range| {
            let (from, to) = side(range);
            let offset = id.checked_sub(from)?;
            (offset < range.length).then(|| to.checked_add(offset))?
        })
    }
}

/// Why a text is not a valid map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMapErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// More than [`MAX_RANGES`].
    TooMany,
    /// No newline at the end: the text is incomplete.
    Unfinished,
    /// Not three numbers from 0 to 2^32 - 1 in plain decimal.
    Numbers,
    /// A range without an id, or one that reaches 2^32 - 1. The kernel shows
    /// that as the outside of a range that the reader has no ids for.
    Range,
    /// A range that overlaps an earlier one, on either side.
    Overlap,
}

/// Parses a map; it maps nothing while it has not been written.
///
/// # Errors
/// The first line that the kernel could not have printed.
pub fn parse(text: &[u8]) -> Result<IdMap, Fault<IdMapErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            IdMapErrorKind::TooLong(text.len()),
        ));
    }
    let mut ranges: Vec<MappedRange> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        let fault = |reason| Fault::new(start..end, reason);
        let line = line
            .strip_suffix(b"\n")
            .ok_or_else(|| fault(IdMapErrorKind::Unfinished))?;
        let range = range(line).map_err(fault)?;
        if ranges.iter().any(|known| known.overlaps(&range)) {
            return Err(fault(IdMapErrorKind::Overlap));
        }
        if ranges.len() == MAX_RANGES {
            return Err(fault(IdMapErrorKind::TooMany));
        }
        ranges.push(range);
        start = end;
    }
    Ok(IdMap { ranges })
}

fn range(line: &[u8]) -> Result<MappedRange, IdMapErrorKind> {
    // The kernel pads its numbers with spaces (`%10u`).
    let fields = line.split(|byte| *byte == b' ');
    let mut numbers = fields.filter(|field| !field.is_empty()).map(decimal);
    let (Some(Some(inside)), Some(Some(outside)), Some(Some(length)), None) = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) else {
        return Err(IdMapErrorKind::Numbers);
    };
    let fits = |first: u32| first.checked_add(length).is_some();
    if length == 0 || !fits(inside) || !fits(outside) {
        return Err(IdMapErrorKind::Range);
    }
    Ok(MappedRange {
        inside,
        outside,
        length,
    })
}

impl MappedRange {
    fn overlaps(&self, other: &Self) -> bool {
        let apart = |a: u32, a_length: u32, b: u32, b_length: u32| {
            a.saturating_add(a_length) <= b || b.saturating_add(b_length) <= a
        };
        !apart(self.inside, self.length, other.inside, other.length)
            || !apart(self.outside, self.length, other.outside, other.length)
    }
}

impl fmt::Display for IdMap {
    /// As the kernel prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for range in &self.ranges {
            writeln!(
                f,
                "{:>10} {:>10} {:>10}",
                range.inside, range.outside, range.length
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for IdMapErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "an id map of {length} bytes; the limit is {MAX_BYTES}")
            }
            Self::TooMany => write!(f, "more than {MAX_RANGES} ranges of ids"),
            Self::Unfinished => f.write_str("no newline at the end: the text is incomplete"),
            Self::Numbers => f.write_str("not three decimal numbers: inside, outside, length"),
            Self::Range => f.write_str("an empty range of ids, or one that ends above 4294967294"),
            Self::Overlap => f.write_str("a range of ids that overlaps one before it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn read(text: &str) -> IdMap {
        parse(text.as_bytes()).expect("a map")
    }

    fn refused(text: &str) -> (IdMapErrorKind, String) {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        let place = text.get(fault.span).expect("inside the text");
        (fault.reason, place.to_owned())
    }

    #[test]
    fn the_first_namespace_maps_every_id_to_itself() {
        let map = read("         0          0 4294967295\n");
        for id in [0, 1, 1000, u32::MAX - 1] {
            assert_eq!(map.to_inside(id), Some(id));
            assert_eq!(map.to_outside(id), Some(id));
        }
        assert_eq!(map.to_inside(u32::MAX), None);
        assert_eq!(map.to_outside(u32::MAX), None);
        let own = std::fs::read("/proc/self/uid_map").expect("procfs");
        assert_eq!(parse(&own).map(|map| map.to_string().into_bytes()), Ok(own));
    }

    #[test]
    fn ids_are_translated_both_ways() {
        let map = read("0 100000 65536\n65536 1000 1\n4294967290 0 5\n");
        for (inside, outside) in [
            (Some(0), 100_000),
            (Some(65_535), 165_535),
            (None, 165_536),
            (None, 99_999),
            (Some(65_536), 1000),
            (None, 1001),
            (None, 999),
            (Some(4_294_967_290), 0),
            (Some(4_294_967_294), 4),
            (None, 5),
        ] {
            assert_eq!(map.to_inside(outside), inside, "{outside}");
            if let Some(inside) = inside {
                assert_eq!(map.to_outside(inside), Some(outside));
            }
        }
        assert_eq!(map.to_outside(65_537), None);
        assert_eq!(map.to_outside(u32::MAX), None);
    }

    #[test]
    fn a_map_that_is_not_written_yet_maps_nothing() {
        assert_eq!(read("").to_inside(0), None);
        assert_eq!(read("").to_outside(0), None);
    }

    #[test]
    fn a_map_the_kernel_rejects_is_an_error() {
        for (text, reason) in [
            ("0 0 1", IdMapErrorKind::Unfinished),
            ("\n", IdMapErrorKind::Numbers),
            ("0 0\n", IdMapErrorKind::Numbers),
            ("0 0 1 1\n", IdMapErrorKind::Numbers),
            ("0 0 -1\n", IdMapErrorKind::Numbers),
            ("0 0 01\n", IdMapErrorKind::Numbers),
            ("0\t0\t1\n", IdMapErrorKind::Numbers),
            ("0 0 4294967296\n", IdMapErrorKind::Numbers),
            ("0 0 0\n", IdMapErrorKind::Range),
            ("1 0 4294967295\n", IdMapErrorKind::Range),
            ("0 1 4294967295\n", IdMapErrorKind::Range),
            ("4294967295 0 1\n", IdMapErrorKind::Range),
            ("0 4294967295 1\n", IdMapErrorKind::Range),
        ] {
            assert_eq!(refused(text), (reason, text.to_owned()), "{text:?}");
        }
        for second in ["9 30 1\n", "20 18 5\n", "0 11 8\n", "5 15 1\n"] {
            let text = format!("0 10 10\n{second}");
            assert_eq!(refused(&text), (IdMapErrorKind::Overlap, second.to_owned()));
        }
        read("0 10 10\n10 0 10\n20 20 1\n");
    }

    #[test]
    fn ranges_and_bytes_are_bounded() {
        let many = |count: usize| -> String {
            let line = |id| format!("{id:>10} {id:>10} {:>10}\n", 1);
            (0..count).map(line).collect()
        };
        assert_eq!(many(MAX_RANGES).len(), MAX_BYTES);
        assert_eq!(read(&many(MAX_RANGES)).to_inside(339), Some(339));
        let text = many(MAX_RANGES + 1);
        assert_eq!(refused(&text).0, IdMapErrorKind::TooLong(text.len()));
        let narrow =
            |count: u32| -> String { (0..count).map(|id| format!("{id} {id} 1\n")).collect() };
        assert_eq!(read(&narrow(340)).to_inside(339), Some(339));
        assert_eq!(refused(&narrow(341)).0, IdMapErrorKind::TooMany);
    }

    proptest! {
        #[test]
        fn a_parsed_map_prints_and_parses_to_the_same(
            text in "(([0-9]{1,2}|42949672[0-9]{2}) {1,3}[0-9]{1,2} [0-9]{1,2}\n){0,4}", id in 0_u32..200
        ) {
            if let Ok(map) = parse(text.as_bytes()) {
                let again = parse(map.to_string().as_bytes());
                prop_assert_eq!(again.as_ref(), Ok(&map));
                if let Some(outside) = map.to_outside(id) {
                    prop_assert_eq!(map.to_inside(outside), Some(id));
                }
                if let Some(inside) = map.to_inside(id) {
                    prop_assert_eq!(map.to_outside(inside), Some(id));
                }
            }
        }
    }
}
