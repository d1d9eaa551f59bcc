//! The lines written to `/proc/PID/{uid,gid}_map`, user_namespaces(7): `inside
//! outside length` and a newline for each range.
//!
//! The grammar is that of reading the file,
//! [`nsexec_kernel_text::procfs::id_map`]; a write must map at least one id. The
//! kernel accepts a map in one write shorter than a page (4 to 64 KiB), so only
//! the running kernel can reject a map for its size.

use std::fmt;

use nsexec_kernel_text::procfs::id_map::{self, IdMap};
use nsexec_text::Fault;

/// Longest text, in bytes: the most ranges, as the kernel prints them.
pub const MAX_BYTES: usize = id_map::MAX_BYTES;

/// The smallest page size, in bytes: every kernel accepts a map shorter than
/// this.
pub const SMALLEST_PAGE: usize = 4096;

/// Why lines are not a valid map, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMapLinesErrorKind {
    /// The text has no line.
    Empty,
    /// Lines that the kernel would reject.
    Map(id_map::IdMapErrorKind),
}

/// The map in `text`; it maps at least one id.
///
/// # Errors
/// There is no line, there are more than [`MAX_BYTES`] bytes, or the kernel
/// would reject a line: the first such line.
pub fn parse(text: &[u8]) -> Result<IdMap, Fault<IdMapLinesErrorKind>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, IdMapLinesErrorKind::Empty));
    }
    id_map::parse(text)
        .map_err(|fault| Fault::new(fault.span, IdMapLinesErrorKind::Map(fault.reason)))
}

/// The lines of `map` as written to its file, without the kernel's padding. They
/// are no longer than the text `map` was parsed from.
#[must_use]
pub fn print(map: &IdMap) -> String {
    let line = |range: &id_map::MappedRange| {
        format!("{} {} {}\n", range.inside, range.outside, range.length)
    };
    map.ranges().iter().map(line).collect()
}

impl fmt::Display for IdMapLinesErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an id map without a line; it has one for each range"),
            Self::Map(reason) => reason.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn refused(text: &str) -> (IdMapLinesErrorKind, &str) {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        (fault.reason, text.get(fault.span).expect("inside the text"))
    }

    #[test]
    fn lines_are_a_map() {
        let text = "0 1000 1\n1 100000 65536\n";
        let map = parse(text.as_bytes()).expect("a map");
        assert_eq!(map.to_outside(0), Some(1000));
        assert_eq!(map.to_outside(65_536), Some(165_535));
        assert_eq!(map.to_outside(65_537), None);
        assert_eq!(print(&map), text);
    }

    #[test]
    fn a_line_the_kernel_rejects_is_an_error_with_its_span() {
        let map = IdMapLinesErrorKind::Map;
        for (text, reason, place) in [
            ("", IdMapLinesErrorKind::Empty, ""),
            ("\n", map(id_map::IdMapErrorKind::Numbers), "\n"),
            ("0 0 1", map(id_map::IdMapErrorKind::Unfinished), "0 0 1"),
            (
                "0 0 1\n-1 5 1\n",
                map(id_map::IdMapErrorKind::Numbers),
                "-1 5 1\n",
            ),
            (
                "0 4294967296 1\n",
                map(id_map::IdMapErrorKind::Numbers),
                "0 4294967296 1\n",
            ),
            ("0 0 0\n", map(id_map::IdMapErrorKind::Range), "0 0 0\n"),
            (
                "0 1 4294967295\n",
                map(id_map::IdMapErrorKind::Range),
                "0 1 4294967295\n",
            ),
            (
                "0 0 2\n1 9 1\n",
                map(id_map::IdMapErrorKind::Overlap),
                "1 9 1\n",
            ),
        ] {
            assert_eq!(refused(text), (reason, place), "{text:?}");
        }
    }

    #[test]
    fn the_largest_map_fits_the_smallest_page() {
        let line = |id: usize| format!("{id:>10} {id:>10} {:>10}\n", 1);
        let text: String = (0..id_map::MAX_RANGES).map(line).collect();
        assert_eq!(text.len(), MAX_BYTES);
        assert!(parse(text.as_bytes()).is_ok());
        let longer = format!("{text}\n");
        let reason = IdMapLinesErrorKind::Map(id_map::IdMapErrorKind::TooLong(MAX_BYTES + 1));
        assert_eq!(refused(&longer), (reason, "\n"));
    }

    proptest! {
        #[test]
        fn a_parsed_map_prints_and_parses_to_the_same(
            text in "([0-9]{1,10} {1,3}[0-9]{1,3} [0-9]{1,2}\n){0,4}"
        ) {
            if let Ok(map) = parse(text.as_bytes()) {
                let printed = print(&map);
                prop_assert!(printed.len() <= text.len());
                prop_assert_eq!(parse(printed.as_bytes()), Ok(map));
            }
        }
    }
}
