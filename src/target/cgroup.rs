//! The target's cgroups, cgroup v1, v2 and both at once.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::procfs_root::{MAX_FILE, read_all};
use super::{Procfs, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::procfs::cgroup::{self, Hierarchy};
use crate::procfs::mountinfo;

/// What happens to the program's cgroups.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The program stays in the helper's.
    NotRequested,
    /// It is put into the target's.
    Join(Join),
}

/// The target's cgroups.
#[derive(Debug)]
pub(crate) struct Join {
    /// /proc/TARGET/cgroup: what that of the program has to be.
    pub(crate) memberships: Vec<u8>,
    /// cgroup.procs of those that the caller is not in, open for writing.
    pub(crate) procs: Vec<OwnedFd>,
}

/// Opens cgroup.procs of each of the target's cgroups that the caller is not
/// in itself.
///
/// # Errors
/// `Target`: a hierarchy is not mounted, the cgroup is outside what the caller's
/// cgroup namespace shows, or it is frozen.
pub(crate) fn open_procs(target: &Target, procfs: &Procfs) -> Result<Join> {
    let unreadable = |file: &str, fault: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Safety, format!("/proc/self/{file}: {fault}"))
    };
    let text = target.read("cgroup")?;
    let theirs = cgroup::parse(&text).map_err(|fault| target.unreadable("cgroup", &fault))?;
    let own = read_own(procfs, c"self/cgroup")?;
    let own = cgroup::parse(&own).map_err(|fault| unreadable("cgroup", &fault))?;
    let mounts = read_own(procfs, c"self/mountinfo")?;
    let mounts = mountinfo::parse(&mounts).map_err(|fault| unreadable("mountinfo", &fault))?;
    let mut files = Vec::new();
    for membership in theirs.iter().filter(|membership| !own.contains(membership)) {
        let directory = locate(membership, &mounts).ok_or_else(|| {
            let path = membership.path.display();
            let wrong = format!("the target's cgroup {path} is not below a mounted hierarchy");
            Error::new(ErrorKind::Target, wrong).right("mount it, or leave -c out")
        })?;
        refuse_frozen(&directory)?;
        let file = directory.join("cgroup.procs");
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        files.push(open(&file, flags, Mode::empty()).map_err(|errno| {
            Error::new(ErrorKind::Target, file.display().to_string()).because(errno)
        })?);
    }
    Ok(Join {
        memberships: text,
        procs: files,
    })
}

/// A program in a frozen cgroup never begins, and takes no signal.
fn refuse_frozen(directory: &Path) -> Result<()> {
    for (name, frozen) in FROZEN {
        let file = directory.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let failed =
            |errno| Error::new(ErrorKind::Target, file.display().to_string()).because(errno);
        let open = match open(&file, flags, Mode::empty()) {
            Ok(open) => open,
            // The file of the other version, or of another controller; or this
            // is the root of its hierarchy, which is never frozen.
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        let text = read_all(open, MAX_FILE, &file.display())?;
        let lines = text.split(|byte| *byte == b'\n');
        if lines.clone().any(|line| frozen.contains(&line)) {
            let wrong = format!("the target's cgroup {} is frozen", directory.display());
            return Err(Error::new(ErrorKind::Target, wrong)
                .right("thaw it first: a program in it would not begin"));
        }
    }
    Ok(())
}

/// The files that tell it, of cgroup v2 and of the freezer of v1, also of a cgroup
/// whose parent is frozen, and the lines that say so.
const FROZEN: [(&str, &[&[u8]]); 3] = [
    ("cgroup.events", &[b"frozen 1"]),
    // It was requested, and is not complete yet.
    ("cgroup.freeze", &[b"1"]),
    ("freezer.state", &[b"FROZEN", b"FREEZING"]),
];

fn read_own(procfs: &Procfs, path: &std::ffi::CStr) -> Result<Vec<u8>> {
    let what = format!("/proc/{}", path.to_string_lossy());
    let file = procfs
        .open_file(path)
        .map_err(|errno| Error::new(ErrorKind::System, what.clone()).because(errno))?;
    read_all(file, MAX_FILE, &what)
}

/// The directory of a cgroup: its path below the mounted part of its hierarchy.
fn locate(membership: &cgroup::Membership, mounts: &[mountinfo::Mount]) -> Option<PathBuf> {
    mounts
        .iter()
        .filter(|mount| carries(mount, &membership.hierarchy))
        .find_map(|mount| {
            let below = membership.path.strip_prefix(&mount.root).ok()?;
            Some(mount.mount_point.join(below))
        })
}

fn carries(mount: &mountinfo::Mount, hierarchy: &Hierarchy) -> bool {
    match hierarchy {
        Hierarchy::Unified => mount.fs_type == "cgroup2",
        // A v1 mount names its controllers among its options.
        Hierarchy::Legacy { controllers, .. } => {
            mount.fs_type == "cgroup"
                && controllers
                    .iter()
                    .all(|controller| mount.has_super_option(controller))
        }
    }
}
