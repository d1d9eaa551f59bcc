//! The lines of passwd(5) and group(5).

use std::ops::Range;

use crate::procfs::decimal::decimal;

/// Longest passwd or group file, in bytes: it is read into memory, and a
/// container can make it as long as it likes. A passwd file of this length has
/// some 15,000 users.
pub const MAX_FILE: usize = 1 << 20;

/// Largest id: 2^32 - 1 means "no change" to setresuid(2).
const MAX_ID: u32 = u32::MAX - 1;

/// Each line that may be an entry, with its place: trimmed of white space as
/// glibc and libcontainer do, not empty and no comment (`#`).
pub(super) fn lines(file: &[u8]) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut offset = 0;
    file.split_inclusive(|byte| *byte == b'\n')
        .filter_map(move |line| {
            let start = offset + (line.len() - line.trim_ascii_start().len());
            offset += line.len();
            let line = line.trim_ascii();
            let entry = !line.is_empty() && !line.starts_with(b"#");
            entry.then(|| (start..start + line.len(), line))
        })
}

/// The id in a field: plain decimal, 0 to 2^32 - 2.
pub(super) fn id(field: &[u8]) -> Option<u32> {
    decimal(field).filter(|id| *id <= MAX_ID)
}

/// Whether an entry can have this name. `+` and `-` in front are for NIS, and
/// speak of entries elsewhere.
pub(super) fn is_name(field: &[u8]) -> bool {
    !field.is_empty() && !field.starts_with(b"+") && !field.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_comments_are_passed_over() {
        let file = b"\n a:b \r\n#c\n \t\n  # d\ne";
        let found: Vec<_> = lines(file).collect();
        assert_eq!(found, [(2..5, &b"a:b"[..]), (20..21, &b"e"[..])]);
        for (span, line) in found {
            assert_eq!(file.get(span), Some(line));
        }
    }

    #[test]
    fn ids_end_before_no_change() {
        assert_eq!(id(b"4294967294"), Some(4_294_967_294));
        for wrong in ["4294967295", "4294967296", "", "-1", "00", "a", " 0"] {
            assert_eq!(id(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
