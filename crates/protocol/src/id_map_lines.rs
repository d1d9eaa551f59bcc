//! The lines that are written to `/proc/PID/{uid,gid}_map`, user_namespaces(7):
//! `inside outside length` and a newline for each range.
//!
//! The grammar is that of the file when it is read, [`nsexec_kernel_text::procfs::id_map`]; a
//! write has to map something. The kernel takes a map in one write that is shorter
//! than a page, of 4 to 64 KiB: only the kernel that runs can refuse one for that.

use std::fmt;

use nsexec_kernel_text::procfs::id_map::{self, IdMap};
use nsexec_text::Fault;

/// Longest text, in bytes: the most ranges, as the kernel prints them.
pub const MAX_BYTES: usize = id_map::MAX_BYTES;

/// What a page has at least, in bytes: a map that is shorter fits each kernel.
pub const SMALLEST_PAGE: usize = 4096;

/// Why lines are no map, and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No line.
    Empty,
    /// Lines that the kernel would not take.
    Map(id_map::Reason),
}

/// The map that `text` asks for; it maps at least one id.
///
/// # Errors
/// There is no line, there are more bytes than [`MAX_BYTES`], or the first line that
/// the kernel would not take.
pub fn parse(text: &[u8]) -> Result<IdMap, Fault<Reason>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, Reason::Empty));
    }
    id_map::parse(text).map_err(|fault| Fault::new(fault.span, Reason::Map(fault.reason)))
}

/// The lines of `map`, without the kernel's padding: what is written to its file.
/// They are no longer than the text that it was parsed from.
#[must_use]
pub fn print(map: &IdMap) -> String {
    let line = |range: &id_map::MappedRange| {
        format!("{} {} {}\n", range.inside, range.outside, range.length)
    };
    map.ranges().iter().map(line).collect()
}

impl fmt::Display for Reason {
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

    fn refused(text: &str) -> (Reason, &str) {
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
    fn what_the_kernel_would_not_take_is_refused_at_its_line() {
        let map = Reason::Map;
        for (text, reason, place) in [
            ("", Reason::Empty, ""),
            ("\n", map(id_map::Reason::Numbers), "\n"),
            ("0 0 1", map(id_map::Reason::Unfinished), "0 0 1"),
            ("0 0 1\n-1 5 1\n", map(id_map::Reason::Numbers), "-1 5 1\n"),
            (
                "0 4294967296 1\n",
                map(id_map::Reason::Numbers),
                "0 4294967296 1\n",
            ),
            ("0 0 0\n", map(id_map::Reason::Range), "0 0 0\n"),
            (
                "0 1 4294967295\n",
                map(id_map::Reason::Range),
                "0 1 4294967295\n",
            ),
            ("0 0 2\n1 9 1\n", map(id_map::Reason::Overlap), "1 9 1\n"),
        ] {
            assert_eq!(refused(text), (reason, place), "{text:?}");
        }
    }

    #[test]
    fn a_map_of_the_most_ranges_is_taken_however_small_a_page_is() {
        let line = |id: usize| format!("{id:>10} {id:>10} {:>10}\n", 1);
        let text: String = (0..id_map::MAX_RANGES).map(line).collect();
        assert_eq!(text.len(), MAX_BYTES);
        assert!(parse(text.as_bytes()).is_ok());
        let longer = format!("{text}\n");
        let reason = Reason::Map(id_map::Reason::TooLong(MAX_BYTES + 1));
        assert_eq!(refused(&longer), (reason, "\n"));
    }

    proptest! {
        #[test]
        fn what_is_understood_prints_and_reads_the_same(
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
