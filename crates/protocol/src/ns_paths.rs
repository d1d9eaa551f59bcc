//! The list of namespaces to join: `TYPE:PATH,TYPE:PATH`.
//!
//! A path has no comma, because the list has no escapes: libcontainer refuses
//! such a path before it writes one.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt;

use crate::path::{MAX_PATH, absolute};
use nsexec_request::Namespace;
use nsexec_text::Fault;

/// Longest list, in bytes: every type once, each with the longest path.
pub const MAX_BYTES: usize =
    "cgroup:,ipc:,uts:,net:,pid:,mnt:,time:,user:".len() + Namespace::ALL.len() * MAX_PATH;

/// A namespace to join. Made by [`parse`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespacePath {
    /// The expected type, which is passed to setns(2).
    pub namespace: Namespace,
    /// Its file: absolute, without a comma, at most [`MAX_PATH`] bytes.
    pub path: CString,
}

/// Why a list is invalid, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NsPathsErrorKind {
    /// Nothing in it.
    Empty,
    /// An entry without a colon; an extra comma makes an empty entry.
    NoPath,
    /// The name of no type of namespace.
    Type,
    /// The list contains this type twice.
    Repeated(Namespace),
    /// Not an absolute path of at most [`MAX_PATH`] bytes.
    Path,
}

/// The namespaces of the list `text`, in order: at least one, no type twice.
///
/// # Errors
/// The first invalid entry, or its invalid part. A relative path would start in
/// the container's root directory, where the helper starts, so the container
/// would control where it leads.
pub fn parse(text: &[u8]) -> Result<Vec<NamespacePath>, Fault<NsPathsErrorKind>> {
    if text.is_empty() {
        return Err(Fault::new(0..0, NsPathsErrorKind::Empty));
    }
    let mut list = Vec::new();
    let mut known = BTreeSet::new();
    let mut start = 0;
    for entry in text.split(|byte| *byte == b',') {
        let end = start + entry.len();
        let colon = entry.iter().position(|byte| *byte == b':');
        let parts = colon.and_then(|at| Some((entry.get(..at)?, entry.get(at + 1..)?)));
        let (name, path) = parts.ok_or_else(|| Fault::new(start..end, NsPathsErrorKind::NoPath))?;
        let name_at = start..start + name.len();
        let namespace = Namespace::ALL
            .into_iter()
            .find(|namespace| namespace.name().as_bytes() == name)
            .ok_or_else(|| Fault::new(name_at.clone(), NsPathsErrorKind::Type))?;
        if !known.insert(namespace) {
            return Err(Fault::new(name_at, NsPathsErrorKind::Repeated(namespace)));
        }
        let path = absolute(path)
            .ok_or_else(|| Fault::new(name_at.end + 1..end, NsPathsErrorKind::Path))?;
        list.push(NamespacePath { namespace, path });
        start = end + 1;
    }
    Ok(list)
}

/// The list of `namespaces`, in their order.
#[must_use]
pub fn print(namespaces: &[NamespacePath]) -> Vec<u8> {
    let entry = |entry: &NamespacePath| {
        [entry.namespace.name().as_bytes(), entry.path.as_bytes()].join(&b':')
    };
    namespaces.iter().map(entry).collect::<Vec<_>>().join(&b',')
}

impl fmt::Display for NsPathsErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("an empty list of namespaces; omit the attribute to join none")
            }
            Self::NoPath => f.write_str("an entry that is not TYPE:PATH"),
            Self::Type => {
                let names = Namespace::ALL.map(Namespace::name).join(", ");
                write!(f, "unknown type of namespace; the types are {names}")
            }
            Self::Repeated(namespace) => {
                write!(f, "duplicate type {}; name it once", namespace.name())
            }
            Self::Path => write!(
                f,
                "the path is not absolute, or is longer than {MAX_PATH} bytes"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(Namespace, String)> {
        let pair = |entry: NamespacePath| {
            let path = entry.path.into_string().expect("UTF-8");
            (entry.namespace, path)
        };
        let list = parse(text.as_bytes()).expect("a list");
        list.into_iter().map(pair).collect()
    }

    fn refused(text: &str) -> (NsPathsErrorKind, &str) {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        (fault.reason, text.get(fault.span).expect("inside the text"))
    }

    #[test]
    fn a_list_keeps_its_order() {
        assert_eq!(
            read("user:/proc/1/ns/user,net:/run/netns/a:b,time:/t"),
            [
                (Namespace::User, "/proc/1/ns/user".to_owned()),
                (Namespace::Net, "/run/netns/a:b".to_owned()),
                (Namespace::Time, "/t".to_owned()),
            ]
        );
        for namespace in Namespace::ALL {
            let text = format!("{}:/ns", namespace.name());
            assert_eq!(read(&text), [(namespace, "/ns".to_owned())]);
        }
    }

    #[test]
    fn an_invalid_list_is_an_error_with_its_span() {
        for (text, reason, place) in [
            ("", NsPathsErrorKind::Empty, ""),
            (",", NsPathsErrorKind::NoPath, ""),
            ("net:/a,", NsPathsErrorKind::NoPath, ""),
            ("net:/a,,pid:/b", NsPathsErrorKind::NoPath, ""),
            ("/proc/1/ns/net", NsPathsErrorKind::NoPath, "/proc/1/ns/net"),
            ("net:/a,b/c", NsPathsErrorKind::NoPath, "b/c"),
            ("net", NsPathsErrorKind::NoPath, "net"),
            (":/a", NsPathsErrorKind::Type, ""),
            ("net:/a,mount:/b", NsPathsErrorKind::Type, "mount"),
            ("Net:/a", NsPathsErrorKind::Type, "Net"),
            (" net:/a", NsPathsErrorKind::Type, " net"),
            ("net\0:/a", NsPathsErrorKind::Type, "net\0"),
            (
                "time_for_children:/a",
                NsPathsErrorKind::Type,
                "time_for_children",
            ),
            (
                "net:/a,pid:/b,net:/a",
                NsPathsErrorKind::Repeated(Namespace::Net),
                "net",
            ),
            ("net:", NsPathsErrorKind::Path, ""),
            ("net:a", NsPathsErrorKind::Path, "a"),
            (
                "pid:/a,net:proc/1/ns/net",
                NsPathsErrorKind::Path,
                "proc/1/ns/net",
            ),
            ("net:/a\0b", NsPathsErrorKind::Path, "/a\0b"),
        ] {
            assert_eq!(refused(text), (reason, place), "{text:?}");
        }
        assert_eq!(
            parse(b"net:/a,pid:/b,net:/c").expect_err("twice").span,
            14..17
        );
    }

    #[test]
    fn a_list_is_as_long_as_its_longest_paths() {
        let path = format!("/{}", "p".repeat(MAX_PATH - 1));
        let entry = |namespace: Namespace| format!("{}:{path}", namespace.name());
        let longest = Namespace::ALL.map(entry).join(",");
        assert_eq!(longest.len(), MAX_BYTES);
        assert_eq!(read(&longest).len(), 8);
        let longer = format!("{longest}p");
        assert_eq!(refused(&longer).0, NsPathsErrorKind::Path);
    }

    proptest! {
        #[test]
        fn a_parsed_list_prints_as_written(
            text in "(net|pid|user|mnt|x)?:?/?[a-z:,]{0,6}(,(net|pid|time|uts):/[a-z]{0,4}){0,4}"
        ) {
            if let Ok(list) = parse(text.as_bytes()) {
                prop_assert_eq!(print(&list), text.as_bytes());
            }
        }

        #[test]
        fn a_fault_lies_in_its_text(text: Vec<u8>) {
            if let Err(fault) = parse(&text) {
                prop_assert!(text.get(fault.span).is_some());
            }
        }
    }
}
