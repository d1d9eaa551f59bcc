//! passwd(5): `name:password:uid:gid:comment:home:shell`.

use std::fmt;
use std::ops::Range;

use crate::userdb::lines::{FieldCountWarning, MAX_FILE, id, is_name, lines};
use nsexec_text::Fault;

/// Longest home directory and shell: PATH_MAX without its NUL, limits.h.
pub const MAX_PATH: usize = 4095;

/// The expected number of fields in a line. Name, password and both ids are
/// required. glibc and libcontainer read other missing fields as empty; musl
/// skips the line. libcontainer ignores extra fields; glibc and musl read them
/// as part of the shell.
pub const FIELDS: usize = 7;

/// A user, without password and comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Not empty.
    pub name: &'a [u8],
    /// 0 to 2^32 - 2.
    pub uid: u32,
    /// 0 to 2^32 - 2.
    pub gid: u32,
    /// At most [`MAX_PATH`] bytes without NUL; may be empty.
    pub home: &'a [u8],
    /// At most [`MAX_PATH`] bytes without NUL; may be empty.
    pub shell: &'a [u8],
    /// The number of fields in the line: a number other than [`FIELDS`] causes a warning.
    pub fields: usize,
}

impl Entry<'_> {
    /// A warning if glibc, musl or libcontainer may parse the line differently.
    #[must_use]
    pub fn field_count_warning(&self) -> Option<FieldCountWarning> {
        FieldCountWarning::of("passwd", self.name, self.fields, FIELDS)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The first field: the name, even if the rest of the line is invalid.
    pub name: &'a [u8],
    /// The parsed line.
    pub entry: Result<Entry<'a>, Fault<PasswdErrorKind>>,
}

/// Why a file or line cannot be used, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswdErrorKind {
    /// The file has more than [`MAX_FILE`] bytes.
    TooLong(usize),
    /// Fewer than four fields.
    Fields,
    /// The name is empty, or begins with `+` or `-` (NIS).
    Name,
    /// The user id is not a decimal number from 0 to 2^32 - 2.
    Uid,
    /// The group id is not a decimal number from 0 to 2^32 - 2.
    Gid,
    /// Home or shell is longer than [`MAX_PATH`], or has a NUL.
    Path,
}

/// The first user of this name.
///
/// # Errors
/// The file is too long, or the line of this name is invalid.
pub fn by_name<'a>(
    file: &'a [u8],
    name: &[u8],
) -> Result<Option<Entry<'a>>, Fault<PasswdErrorKind>> {
    let record = records(file)?.find(|record| record.name == name);
    record.map(|record| record.entry).transpose()
}

/// The first user with this id. Invalid lines have no id.
///
/// # Errors
/// The file is too long.
pub fn by_uid(file: &[u8], uid: u32) -> Result<Option<Entry<'_>>, Fault<PasswdErrorKind>> {
    Ok(entries(file)?.find(|entry| entry.uid == uid))
}

/// Every user with a valid line.
///
/// # Errors
/// The file is too long.
pub fn entries(file: &[u8]) -> Result<impl Iterator<Item = Entry<'_>>, Fault<PasswdErrorKind>> {
    Ok(records(file)?.filter_map(|record| record.entry.ok()))
}

/// Every line, valid or not.
///
/// # Errors
/// The file is too long.
pub fn records(file: &[u8]) -> Result<impl Iterator<Item = Record<'_>>, Fault<PasswdErrorKind>> {
    let lines = lines(check_length(file)?);
    Ok(lines.map(|(span, line)| Record {
        name: name_of(line),
        entry: entry(span, line),
    }))
}

fn check_length(file: &[u8]) -> Result<&[u8], Fault<PasswdErrorKind>> {
    if file.len() > MAX_FILE {
        return Err(Fault::new(
            MAX_FILE..file.len(),
            PasswdErrorKind::TooLong(file.len()),
        ));
    }
    Ok(file)
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

fn entry(span: Range<usize>, line: &[u8]) -> Result<Entry<'_>, Fault<PasswdErrorKind>> {
    let fault = |reason| Fault::new(span.clone(), reason);
    let mut fields = line.split(|byte| *byte == b':');
    let mut field = || fields.next().ok_or_else(|| fault(PasswdErrorKind::Fields));
    let (name, _password, uid, gid) = (field()?, field()?, field()?, field()?);
    let mut field = || fields.next().unwrap_or_default();
    let (_comment, home, shell) = (field(), field(), field());
    if !is_name(name) {
        return Err(fault(PasswdErrorKind::Name));
    }
    if [home, shell]
        .iter()
        .any(|path| path.len() > MAX_PATH || path.contains(&0))
    {
        return Err(fault(PasswdErrorKind::Path));
    }
    Ok(Entry {
        name,
        uid: id(uid).ok_or_else(|| fault(PasswdErrorKind::Uid))?,
        gid: id(gid).ok_or_else(|| fault(PasswdErrorKind::Gid))?,
        home,
        shell,
        fields: line.split(|byte| *byte == b':').count(),
    })
}

impl fmt::Display for PasswdErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a passwd file of {length} bytes; the limit is {MAX_FILE}"
                )
            }
            Self::Fields => f.write_str(
                "fewer than four fields; write name:password:uid:gid:comment:home:shell",
            ),
            Self::Name => f.write_str("a name that is empty or begins with + or -"),
            Self::Uid => f.write_str("a uid that is not a decimal number from 0 to 4294967294"),
            Self::Gid => f.write_str("a gid that is not a decimal number from 0 to 4294967294"),
            Self::Path => write!(
                f,
                "a home or shell with a NUL or of more than {MAX_PATH} bytes"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const FILE: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        # a comment: with:colons\n\
        bob:x:1000:1001:Bob,,,:/home/bob:\n\
        bob:x:0:0::/:/bin/sh\n\
        alice:x:4294967294:0:::/bin/sh";

    fn refused(line: &str) -> PasswdErrorKind {
        let name = line.split(':').next().expect("one field at least");
        let fault = by_name(line.as_bytes(), name.as_bytes()).expect_err("it should be refused");
        assert_eq!(line.as_bytes().get(fault.span), Some(line.as_bytes()));
        fault.reason
    }

    fn print(entry: &Entry<'_>) -> Vec<u8> {
        let ids = format!(":x:{}:{}::", entry.uid, entry.gid).into_bytes();
        [entry.name, &ids, entry.home, b":", entry.shell, b"\n"].concat()
    }

    #[test]
    fn the_first_of_a_name_is_the_user() {
        let bob = Entry {
            name: b"bob",
            uid: 1000,
            gid: 1001,
            home: b"/home/bob",
            shell: b"",
            fields: 7,
        };
        assert_eq!(by_name(FILE, b"bob"), Ok(Some(bob)));
        assert_eq!(by_uid(FILE, 1000), Ok(Some(bob)));
        assert_eq!(by_name(FILE, b"bo"), Ok(None));
        assert_eq!(by_name(FILE, b"# a comment"), Ok(None));
        assert_eq!(by_name(FILE, b""), Ok(None));
        let alice = by_uid(FILE, 4_294_967_294).expect("a short file");
        assert_eq!(alice.map(|entry| entry.name), Some(&b"alice"[..]));
        assert_eq!(by_uid(FILE, 1), Ok(None));
        assert_eq!(by_name(b"", b"root"), Ok(None));
    }

    #[test]
    fn an_invalid_line_of_the_requested_name_is_an_error() {
        for (line, reason) in [
            ("u", PasswdErrorKind::Fields),
            ("u:x:1", PasswdErrorKind::Fields),
            ("u:x:abc:1::/:", PasswdErrorKind::Uid),
            ("u:x::1::/:", PasswdErrorKind::Uid),
            ("u:x:-1:1::/:", PasswdErrorKind::Uid),
            ("u:x:+0:1::/:", PasswdErrorKind::Uid),
            ("u:x:0x1:1::/:", PasswdErrorKind::Uid),
            ("u:x: 1:1::/:", PasswdErrorKind::Uid),
            ("u:x:4294967295:1::/:", PasswdErrorKind::Uid),
            ("u:x:4294967296:1::/:", PasswdErrorKind::Uid),
            ("u:x:1:::/:", PasswdErrorKind::Gid),
            ("u:x:1:0x1::/:", PasswdErrorKind::Gid),
            ("u:x:1:1::/\0:", PasswdErrorKind::Path),
            ("u:x:1:1::/:/\0", PasswdErrorKind::Path),
            ("+u:x:1:1::/:", PasswdErrorKind::Name),
            ("-u:x:1:1::/:", PasswdErrorKind::Name),
            (":x:1:1::/:", PasswdErrorKind::Name),
        ] {
            assert_eq!(refused(line), reason, "{line:?}");
        }
    }

    #[test]
    fn missing_fields_are_empty_and_extra_ones_are_ignored() {
        for (line, home, shell, fields) in [
            ("u:x:00:01", "", "", 4),
            ("u:x:00:01:c", "", "", 5),
            ("u:x:0:1:c:/h", "/h", "", 6),
            ("u:x:0:1:c:/h:/s", "/h", "/s", 7),
            ("u:x:0:1:c:/h:/s:", "/h", "/s", 8),
            ("u:x:0:1:c:/h:/s:a:b:c", "/h", "/s", 10),
        ] {
            let entry = by_uid(line.as_bytes(), 0).expect("a short file");
            let entry = entry.expect("an entry");
            assert_eq!((entry.uid, entry.gid), (0, 1), "{line}");
            assert_eq!(entry.home, home.as_bytes(), "{line}");
            assert_eq!(entry.shell, shell.as_bytes(), "{line}");
            let warning = entry
                .field_count_warning()
                .map(|warning| (warning.fields, warning.expected));
            assert_eq!(warning, (fields != 7).then_some((fields, 7)), "{line}");
        }
    }

    #[test]
    fn an_invalid_line_is_no_user() {
        let file = b"u:x:abc:0::/:\nv:x:0\n+w:x:0:0::/:\nz:x:0:0::/:\n";
        let zero = by_uid(file, 0).expect("a short file");
        assert_eq!(zero.map(|entry| entry.name), Some(&b"z"[..]));
        assert_eq!(by_uid(b"u:x:abc:0::/:\n", 0), Ok(None));
        // Even if a valid one follows.
        let file = b"u:x:abc:0::/:\nu:x:5:5::/:\n";
        assert_eq!(
            by_name(file, b"u").map_err(|fault| fault.reason),
            Err(PasswdErrorKind::Uid)
        );
        assert_eq!(entries(file).expect("a short file").count(), 1);
    }

    #[test]
    fn file_and_paths_are_bounded() {
        let mut file = b"u:x:5:5::/:\n".to_vec();
        file.resize(MAX_FILE, b'\n');
        assert!(matches!(by_name(&file, b"u"), Ok(Some(_))));
        file.push(b'\n');
        let long = Fault::new(
            MAX_FILE..MAX_FILE + 1,
            PasswdErrorKind::TooLong(MAX_FILE + 1),
        );
        assert_eq!(by_name(&file, b"u"), Err(long.clone()));
        assert_eq!(by_uid(&file, 5), Err(long));

        let path = "p".repeat(MAX_PATH);
        for paths in [format!("{path}:/"), format!("/:{path}")] {
            let line = format!("u:x:5:5::{paths}");
            assert!(matches!(by_name(line.as_bytes(), b"u"), Ok(Some(_))));
            let line = line.replacen(&path, &format!("{path}p"), 1);
            assert_eq!(refused(&line), PasswdErrorKind::Path);
        }
    }

    proptest! {
        #[test]
        fn a_parsed_user_prints_and_parses_to_the_same(
            file in proptest::collection::vec(
                prop_oneof![
                    "[a-z+]{0,2}:x?:[0-9]{0,2}:[0-9]{0,2}:c?:[/a]{0,2}:[/a]{0,2}",
                    "[a-z:0-9# ]{0,12}",
                    any::<String>(),
                ],
                0..8,
            )
        ) {
            let file = file.join("\n").into_bytes();
            let read: Vec<_> = entries(&file).expect("a short file").collect();
            let printed = read.iter().map(print).collect::<Vec<_>>().concat();
            let again: Vec<_> = entries(&printed).expect("a short file").collect();
            let whole: Vec<_> = read.iter().map(|entry| Entry { fields: FIELDS, ..*entry }).collect();
            prop_assert_eq!(again, whole);
            for entry in &read {
                let found = by_uid(&file, entry.uid).expect("a short file");
                prop_assert!(found.is_some_and(|found| found.uid == entry.uid));
            }
        }
    }
}
