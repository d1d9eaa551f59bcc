//! A path beneath which rules grant rights, compared with the meaning of its name.
//!
//! The target chooses the files of its root. A symbolic link, or another device under a known name,
//! would make a policy grant rights on files that it does not mean. So a place is opened without
//! following any link, and the found file is compared with the name; if they differ, nothing is
//! granted.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::stat::SFlag;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::statx;
use crate::target::PathResolver;
use crate::target::find::{Found, Links};

/// The file at the path of a rule.
#[derive(Debug)]
pub(crate) enum Place {
    /// The file that its name means.
    Found {
        path: OwnedFd,
        /// Whether rights of directories can be granted.
        is_directory: bool,
    },
    /// No file.
    Absent,
    /// Another file: nothing is granted, for this reason.
    Other(String),
}

/// The meaning of the name of a path in /dev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A character device: major and minor number.
    Device(u32, u32),
    /// The root of a devpts file system, which contains only terminals.
    Devpts,
}

/// Documentation/admin-guide/devices.txt of Linux: the numbers are fixed.
const KNOWN: [(&str, Meaning); 17] = [
    ("/dev/console", Meaning::Device(5, 1)),
    ("/dev/full", Meaning::Device(1, 7)),
    ("/dev/fuse", Meaning::Device(10, 229)),
    ("/dev/kmsg", Meaning::Device(1, 11)),
    ("/dev/kvm", Meaning::Device(10, 232)),
    ("/dev/loop-control", Meaning::Device(10, 237)),
    ("/dev/net/tun", Meaning::Device(10, 200)),
    ("/dev/null", Meaning::Device(1, 3)),
    ("/dev/ptmx", Meaning::Device(5, 2)),
    ("/dev/pts", Meaning::Devpts),
    ("/dev/pts/ptmx", Meaning::Device(5, 2)),
    ("/dev/random", Meaning::Device(1, 8)),
    ("/dev/tty", Meaning::Device(5, 0)),
    ("/dev/uinput", Meaning::Device(10, 223)),
    ("/dev/urandom", Meaning::Device(1, 9)),
    ("/dev/vhost-net", Meaning::Device(10, 238)),
    ("/dev/zero", Meaning::Device(1, 5)),
];

impl Place {
    /// Opens `path` inside `root` with O_PATH.
    ///
    /// # Errors
    /// `LockDown`: the kernel reports neither a file nor its absence.
    pub(crate) fn open(root: &OwnedFd, path: &Path, resolver: PathResolver<'_>) -> Result<Self> {
        let failed =
            |errno| Error::new(ErrorKind::LockDown, path.display().to_string()).with_source(errno);
        let found = resolver.find(root, path.as_os_str().as_bytes(), Links::Refused)?;
        let found = match found {
            Found::Handle(found) => found,
            Found::Nothing => return Ok(Self::Absent),
            other => return Ok(Self::Other(other.why_not())),
        };
        let known = statx::identify(found.as_fd()).map_err(failed)?;
        let (kind, number) = (known.kind, known.number);
        let is_directory = kind == SFlag::S_IFDIR;
        let is_node = kind == SFlag::S_IFCHR || kind == SFlag::S_IFBLK;
        let wrong = match meaning(path) {
            Some(Meaning::Device(major, minor)) => {
                let same = kind == SFlag::S_IFCHR && number == (major, minor);
                (!same).then(|| format!("it is not the character device {major}:{minor}"))
            }
            Some(Meaning::Devpts) => {
                let same = is_directory && resolver.is_devpts(&found)?;
                (!same).then(|| "it is not a devpts file system".to_owned())
            }
            None if is_node => {
                let (major, minor) = number;
                Some(format!(
                    "it is the device {major}:{minor}, and no fixed number belongs to this name"
                ))
            }
            None => None,
        };
        Ok(match wrong {
            Some(reason) => Self::Other(reason),
            None => Self::Found {
                path: found,
                is_directory,
            },
        })
    }
}

fn meaning(path: &Path) -> Option<Meaning> {
    let known = KNOWN.iter().find(|(name, _)| path == Path::new(name));
    known.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::directory;

    fn own_mounts() -> Result<Vec<u8>> {
        Ok(std::fs::read("/proc/self/mountinfo").expect("procfs"))
    }

    #[test]
    fn the_device_numbers_match_this_machine() {
        let root = directory::own_root().expect("a root");
        for name in ["/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"] {
            let place = Place::open(
                &root,
                Path::new(name),
                PathResolver::OwnProcess(&own_mounts),
            )
            .expect("an answer");
            assert!(matches!(place, Place::Found { .. }), "{name}: {place:?}");
        }
        for name in ["/", "/etc", "/etc/passwd"] {
            let place = Place::open(
                &root,
                Path::new(name),
                PathResolver::OwnProcess(&own_mounts),
            )
            .expect("an answer");
            assert!(matches!(place, Place::Found { .. }), "{name}: {place:?}");
        }
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let root = directory::own_root().expect("a root");
        for name in ["/proc/self", "/proc/self/status", "/proc/self/cwd"] {
            let place = Place::open(
                &root,
                Path::new(name),
                PathResolver::OwnProcess(&own_mounts),
            )
            .expect("an answer");
            assert!(matches!(place, Place::Other(_)), "{name}: {place:?}");
        }
        let place = Place::open(
            &root,
            Path::new("/proc/no such file"),
            PathResolver::OwnProcess(&own_mounts),
        )
        .expect("an answer");
        assert!(matches!(place, Place::Absent), "{place:?}");
    }

    #[test]
    fn the_names_of_devices_are_sorted_and_unique() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        assert!(KNOWN.iter().all(|(name, _)| name.starts_with("/dev/")));
    }
}
