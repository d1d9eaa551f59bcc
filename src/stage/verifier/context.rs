//! The comparison of the child with the state that it must have.

use std::fmt;
use std::os::fd::AsFd;

use nix::errno::Errno;

use super::NamespaceAccess;
use super::expected::{Capabilities, Directory, Expected, Groups, Id, Place};
use super::namespaces::Namespaces;
use super::refusal::Refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::CapabilitySet;
use crate::procfs::status::{self, Ids, Status};
use crate::procfs::{id_map, mountinfo};
use crate::request::{Namespace, Pid};
use crate::sys::credentials;
use crate::sys::statx;
use crate::target::process::path;
use crate::target::procfs_root::{MAX_FILE, read_all};
use crate::target::{Memberships, Procfs, cgroup};

/// The id that the kernel reports for an id without a number in the reader's user namespace:
/// /proc/sys/kernel/overflowuid, by default.
const OVERFLOW_ID: u32 = 65534;

/// The part of the expected state that is known before the joins, and the state of the helper, from
/// which the child's state derives.
#[derive(Debug)]
pub(crate) struct VerifierContext {
    access: NamespaceAccess,
    namespaces: Namespaces,
    joins_user: bool,
    joins_mounts: bool,
    helper: Pid,
    /// The helper's.
    status: Status,
    /// The bounding set after the joins: the helper's, or, in a user namespace that
    /// is joined, all capabilities of the kernel (user_namespaces(7)).
    bounding: CapabilitySet,
    /// /proc/TARGET/cgroup; `None`: the child stays in the helper's cgroups.
    cgroup: Option<Vec<u8>>,
}

impl VerifierContext {
    /// Reads the state of this process; its child will be compared with it.
    pub(crate) fn read(
        procfs: &Procfs,
        memberships: &Memberships,
        namespaces: Namespaces,
        cgroups: &cgroup::Decision,
    ) -> Result<Self> {
        let helper = i32::try_from(std::process::id()).ok().and_then(Pid::new);
        let helper = helper
            .ok_or_else(|| Error::new(ErrorKind::System, "getpid returned an invalid pid"))?;
        let status = procfs.open_file(c"self/status").map_err(|errno| {
            Error::new(ErrorKind::System, "cannot open /proc/self/status").with_source(errno)
        })?;
        let status = read_all(status, status::MAX_BYTES, &"/proc/self/status")?;
        let status = status::parse(&status).map_err(|fault| {
            Error::new(ErrorKind::System, format!("/proc/self/status: {fault}"))
        })?;
        let joins_user = memberships.joins(Namespace::User);
        let bounding = if joins_user {
            CapabilitySet::from_bits(u64::MAX)
                .iter()
                .filter(|capability| credentials::is_in_bounding_set(*capability).is_ok())
                .fold(CapabilitySet::EMPTY, CapabilitySet::with)
        } else {
            status.bounding
        };
        Ok(Self {
            access: NamespaceAccess::of_caller()?,
            namespaces,
            joins_user,
            joins_mounts: memberships.joins(Namespace::Mnt),
            bounding,
            helper,
            status,
            cgroup: cgroups.join().map(|join| join.memberships.clone()),
        })
    }

    /// The only process that may send requests.
    pub(super) fn helper(&self) -> Pid {
        self.helper
    }

    /// The number of seccomp filters that the helper had.
    pub(super) fn filters(&self) -> u32 {
        self.status.seccomp_filters
    }

    /// Reads the child's state and compares it.
    pub(super) fn compare(
        &self,
        procfs: &Procfs,
        child: Pid,
        expected: &Expected,
    ) -> std::result::Result<(), Refusal> {
        if self.access == NamespaceAccess::Full {
            self.namespaces.compare(procfs, child)?;
            compare_directory(procfs, child, "root", expected.root)?;
            compare_directory(procfs, child, "cwd", expected.cwd)?;
        }
        if child != self.helper {
            self.compare_mount(procfs, expected)?;
        }
        let cgroup = match &self.cgroup {
            Some(cgroup) => cgroup.clone(),
            None => read(procfs, self.helper, "cgroup")?,
        };
        let found = read(procfs, child, "cgroup")?;
        same("cgroup", &text(&cgroup), &text(&found))?;
        self.compare_status(procfs, child, expected)
    }

    /// The same for a process that a runtime takes over: the runtime chooses its cgroups, its root
    /// and its directory.
    ///
    /// # Errors
    /// `Safety`: the process differs from the plan; the message names the field.
    pub(crate) fn verify_taken_over(
        &self,
        procfs: &Procfs,
        child: Pid,
        expected: &Expected,
    ) -> Result<()> {
        let namespaces = match self.access {
            NamespaceAccess::Full => self.namespaces.compare(procfs, child),
            NamespaceAccess::StatusOnly => Ok(()),
        };
        let compared = namespaces.and_then(|()| match expected {
            // No step has set anything that could be missing, and /proc may hide the child.
            &Expected::JOINED => Ok(()),
            expected => self.compare_status(procfs, child, expected),
        });
        compared.map_err(|why| why.into_error())
    }

    fn compare_status(
        &self,
        procfs: &Procfs,
        child: Pid,
        expected: &Expected,
    ) -> std::result::Result<(), Refusal> {
        let found = read(procfs, child, "status")?;
        let found = status::parse(&found).map_err(|fault| Refusal::unreadable("status", &fault))?;
        for (field, kind, wanted, before, found) in [
            ("Uid", "uid", expected.uid, self.status.uids, found.uids),
            ("Gid", "gid", expected.gid, self.status.gids, found.gids),
        ] {
            let show = |ids: Ids| {
                let Ids {
                    real,
                    effective,
                    saved,
                    file_system,
                } = ids;
                format!("{real} {effective} {saved} {file_system}")
            };
            let wanted = match wanted {
                Id::Undecided => continue,
                Id::Unchanged => before,
                Id::Is(inside) => self.outside(procfs, child, kind, inside)?,
            };
            same(field, &show(wanted), &show(found))?;
        }
        self.compare_layers(expected, &found)
    }

    /// Checks that the program's root is in the joined mount namespace. A target that unshares its
    /// mount namespace gets the new namespace before the new root. At that moment both reads agree,
    /// but the root belongs to the old namespace.
    ///
    /// The helper's own root is that of the joined namespace, so its mountinfo lists all of its
    /// mounts. The kernel shows it to every process.
    pub(super) fn compare_mount(
        &self,
        procfs: &Procfs,
        expected: &Expected,
    ) -> std::result::Result<(), Refusal> {
        let Some(root) = expected.root_mount.filter(|_| self.joins_mounts) else {
            return Ok(());
        };
        let mounts = read(procfs, self.helper, "mountinfo")?;
        let mounts =
            mountinfo::parse(&mounts).map_err(|fault| Refusal::unreadable("mountinfo", &fault))?;
        if mounts.iter().any(|mount| u64::from(mount.id) == root) {
            return Ok(());
        }
        Err(Refusal::other_root())
    }

    /// The ids that status must show for an id of the program's user namespace: status shows the
    /// ids of the reader's.
    fn outside(
        &self,
        procfs: &Procfs,
        child: Pid,
        kind: &str,
        inside: u32,
    ) -> std::result::Result<Ids, Refusal> {
        let id = if self.joins_user {
            let map = format!("{kind}_map");
            let map = id_map::parse(&read(procfs, child, &map)?).ok();
            map.and_then(|map| map.to_outside(inside))
                .unwrap_or(OVERFLOW_ID)
        } else {
            inside
        };
        Ok(Ids {
            real: id,
            effective: id,
            saved: id,
            file_system: id,
        })
    }

    fn compare_layers(
        &self,
        expected: &Expected,
        found: &Status,
    ) -> std::result::Result<(), Refusal> {
        match expected.groups {
            Groups::Unchanged => same("Groups", &list(&self.status.groups), &list(&found.groups))?,
            Groups::None => same("Groups", &String::new(), &list(&found.groups))?,
            Groups::Undecided => {}
        }
        if let Capabilities::Exactly {
            permitted,
            effective,
            inheritable,
            ambient,
            bounding,
        } = expected.capabilities
        {
            let kept = self.bounding.bits();
            for (field, expected, found) in [
                ("CapPrm", permitted, found.permitted),
                ("CapEff", effective, found.effective),
                ("CapInh", inheritable, found.inheritable),
                ("CapAmb", ambient, found.ambient),
                // The planned set may name capabilities that the kernel does not have.
                (
                    "CapBnd",
                    bounding.map_or(kept, |keep| keep & kept),
                    found.bounding,
                ),
            ] {
                let show = |set: CapabilitySet| format!("{:016x}", set.bits());
                same(
                    field,
                    &show(CapabilitySet::from_bits(expected)),
                    &show(found),
                )?;
            }
        }
        let no_new_privs = expected.no_new_privs || self.status.no_new_privs;
        same(
            "NoNewPrivs",
            &u8::from(no_new_privs),
            &u8::from(found.no_new_privs),
        )?;
        let filters = self.status.seccomp_filters + expected.filters;
        same("Seccomp_filters", &filters, &found.seccomp_filters)
    }
}

fn compare_directory(
    procfs: &Procfs,
    child: Pid,
    name: &str,
    expected: Directory,
) -> std::result::Result<(), Refusal> {
    let Directory::Is(expected) = expected else {
        return Ok(());
    };
    let unreadable = |errno: Errno| Refusal::unreadable(name, &errno);
    let found = procfs
        .open_directory(&path(child, name))
        .map_err(unreadable)?;
    let found = statx::identify(found.as_fd()).map_err(unreadable)?;
    same(name, &expected, &Place::from(found))
}

fn list(groups: &[u32]) -> String {
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    groups.join(" ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end()
        .replace('\n', ", ")
}

fn read(procfs: &Procfs, process: Pid, name: &str) -> std::result::Result<Vec<u8>, Refusal> {
    let file = procfs
        .open_file(&path(process, name))
        .map_err(|errno| Refusal::hidden(process, errno))?;
    read_all(file, MAX_FILE, &name).map_err(|error| Refusal::unreadable(name, &error))
}

fn same<T: PartialEq + fmt::Display>(
    field: &str,
    expected: &T,
    found: &T,
) -> std::result::Result<(), Refusal> {
    if expected == found {
        Ok(())
    } else {
        Err(Refusal::differs(field, expected, found))
    }
}
