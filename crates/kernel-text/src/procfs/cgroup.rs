//! `/proc/PID/cgroup`, cgroups(7): `hierarchy-id:controllers:path`, a line for
//! each hierarchy.

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest text, in bytes: the kernel has sixteen controllers, and so not many
/// more hierarchies, each with a path of at most PATH_MAX (4096).
pub const MAX_BYTES: usize = 128 * 1024;

/// Most hierarchies: the kernel does not limit named ones (`name=`); systemd has
/// one.
pub const MAX_HIERARCHIES: usize = 64;

/// A cgroup that a process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The hierarchy of the cgroup.
    pub hierarchy: Hierarchy,
    /// Its path from the root of the reader's cgroup namespace: absolute, and
    /// inside of it.
    pub path: PathBuf,
}

/// A hierarchy of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2: id 0, no list.
    Unified,
    /// Version 1.
    Legacy {
        /// Its number.
        id: NonZeroU32,
        /// Its controllers, or `name=NAME` for a hierarchy without controllers.
        /// Not empty; no controller belongs to two hierarchies.
        controllers: Vec<String>,
    },
}

/// Why a text is not a valid list of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// More than [`MAX_HIERARCHIES`].
    TooMany,
    /// No newline at the end: the text is incomplete.
    Unfinished,
    /// Not three fields.
    Fields,
    /// Not the number of a hierarchy: 0 to 2^32 - 1 in plain decimal.
    Id,
    /// A list of controllers that is empty, has an empty name, or is in the line
    /// of version 2.
    Controllers,
    /// A hierarchy or controller is listed twice.
    Repeated,
    /// A path that is not absolute, or has an empty component, `.` or NUL.
    Path,
    /// A path with `..`: the cgroup is outside the reader's cgroup namespace.
    Outside,
    /// The cgroup was removed (`(deleted)`).
    Deleted,
}

/// The cgroups that `text` lists: none if no hierarchy is mounted.
///
/// # Errors
/// The first invalid line, and any cgroup without a path in this namespace.
pub fn parse(text: &[u8]) -> Result<Vec<Membership>, Fault<CgroupErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            CgroupErrorKind::TooLong(text.len()),
        ));
    }
    let mut memberships: Vec<Membership> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let span = start..start + line.len();
        start = span.end;
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(Fault::new(
                text.len()..text.len(),
                CgroupErrorKind::Unfinished,
            ));
        };
        let membership = membership(line, span.start)?;
        let known = memberships.iter().map(|known| &known.hierarchy);
        if known
            .into_iter()
            .any(|known| known.overlaps(&membership.hierarchy))
        {
            return Err(Fault::new(span, CgroupErrorKind::Repeated));
        }
        if memberships.len() == MAX_HIERARCHIES {
            return Err(Fault::new(span, CgroupErrorKind::TooMany));
        }
        memberships.push(membership);
    }
    Ok(memberships)
}

impl Hierarchy {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unified, Self::Unified) => true,
            (
                Self::Legacy { id, controllers },
                Self::Legacy {
                    id: other_id,
                    controllers: others,
                },
            ) => id == other_id || controllers.iter().any(|one| others.contains(one)),
            _ => false,
        }
    }
}

fn membership(line: &[u8], start: usize) -> Result<Membership, Fault<CgroupErrorKind>> {
    let end = start + line.len();
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(Fault::new(start..end, CgroupErrorKind::Fields));
    };
    let id_end = start + id.len();
    let controllers_at = id_end + 1..id_end + 1 + controllers.len();
    let id: u32 = decimal(id).ok_or_else(|| Fault::new(start..id_end, CgroupErrorKind::Id))?;
    let hierarchy = hierarchy(id, controllers)
        .ok_or_else(|| Fault::new(controllers_at.clone(), CgroupErrorKind::Controllers))?;
    let path_at: Range<usize> = controllers_at.end + 1..end;
    Ok(Membership {
        hierarchy,
        path: inside(path).map_err(|reason| Fault::new(path_at, reason))?,
    })
}

fn hierarchy(id: u32, controllers: &[u8]) -> Option<Hierarchy> {
    let Some(id) = NonZeroU32::new(id) else {
        return controllers.is_empty().then_some(Hierarchy::Unified);
    };
    let mut names: Vec<String> = Vec::new();
    for name in std::str::from_utf8(controllers).ok()?.split(',') {
        let repeated = names.iter().any(|known| known == name);
        if name.is_empty() || name == "name=" || repeated {
            return None;
        }
        names.push(name.to_owned());
    }
    Some(Hierarchy::Legacy {
        id,
        controllers: names,
    })
}

fn inside(path: &[u8]) -> Result<PathBuf, CgroupErrorKind> {
    let Some(below) = path.strip_prefix(b"/") else {
        return Err(CgroupErrorKind::Path);
    };
    if path.contains(&0) {
        return Err(CgroupErrorKind::Path);
    }
    if !below.is_empty() {
        for component in below.split(|byte| *byte == b'/') {
            match component {
                b".." => return Err(CgroupErrorKind::Outside),
                b"" | b"." => return Err(CgroupErrorKind::Path),
                _ => {}
            }
        }
    }
    // A live cgroup may have such a name as well; the two cannot be
    // distinguished.
    if path.ends_with(b" (deleted)") {
        return Err(CgroupErrorKind::Deleted);
    }
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

impl fmt::Display for CgroupErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a list of cgroups of {length} bytes; the limit is {MAX_BYTES}"
                )
            }
            Self::TooMany => write!(f, "more than {MAX_HIERARCHIES} hierarchies of cgroups"),
            Self::Unfinished => f.write_str("no newline at the end: the text is incomplete"),
            Self::Fields => f.write_str("not the three fields hierarchy:controllers:path"),
            Self::Id => f.write_str("the hierarchy number is not a decimal number"),
            Self::Controllers => f.write_str(
                "a list of controllers that is empty, has an empty or repeated name, or belongs to \
                 hierarchy 0, which has none",
            ),
            Self::Repeated => f.write_str("a duplicate hierarchy or controller"),
            Self::Path => f.write_str("a cgroup without a plain absolute path"),
            Self::Outside => f.write_str(
                "a cgroup outside the caller's cgroup namespace, where it cannot be reached; \
                 start nsexec in the namespace that the cgroup belongs to",
            ),
            Self::Deleted => f.write_str("a cgroup that was removed; nothing can join it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn legacy(id: u32, controllers: &[&str], path: &str) -> Membership {
        Membership {
            hierarchy: Hierarchy::Legacy {
                id: NonZeroU32::new(id).expect("not zero"),
                controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            },
            path: path.into(),
        }
    }

    fn unified(path: &str) -> Membership {
        Membership {
            hierarchy: Hierarchy::Unified,
            path: path.into(),
        }
    }

    fn refused(text: &str) -> (CgroupErrorKind, String) {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        let place = text.get(fault.span).expect("inside the text");
        (fault.reason, place.to_owned())
    }

    fn print(memberships: &[Membership]) -> Vec<u8> {
        let line = |membership: &Membership| {
            let head = match &membership.hierarchy {
                Hierarchy::Unified => "0::".to_owned(),
                Hierarchy::Legacy { id, controllers } => format!("{id}:{}:", controllers.join(",")),
            };
            let path = membership.path.as_os_str().as_bytes();
            [head.as_bytes(), path, b"\n"].concat()
        };
        memberships.iter().flat_map(line).collect()
    }

    #[test]
    fn version_1_version_2_and_both() {
        assert_eq!(parse(b"0::/\n"), Ok(vec![unified("/")]));
        assert_eq!(parse(b""), Ok(vec![]));
        let hybrid = "12:cpu,cpuacct:/a/b\n1:name=systemd:/user.slice/x.scope\n0::/init.scope\n";
        assert_eq!(
            parse(hybrid.as_bytes()),
            Ok(vec![
                legacy(12, &["cpu", "cpuacct"], "/a/b"),
                legacy(1, &["name=systemd"], "/user.slice/x.scope"),
                unified("/init.scope"),
            ])
        );
        let colons = "3:pids:/a:b:c/..d/.e/f..\n";
        assert_eq!(
            parse(colons.as_bytes()),
            Ok(vec![legacy(3, &["pids"], "/a:b:c/..d/.e/f..")])
        );
        let many = "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/\n5:devices:/\n4:memory:/\n\
            3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n";
        assert_eq!(parse(many.as_bytes()).map(|list| list.len()), Ok(10));
    }

    #[test]
    fn a_cgroup_outside_the_namespace_is_an_error() {
        for path in ["/..", "/../a", "/../../a", "/a/../b", "/a/.."] {
            let text = format!("0::{path}\n");
            assert_eq!(refused(&text), (CgroupErrorKind::Outside, path.to_owned()));
        }
        let text = "0::/a (deleted)\n";
        assert_eq!(
            refused(text),
            (CgroupErrorKind::Deleted, "/a (deleted)".to_owned())
        );
    }

    #[test]
    fn an_invalid_line_is_refused() {
        for (text, reason, place) in [
            ("0::/", CgroupErrorKind::Unfinished, ""),
            ("0::/\n\n", CgroupErrorKind::Fields, ""),
            ("0:/\n", CgroupErrorKind::Fields, "0:/"),
            (":a:/\n", CgroupErrorKind::Id, ""),
            ("-1:a:/\n", CgroupErrorKind::Id, "-1"),
            ("01:a:/\n", CgroupErrorKind::Id, "01"),
            ("4294967296:a:/\n", CgroupErrorKind::Id, "4294967296"),
            ("0:a:/\n", CgroupErrorKind::Controllers, "a"),
            ("1::/\n", CgroupErrorKind::Controllers, ""),
            ("1:a,:/\n", CgroupErrorKind::Controllers, "a,"),
            ("1:a,a:/\n", CgroupErrorKind::Controllers, "a,a"),
            ("1:name=:/\n", CgroupErrorKind::Controllers, "name="),
            ("0::\n", CgroupErrorKind::Path, ""),
            ("0::a\n", CgroupErrorKind::Path, "a"),
            ("0::/a/\n", CgroupErrorKind::Path, "/a/"),
            ("0:://a\n", CgroupErrorKind::Path, "//a"),
            ("0::/a/./b\n", CgroupErrorKind::Path, "/a/./b"),
            ("0::/a\0b\n", CgroupErrorKind::Path, "/a\0b"),
        ] {
            assert_eq!(refused(text), (reason, place.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn duplicate_hierarchies_and_controllers_are_errors() {
        for text in [
            "0::/\n0::/\n",
            "1:a:/\n1:b:/\n",
            "1:a:/\n2:b,a:/\n",
            "1:name=x:/\n2:name=x:/\n",
        ] {
            let second = text.split_inclusive('\n').nth(1).expect("two lines");
            assert_eq!(
                refused(text),
                (CgroupErrorKind::Repeated, second.to_owned())
            );
        }
    }

    #[test]
    fn text_and_hierarchies_are_bounded() {
        let path = |length: usize| format!("0::/{}\n", "p".repeat(length - 5)).into_bytes();
        assert!(parse(&path(MAX_BYTES)).is_ok());
        let fault = parse(&path(MAX_BYTES + 1)).expect_err("it should be refused");
        assert_eq!(fault.reason, CgroupErrorKind::TooLong(MAX_BYTES + 1));

        let many =
            |count: usize| -> String { (1..=count).map(|id| format!("{id}:c{id}:/\n")).collect() };
        let most = parse(many(MAX_HIERARCHIES).as_bytes());
        assert_eq!(most.map(|list| list.len()), Ok(MAX_HIERARCHIES));
        assert_eq!(
            refused(&many(MAX_HIERARCHIES + 1)).0,
            CgroupErrorKind::TooMany
        );
    }

    proptest! {
        #[test]
        fn parsed_memberships_print_as_written(
            text in proptest::collection::vec(
                prop_oneof!["[0-3]:[a-c,]{0,3}:/[a-c./]{0,4}", "0::/[a-c]{0,3}", any::<String>()], 0..4)
        ) {
            let text: Vec<u8> = text.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
            match parse(&text) {
                Ok(memberships) => prop_assert_eq!(print(&memberships), text),
                Err(fault) => prop_assert!(fault.span.end <= text.len()),
            }
        }
    }
}
