//! crun supports either version of cgroups, and not both: it runs in a mount namespace with one.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// A mount namespace to run something in, and the one to return to.
pub(crate) struct Mounts {
    there: OwnedFd,
    here: OwnedFd,
}

impl Mounts {
    /// A copy of the caller's mount namespace with only cgroup2 below /sys/fs/cgroup.
    pub(crate) fn of_crun() -> io::Result<Self> {
        let here = own_mounts()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        let mounted = mount(
            Some("cgroup2"),
            "/sys/fs/cgroup",
            Some("cgroup2"),
            MsFlags::empty(),
            None::<&str>,
        );
        let there = own_mounts();
        setns(&here, CloneFlags::CLONE_NEWNS)?;
        mounted?;
        Ok(Self {
            there: there?,
            here,
        })
    }

    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            there: self.there.try_clone()?,
            here: self.here.try_clone()?,
        })
    }
}

fn own_mounts() -> io::Result<OwnedFd> {
    Ok(fs::File::open("/proc/self/ns/mnt")?.into())
}

pub(crate) fn within<T>(
    mounts: Option<&Mounts>,
    act: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let Some(mounts) = mounts else {
        return act();
    };
    setns(&mounts.there, CloneFlags::CLONE_NEWNS)?;
    let result = act();
    setns(&mounts.here, CloneFlags::CLONE_NEWNS)?;
    result
}
