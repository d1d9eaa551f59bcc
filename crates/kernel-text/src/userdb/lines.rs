//! The lines of passwd(5) and group(5).

use std::fmt;
use std::ops::Range;

use crate::procfs::decimal::decimal;
use nsexec_text::json::printable;

/// Longest passwd or group file, in bytes: it is read into memory, and a
/// container can make it as long as it likes. A passwd file of this length has
/// some 250,000 users.
pub const MAX_FILE: usize = 16 << 20;

/// A line that is used though it has more or fewer fields than it should: others
/// may read it differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCountWarning {
    /// `passwd` or `group`.
    pub file: &'static str,
    /// The user or group of the line, in printable form.
    pub name: String,
    /// How many fields it has.
    pub fields: usize,
    /// How many it should have.
    pub expected: usize,
}

impl FieldCountWarning {
    pub(super) fn of(
        file: &'static str,
        name: &[u8],
        fields: usize,
        expected: usize,
    ) -> Option<Self> {
        (fields != expected).then(|| Self {
            file,
            name: printable(&String::from_utf8_lossy(name)),
            fields,
            expected,
        })
    }
}

impl fmt::Display for FieldCountWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            name,
            fields,
            expected,
        } = self;
        write!(
            f,
            "/etc/{file} of the program's root: the line of {name} has {fields} fields instead of \
             {expected}: "
        )?;
        f.write_str(if fields < expected {
            "the missing ones count as empty"
        } else {
            "those behind are ignored"
        })
    }
}

/// Largest id: setresuid(2) reads 2^32 - 1 as "no change".
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

/// The id in a field: decimal digits, 0 to 2^32 - 2. Zeros in front are ignored,
/// as glibc, musl and libcontainer do; signs, white space and nothing at all are
/// no id, which they disagree about.
pub(super) fn id(field: &[u8]) -> Option<u32> {
    let zeros = field.iter().take_while(|byte| **byte == b'0').count();
    // One zero at least stays of a field that is nothing else.
    let zeros = zeros.min(field.len().saturating_sub(1));
    decimal(field.get(zeros..)?).filter(|id| *id <= MAX_ID)
}

/// Whether an entry can have this name. A leading `+` or `-` marks an NIS entry.
pub(super) fn is_name(field: &[u8]) -> bool {
    !field.is_empty() && !field.starts_with(b"+") && !field.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_comments_are_ignored() {
        let file = b"\n a:b \r\n#c\n \t\n  # d\ne";
        let found: Vec<_> = lines(file).collect();
        assert_eq!(found, [(2..5, &b"a:b"[..]), (20..21, &b"e"[..])]);
        for (span, line) in found {
            assert_eq!(file.get(span), Some(line));
        }
    }

    #[test]
    fn a_line_with_a_wrong_field_count_is_a_warning() {
        assert_eq!(FieldCountWarning::of("passwd", b"u", 7, 7), None);
        let printed =
            |fields| FieldCountWarning::of("group", b"u\x1b", fields, 4).map(|d| d.to_string());
        assert_eq!(
            printed(3).as_deref(),
            Some(
                "/etc/group of the program's root: the line of u\\u{1b} has 3 fields instead of 4: \
                 the missing ones count as empty"
            )
        );
        assert!(printed(5).is_some_and(|printed| printed.ends_with("those behind are ignored")));
    }

    #[test]
    fn ids_end_before_no_change() {
        assert_eq!(id(b"4294967294"), Some(4_294_967_294));
        assert_eq!(id(b"0"), Some(0));
        assert_eq!(id(b"00"), Some(0));
        assert_eq!(id(b"0017"), Some(17));
        for wrong in [
            "4294967295",
            "04294967296",
            "",
            "-1",
            "0-1",
            "a",
            "0a",
            " 0",
            "+0",
            "0 ",
        ] {
            assert_eq!(id(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
