//! The target's cgroups: cgroup v1, v2 and both together.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::procfs_root::{MAX_FILE, read_all};
use super::{Finder, Procfs, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{Follow, Require};
use crate::procfs::cgroup::{self, Hierarchy};
use crate::procfs::mountinfo;

/// The decision about the program's cgroups.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The program stays in the helper's cgroups.
    NotRequested,
    /// The program is moved to the target's cgroups.
    Join(Join),
    /// The policy requests the target's cgroups and permits their absence: the program stays in the
    /// helper's.
    NotJoined {
        /// Why the program cannot be moved, and why the policy permits that.
        reason: String,
    },
}

impl Decision {
    /// The target's cgroups if the program is moved to them.
    pub(crate) fn join(&self) -> Option<&Join> {
        match self {
            Self::Join(join) => Some(join),
            Self::NotRequested | Self::NotJoined { .. } => None,
        }
    }
}

/// The decision of options and policy about the target's cgroups.
///
/// # Errors
/// Those of [`open_procs`]. If the policy permits their absence, only a frozen cgroup is an error:
/// the target itself can freeze it.
pub(crate) fn decide(
    requested: bool,
    wanted: &Follow,
    target: Option<&Target>,
    procfs: &Procfs,
    finder: &Finder,
) -> Result<Decision> {
    let Some(target) = target else {
        return Ok(Decision::NotRequested);
    };
    match (requested, wanted) {
        (false, Follow::Caller) => Ok(Decision::NotRequested),
        (true, _) | (false, Follow::Target(Require::Full)) => {
            Ok(Decision::Join(open_procs(target, procfs, finder)?))
        }
        (false, Follow::Target(Require::BestEffort { reason })) => {
            match open_procs(target, procfs, finder) {
                Ok(join) => Ok(Decision::Join(join)),
                Err(Obstacle::OutOfReach(error)) => Ok(Decision::NotJoined {
                    reason: format!("{error}; the policy marks it best_effort: {reason}"),
                }),
                Err(Obstacle::Gone(error) | Obstacle::Refused(error)) => Err(error),
            }
        }
    }
}

/// Why the target's cgroups cannot be joined.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The caller cannot write to them or does not see them.
    OutOfReach(Error),
    /// A cgroup of the target was removed or renamed after the target's list was read.
    Gone(Error),
    /// Any other reason.
    Refused(Error),
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::OutOfReach(error) | Obstacle::Gone(error) | Obstacle::Refused(error) => error,
        }
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// The target's cgroups.
#[derive(Debug)]
pub(crate) struct Join {
    /// /proc/TARGET/cgroup: the program's must be equal to it.
    pub(crate) memberships: Vec<u8>,
    /// cgroup.procs of the target's cgroups that do not contain the caller, open for writing.
    pub(crate) procs: Vec<OwnedFd>,
}

/// How often the cgroups of a target that changes them meanwhile are opened again before the exec is
/// refused.
const ATTEMPTS: u32 = 10;

/// Opens cgroup.procs of each of the target's cgroups that does not contain the caller itself.
///
/// A target that may create cgroups can move to a new one and remove the one that was read.
/// `best_effort` does not cover a cgroup that the target removed, so the helper reads the target's
/// cgroups again.
///
/// # Errors
/// `Target`: a hierarchy is not mounted, the cgroup is outside the caller's cgroup namespace, it is
/// frozen, or the target changes its cgroups faster than they can be opened.
fn open_procs(
    target: &Target,
    procfs: &Procfs,
    finder: &Finder,
) -> std::result::Result<Join, Obstacle> {
    for _ in 1..ATTEMPTS {
        match open_once(target, procfs, finder) {
            Err(Obstacle::Gone(_)) => {}
            other => return other,
        }
    }
    match open_once(target, procfs, finder) {
        Err(Obstacle::Gone(error)) => {
            let wrong = format!("process {} changes its cgroups", target.pid());
            let error = Error::new(ErrorKind::Target, wrong).with_source(error);
            Err(Obstacle::Gone(
                error.with_hint("try again once it has settled"),
            ))
        }
        other => other,
    }
}

fn open_once(
    target: &Target,
    procfs: &Procfs,
    finder: &Finder,
) -> std::result::Result<Join, Obstacle> {
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
            let error = Error::new(ErrorKind::Target, wrong);
            Obstacle::OutOfReach(error.with_hint("mount it, or leave -c out"))
        })?;
        refuse_frozen(&directory, finder)?;
        if membership.hierarchy == Hierarchy::Unified {
            // Moving a process requires write access to the common ancestor of both cgroups.
            let own = own.iter().find(|own| own.hierarchy == Hierarchy::Unified);
            let common = own.map(|own| common_ancestor(membership, own));
            if let Some(directory) = common.and_then(|common| locate(&common, &mounts)) {
                open_for_writing(&directory, finder)?;
            }
        }
        files.push(open_for_writing(&directory, finder)?);
    }
    Ok(Join {
        memberships: text,
        procs: files,
    })
}

fn open_for_writing(directory: &Path, finder: &Finder) -> std::result::Result<OwnedFd, Obstacle> {
    let file = directory.join("cgroup.procs");
    // A container lists and changes its own cgroups: the finder looks them up, like its root.
    let errno = match finder.open_cgroup(&file, OFlag::O_WRONLY)? {
        Ok(file) => return Ok(file),
        Err(errno) => errno,
    };
    let error = Error::new(ErrorKind::Target, file.display().to_string()).with_source(errno);
    Err(match errno {
        Errno::ENOENT if is_gone(directory, finder)? => Obstacle::Gone(error),
        Errno::ENODEV => Obstacle::Gone(error),
        // ENOENT, EXDEV: another mount hides it.
        Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOENT | Errno::EXDEV => {
            Obstacle::OutOfReach(error)
        }
        _ => Obstacle::Refused(error),
    })
}

/// Whether a missing cgroup was removed: the first directory above it that exists is of a cgroup
/// file system. Otherwise another mount hides it.
fn is_gone(directory: &Path, finder: &Finder) -> Result<bool> {
    for above in directory.ancestors() {
        match finder.open_cgroup(above, OFlag::O_RDONLY)? {
            Ok(_) => return Ok(true),
            Err(Errno::ENOENT | Errno::ENODEV) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// The nearest cgroup of the hierarchy that contains both.
fn common_ancestor(one: &cgroup::Membership, other: &cgroup::Membership) -> cgroup::Membership {
    let pairs = one.path.components().zip(other.path.components());
    let common = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a);
    cgroup::Membership {
        hierarchy: one.hierarchy.clone(),
        path: common.collect(),
    }
}

/// A program in a frozen cgroup never starts, and takes no signal.
fn refuse_frozen(directory: &Path, finder: &Finder) -> std::result::Result<(), Obstacle> {
    for (name, frozen) in FROZEN {
        let file = directory.join(name);
        let failed =
            |errno| Error::new(ErrorKind::Target, file.display().to_string()).with_source(errno);
        let open = match finder.open_cgroup(&file, OFlag::O_RDONLY)? {
            Ok(open) => open,
            // The file belongs to the other version or to another controller; or this is the root
            // of its hierarchy, which is never frozen; or the cgroup is hidden or gone, which the
            // opening of cgroup.procs shows.
            Err(Errno::ENOENT | Errno::EXDEV) => continue,
            Err(errno @ Errno::ENODEV) => return Err(Obstacle::Gone(failed(errno))),
            Err(errno) => return Err(failed(errno).into()),
        };
        // The files of a removed cgroup cannot be read.
        let text = read_all(open, MAX_FILE, &file.display()).map_err(Obstacle::Gone)?;
        let lines = text.split(|byte| *byte == b'\n');
        if lines.clone().any(|line| frozen.contains(&line)) {
            let wrong = format!("the target's cgroup {} is frozen", directory.display());
            return Err(Error::new(ErrorKind::Target, wrong)
                .with_hint("thaw the cgroup first, because a program in it would not start")
                .into());
        }
    }
    Ok(())
}

/// The files that report it, of cgroup v2 and of the freezer of v1, also for a cgroup with a frozen
/// parent, and their lines for a frozen cgroup.
const FROZEN: [(&str, &[&[u8]]); 3] = [
    ("cgroup.events", &[b"frozen 1"]),
    // Freezing was requested, and is not complete yet.
    ("cgroup.freeze", &[b"1"]),
    ("freezer.state", &[b"FROZEN", b"FREEZING"]),
];

fn read_own(procfs: &Procfs, path: &std::ffi::CStr) -> Result<Vec<u8>> {
    let what = format!("/proc/{}", path.to_string_lossy());
    let file = procfs
        .open_file(path)
        .map_err(|errno| Error::new(ErrorKind::System, what.clone()).with_source(errno))?;
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
