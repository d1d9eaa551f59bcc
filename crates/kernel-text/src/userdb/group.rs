//! group(5): `name:password:gid:member,member`.

use std::fmt;
use std::ops::Range;

use crate::userdb::lines::{FieldCountWarning, MAX_FILE, id, is_name, lines};
use nsexec_text::Fault;

/// The expected number of fields in a line. Name, password and id are required;
/// glibc and libcontainer read a missing list of members as an empty one. Neither
/// reads members from text after the list.
pub const FIELDS: usize = 4;

/// A group, without its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Not empty.
    pub name: &'a [u8],
    /// 0 to 2^32 - 2.
    pub gid: u32,
    members: &'a [u8],
    /// The number of fields in the line: a number other than [`FIELDS`] causes a warning.
    pub fields: usize,
}

impl<'a> Entry<'a> {
    /// A warning if glibc, musl or libcontainer may parse the line differently.
    #[must_use]
    pub fn field_count_warning(&self) -> Option<FieldCountWarning> {
        FieldCountWarning::of("group", self.name, self.fields, FIELDS)
    }

    /// The users in the list; not the users with this primary group.
    pub fn members(&self) -> impl Iterator<Item = &'a [u8]> {
        let members = self.members.split(|byte| *byte == b',');
        members.filter(|member| !member.is_empty())
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The first field: the name, even if the rest of the line is invalid.
    pub name: &'a [u8],
    /// The parsed line.
    pub entry: Result<Entry<'a>, Fault<GroupErrorKind>>,
}

/// Why a file or line cannot be used, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupErrorKind {
    /// The file has more than [`MAX_FILE`] bytes.
    TooLong(usize),
    /// Fewer than three fields.
    Fields,
    /// The name is empty, or begins with `+` or `-` (NIS).
    Name,
    /// The group id is not a decimal number from 0 to 2^32 - 2.
    Gid,
}

/// The first group of this name.
///
/// # Errors
/// The file is too long, or the line of this name is invalid.
pub fn by_name<'a>(
    file: &'a [u8],
    name: &[u8],
) -> Result<Option<Entry<'a>>, Fault<GroupErrorKind>> {
    let record = records(file)?.find(|record| record.name == name);
    record.map(|record| record.entry).transpose()
}

/// The groups that list `user`, in the order of the file.
///
/// # Errors
/// The file is too long, or a line that lists the user is invalid.
pub fn of_member<'a>(
    file: &'a [u8],
    user: &'a [u8],
) -> Result<
    impl Iterator<Item = Result<Entry<'a>, Fault<GroupErrorKind>>> + use<'a>,
    Fault<GroupErrorKind>,
> {
    let listing = lines(check_length(file)?).filter(|(_, line)| lists(line, user));
    Ok(listing.map(|(span, line)| entry(span, line)))
}

/// Every group with a valid line.
///
/// # Errors
/// The file is too long.
pub fn entries(file: &[u8]) -> Result<impl Iterator<Item = Entry<'_>>, Fault<GroupErrorKind>> {
    Ok(records(file)?.filter_map(|record| record.entry.ok()))
}

/// Every line, valid or not.
///
/// # Errors
/// The file is too long.
pub fn records(file: &[u8]) -> Result<impl Iterator<Item = Record<'_>>, Fault<GroupErrorKind>> {
    let lines = lines(check_length(file)?);
    Ok(lines.map(|(span, line)| Record {
        name: name_of(line),
        entry: entry(span, line),
    }))
}

fn check_length(file: &[u8]) -> Result<&[u8], Fault<GroupErrorKind>> {
    if file.len() > MAX_FILE {
        return Err(Fault::new(
            MAX_FILE..file.len(),
            GroupErrorKind::TooLong(file.len()),
        ));
    }
    Ok(file)
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

/// Whether a line, valid or not, lists `user` in its fourth field.
fn lists(line: &[u8], user: &[u8]) -> bool {
    let members = line.split(|byte| *byte == b':').nth(3).unwrap_or_default();
    members
        .split(|byte| *byte == b',')
        .any(|member| member == user)
}

fn entry(span: Range<usize>, line: &[u8]) -> Result<Entry<'_>, Fault<GroupErrorKind>> {
    let fault = |reason| Fault::new(span.clone(), reason);
    let mut fields = line.split(|byte| *byte == b':');
    let mut field = || fields.next().ok_or_else(|| fault(GroupErrorKind::Fields));
    let (name, _password, gid) = (field()?, field()?, field()?);
    let members = fields.next().unwrap_or_default();
    if !is_name(name) {
        return Err(fault(GroupErrorKind::Name));
    }
    Ok(Entry {
        name,
        gid: id(gid).ok_or_else(|| fault(GroupErrorKind::Gid))?,
        members,
        fields: line.split(|byte| *byte == b':').count(),
    })
}

impl fmt::Display for GroupErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "a group file of {length} bytes; the limit is {MAX_FILE}")
            }
            Self::Fields => f.write_str("fewer than three fields; write name:password:gid:members"),
            Self::Name => f.write_str("a name that is empty or begins with + or -"),
            Self::Gid => f.write_str("a gid that is not a decimal number from 0 to 4294967294"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const FILE: &[u8] = b"root:x:0:\n\
        wheel:x:10:alice,bob\n\
        bob:x:1000:\n\
        \n\
        audio:*:63:bob\r\n\
        bobby:x:64:bobby,abob\n\
        wheel:x:0:bob";

    fn gids(file: &[u8], user: &str) -> Result<Vec<u32>, GroupErrorKind> {
        let found = of_member(file, user.as_bytes());
        let gids = found.and_then(|mut found| {
            found.try_fold(Vec::new(), |mut gids, entry| {
                gids.push(entry?.gid);
                Ok(gids)
            })
        });
        gids.map_err(|fault| fault.reason)
    }

    fn print(entry: &Entry<'_>) -> Vec<u8> {
        let gid = format!(":x:{}:", entry.gid).into_bytes();
        let members: Vec<_> = entry.members().collect();
        [entry.name, &gid, &members.join(&b','), b"\n"].concat()
    }

    #[test]
    fn groups_are_found_by_name_and_by_member() {
        let wheel = by_name(FILE, b"wheel").expect("valid").expect("present");
        assert_eq!(wheel.gid, 10);
        assert_eq!(
            wheel.members().collect::<Vec<_>>(),
            [&b"alice"[..], &b"bob"[..]]
        );
        assert_eq!(by_name(FILE, b"whee"), Ok(None));
        assert_eq!(gids(FILE, "bob"), Ok(vec![10, 63, 0]));
        assert_eq!(gids(FILE, "bobby"), Ok(vec![64]));
        assert_eq!(gids(FILE, "root"), Ok(vec![]));
        // Neither a password nor a gid is a member.
        assert_eq!(gids(FILE, "x"), Ok(vec![]));
        assert_eq!(gids(FILE, "10"), Ok(vec![]));
    }

    #[test]
    fn an_invalid_line_of_the_requested_name_is_an_error() {
        for (line, reason) in [
            ("g:x", GroupErrorKind::Fields),
            ("g:x:abc:u", GroupErrorKind::Gid),
            ("g:x::u", GroupErrorKind::Gid),
            ("g:x:-1:u", GroupErrorKind::Gid),
            ("g:x:4294967295:u", GroupErrorKind::Gid),
            ("+g:x:1:u", GroupErrorKind::Name),
            (":x:1:u", GroupErrorKind::Name),
        ] {
            let name = line.split(':').next().expect("one field at least");
            let fault = by_name(line.as_bytes(), name.as_bytes()).expect_err("refused");
            assert_eq!(fault.reason, reason, "{line:?}");
            assert_eq!(fault.span, 0..line.len());
            if line.ends_with(":u") {
                assert_eq!(gids(line.as_bytes(), "u"), Err(reason), "{line:?}");
            }
            assert_eq!(gids(line.as_bytes(), "t"), Ok(vec![]), "{line:?}");
            assert_eq!(entries(line.as_bytes()).expect("short").count(), 0);
        }
    }

    #[test]
    fn members_are_the_fourth_field_and_no_other() {
        for (line, members, fields) in [
            ("g:x:01", 0, 3),
            ("g:x:1:", 0, 4),
            ("g:x:1:u,v", 2, 4),
            ("g:x:1:u,v:", 2, 5),
            ("g:x:1:v,w:u", 2, 5),
        ] {
            let entry = by_name(line.as_bytes(), b"g")
                .expect("valid")
                .expect("there");
            assert_eq!(entry.gid, 1, "{line}");
            assert_eq!(entry.members().count(), members, "{line}");
            let warning = entry
                .field_count_warning()
                .map(|warning| (warning.fields, warning.expected));
            assert_eq!(warning, (fields != 4).then_some((fields, 4)), "{line}");
        }
        assert_eq!(gids(b"g:x:1:v,w:u", "u"), Ok(vec![]));
        assert_eq!(gids(b"g:x:1:v,w:u", "w"), Ok(vec![1]));
    }

    #[test]
    fn the_file_is_bounded() {
        let mut file = b"g:x:5:u\n".to_vec();
        file.resize(MAX_FILE, b'\n');
        assert_eq!(gids(&file, "u"), Ok(vec![5]));
        file.push(b'\n');
        let long = GroupErrorKind::TooLong(MAX_FILE + 1);
        assert_eq!(gids(&file, "u"), Err(long));
        let fault = by_name(&file, b"g").expect_err("it should be refused");
        assert_eq!(fault, Fault::new(MAX_FILE..MAX_FILE + 1, long));
    }

    proptest! {
        #[test]
        fn a_parsed_group_prints_and_parses_to_the_same(
            file in proptest::collection::vec(
                prop_oneof!["[a-c+]{0,2}:x?:[0-9]{0,2}:[a-c,]{0,5}", "[a-c:0-9#, ]{0,12}"],
                0..8,
            )
        ) {
            let file = file.join("\n").into_bytes();
            let read: Vec<_> = entries(&file).expect("a short file").collect();
            let printed = read.iter().map(print).collect::<Vec<_>>().concat();
            let again: Vec<_> = entries(&printed).expect("a short file").collect();
            prop_assert_eq!(again.len(), read.len());
            for (again, read) in again.iter().zip(&read) {
                prop_assert_eq!((again.name, again.gid), (read.name, read.gid));
                prop_assert!(again.members().eq(read.members()));
                for member in read.members() {
                    let gids = gids(&printed, std::str::from_utf8(member).expect("ASCII"));
                    prop_assert!(gids.is_ok_and(|gids| gids.contains(&read.gid)));
                }
            }
        }
    }
}
