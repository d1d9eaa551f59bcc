//! `/proc/PID/mountinfo`, proc_pid_mountinfo(5).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest text, in bytes: fs.mount-max is 100,000 mounts, of which those of
/// containers have lines of some 160 bytes, and some of overlayfs longer ones.
pub const MAX_BYTES: usize = 32 << 20;

/// Most mounts: the default of fs.mount-max.
pub const MAX_MOUNTS: usize = 100_000;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its id, which is reused.
    pub id: u32,
    /// The id of its parent mount.
    pub parent: u32,
    /// The mounted part of the file system. Not always a path:
    /// `net:[4026531840]`.
    pub root: OsString,
    /// The absolute path of the mount point, as seen from the process's root.
    pub mount_point: PathBuf,
    /// The type of the file system, such as `cgroup2`. Not empty.
    pub fs_type: OsString,
    /// The options of the file system, such as `memory` of a cgroup hierarchy. As
    /// written: some file systems escape theirs, and some print even spaces.
    pub super_options: Vec<OsString>,
}

impl Mount {
    /// Whether the file system has this option.
    #[must_use]
    pub fn has_super_option(&self, option: &str) -> bool {
        self.super_options.iter().any(|known| known == option)
    }
}

/// Why a text is no list of mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountinfoErrorKind {
    /// More than [`MAX_BYTES`].
    TooLong(usize),
    /// More than [`MAX_MOUNTS`].
    TooMany,
    /// No newline at the end: the text is incomplete.
    Unfinished,
    /// Not six fields, optional ones, `-`, and three more.
    Fields,
    /// An id that is not a decimal number from 0 to 2^32 - 1.
    Id,
    /// A backslash without a valid octal escape.
    Escape,
    /// A mount point that is not absolute, or has a NUL.
    MountPoint,
    /// An empty type.
    Type,
}

/// The mounts that `text` lists, in order: a later one may hide an earlier one.
///
/// # Errors
/// The first invalid line.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, Fault<MountinfoErrorKind>> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            MAX_BYTES..text.len(),
            MountinfoErrorKind::TooLong(text.len()),
        ));
    }
    let mut mounts = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        let fault = |reason| Fault::new(start..end, reason);
        let line = line
            .strip_suffix(b"\n")
            .ok_or_else(|| fault(MountinfoErrorKind::Unfinished))?;
        if mounts.len() == MAX_MOUNTS {
            return Err(fault(MountinfoErrorKind::TooMany));
        }
        mounts.push(mount(line).map_err(fault)?);
        start = end;
    }
    Ok(mounts)
}

fn mount(line: &[u8]) -> Result<Mount, MountinfoErrorKind> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut field = || fields.next().ok_or(MountinfoErrorKind::Fields);
    let (id, parent, _device, root) = (field()?, field()?, field()?, field()?);
    let (mount_point, _options) = (field()?, field()?);
    while field()? != b"-" {}
    let (fs_type, _source) = (field()?, field()?);
    let mut super_options = vec![field()?];
    super_options.extend(fields);
    let super_options = super_options.join(&b' ');
    let mount_point = unescape(mount_point)?;
    if !mount_point.as_bytes().starts_with(b"/") || mount_point.as_bytes().contains(&0) {
        return Err(MountinfoErrorKind::MountPoint);
    }
    if fs_type.is_empty() {
        return Err(MountinfoErrorKind::Type);
    }
    Ok(Mount {
        id: decimal(id).ok_or(MountinfoErrorKind::Id)?,
        parent: decimal(parent).ok_or(MountinfoErrorKind::Id)?,
        root: unescape(root)?,
        mount_point: mount_point.into(),
        fs_type: unescape(fs_type)?,
        super_options: super_options
            .split(|byte| *byte == b',')
            .map(|option| OsStr::from_bytes(option).to_owned())
            .collect(),
    })
}

/// Undoes the kernel's mangle(): `\040` for a space and so on.
fn unescape(field: &[u8]) -> Result<OsString, MountinfoErrorKind> {
    if !field.contains(&b'\\') {
        return Ok(OsStr::from_bytes(field).to_owned());
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, behind @ ..] = rest {
        if *first != b'\\' {
            bytes.push(*first);
            rest = behind;
            continue;
        }
        let (digits, behind) = behind
            .split_first_chunk::<3>()
            .ok_or(MountinfoErrorKind::Escape)?;
        bytes.push(octal(*digits).ok_or(MountinfoErrorKind::Escape)?);
        rest = behind;
    }
    Ok(OsString::from_vec(bytes))
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let mut value = 0_u8;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(digit)?;
    }
    (value != 0).then_some(value)
}

impl fmt::Display for MountinfoErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "a list of mounts of {length} bytes; the limit is {MAX_BYTES}"
                )
            }
            Self::TooMany => write!(f, "more than {MAX_MOUNTS} mounts"),
            Self::Unfinished => f.write_str("no newline at the end: the text is incomplete"),
            Self::Fields => {
                f.write_str("not the fields of a mount: six, optional ones, \"-\", three")
            }
            Self::Id => f.write_str("a mount id that is not a decimal number"),
            Self::Escape => f.write_str("a backslash without the three octal digits of a byte"),
            Self::MountPoint => f.write_str("a mount point that is not an absolute path"),
            Self::Type => f.write_str("a mount without a type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const HYBRID: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=continue\n\
        35 30 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:10 master:2 - cgroup cgroup rw,memory\n\
        36 30 0:30 /a\\040b /sys/fs/cg\\134\\011\\012\\043 rw - cgroup2 cgroup2 rw,nsdelegate\n\
        40 22 0:4 net:[4026531840] /run/netns/x rw - nsfs nsfs rw\n";

    fn read(text: &str) -> Vec<Mount> {
        parse(text.as_bytes()).expect("mounts")
    }

    fn refused(text: &str) -> MountinfoErrorKind {
        let fault = parse(text.as_bytes()).expect_err("it should be refused");
        assert!(text.get(fault.span).is_some());
        fault.reason
    }

    fn escape(text: &OsStr) -> Vec<u8> {
        let byte = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
            _ => vec![*byte],
        };
        text.as_bytes().iter().flat_map(byte).collect()
    }

    fn print(mounts: &[Mount]) -> Vec<u8> {
        let line = |mount: &Mount| {
            let options: Vec<_> = mount.super_options.iter().map(|o| o.as_bytes()).collect();
            [
                format!("{} {} 0:1 ", mount.id, mount.parent).into_bytes(),
                escape(&mount.root),
                b" ".to_vec(),
                escape(mount.mount_point.as_os_str()),
                b" rw - ".to_vec(),
                escape(&mount.fs_type),
                b" none ".to_vec(),
                options.join(&b','),
                b"\n".to_vec(),
            ]
            .concat()
        };
        mounts.iter().flat_map(line).collect()
    }

    #[test]
    fn mounts_of_the_kernel_are_understood() {
        let mounts = read(HYBRID);
        assert_eq!(mounts.len(), 4);
        assert_eq!(
            mounts.get(2),
            Some(&Mount {
                id: 36,
                parent: 30,
                root: "/a b".into(),
                mount_point: "/sys/fs/cg\\\t\n#".into(),
                fs_type: "cgroup2".into(),
                super_options: vec!["rw".into(), "nsdelegate".into()],
            })
        );
        let memory: Vec<_> = mounts
            .iter()
            .filter(|mount| mount.fs_type == "cgroup" && mount.has_super_option("memory"))
            .map(|mount| mount.mount_point.as_os_str())
            .collect();
        assert_eq!(memory, ["/sys/fs/cgroup/memory"]);
        let root = mounts.get(3).map(|mount| mount.root.as_os_str());
        assert_eq!(root, Some(OsStr::new("net:[4026531840]")));

        assert_eq!(read(""), []);
        let own = std::fs::read("/proc/self/mountinfo").expect("procfs");
        assert!(parse(&own).is_ok_and(|own| !own.is_empty()));
    }

    #[test]
    fn optional_fields_and_unknown_options_are_ignored() {
        for optional in [
            "",
            "shared:1 ",
            "shared:1 master:2 propagate_from:3 unbindable ",
        ] {
            let text = format!("1 2 0:1 / /p rw {optional}- proc proc rw\n");
            assert_eq!(read(&text).len(), 1, "{optional:?}");
        }
        // Windows file systems have such options.
        let text = "1 2 0:1 / /p rw - 9p C:\\134 rw,path=C:\\A b;uid=0,x=\n";
        let options = ["rw", "path=C:\\A b;uid=0", "x="].map(OsString::from);
        assert_eq!(
            read(text).first().map(|mount| mount.super_options.clone()),
            Some(options.to_vec())
        );
        // A mount point named like the separator is no separator.
        let text = "1 2 0:1 / /- rw - tmpfs - rw\n";
        assert_eq!(
            read(text).first().map(|mount| mount.mount_point.clone()),
            Some("/-".into())
        );
    }

    #[test]
    fn an_invalid_line_is_refused() {
        for (text, reason) in [
            (
                "1 2 0:1 / /p rw - proc proc rw",
                MountinfoErrorKind::Unfinished,
            ),
            ("\n", MountinfoErrorKind::Fields),
            ("1 2 0:1 / /p rw\n", MountinfoErrorKind::Fields),
            ("1 2 0:1 / /p rw shared:1\n", MountinfoErrorKind::Fields),
            ("1 2 0:1 / /p rw - proc proc\n", MountinfoErrorKind::Fields),
            ("1 2 0:1 / - rw proc proc rw\n", MountinfoErrorKind::Fields),
            ("01 2 0:1 / /p rw - proc proc rw\n", MountinfoErrorKind::Id),
            ("1 -2 0:1 / /p rw - proc proc rw\n", MountinfoErrorKind::Id),
            (
                "1 4294967296 0:1 / /p rw - proc proc rw\n",
                MountinfoErrorKind::Id,
            ),
            (
                "1 2 0:1 / p rw - proc proc rw\n",
                MountinfoErrorKind::MountPoint,
            ),
            (
                "1 2 0:1 /  rw - proc proc rw\n",
                MountinfoErrorKind::MountPoint,
            ),
            (
                "1 2 0:1 / /\0 rw - proc proc rw\n",
                MountinfoErrorKind::MountPoint,
            ),
            ("1 2 0:1 / /p rw -  proc rw\n", MountinfoErrorKind::Type),
        ] {
            assert_eq!(refused(text), reason, "{text:?}");
        }
        for escape in [
            "\\", "\\04", "\\049", "\\400", "\\000", "\\x20", "\\\\040", "\\+40",
        ] {
            let text = format!("1 2 0:1 / /p{escape} rw - proc proc rw\n");
            assert_eq!(refused(&text), MountinfoErrorKind::Escape, "{escape:?}");
        }
        let fault = parse(b"1 2 0:1 / /p rw - proc proc rw\nx\n").expect_err("refused");
        assert_eq!(fault.span, 31..33);
    }

    #[test]
    fn mounts_and_bytes_are_bounded() {
        let line = "1 2 0:1 / /p rw - proc proc rw\n";
        assert_eq!(read(&line.repeat(MAX_MOUNTS)).len(), MAX_MOUNTS);
        assert_eq!(
            refused(&line.repeat(MAX_MOUNTS + 1)),
            MountinfoErrorKind::TooMany
        );

        let long = |length: usize| line.replacen("/p", &format!("/{}", "p".repeat(length)), 1);
        let most = long(MAX_BYTES + 1 - line.len());
        assert_eq!(most.len(), MAX_BYTES);
        assert_eq!(read(&most).len(), 1);
        let more = long(MAX_BYTES + 2 - line.len());
        assert_eq!(refused(&more), MountinfoErrorKind::TooLong(MAX_BYTES + 1));
    }

    proptest! {
        #[test]
        fn parsed_mounts_print_and_parse_to_the_same(
            text in proptest::collection::vec(
                prop_oneof![
                    r"[0-9]{1,2} 2 0:1 /[a\\01]{0,5} /[ab]{0,3}(\\0[0-7]{2})? rw (s:1 )?- [a-z2]{1,7} n [a-z, \\\\]{0,5}",
                    any::<String>(),
                ],
                0..4,
            )
        ) {
            let text: Vec<u8> = text.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
            match parse(&text) {
                Ok(mounts) => prop_assert_eq!(parse(&print(&mounts)), Ok(mounts)),
                Err(fault) => prop_assert!(fault.span.end <= text.len()),
            }
        }
    }
}
