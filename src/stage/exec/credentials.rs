//! The ids and capabilities of the program.

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

use super::Image;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::stage::failure::{Failure, Step};
use crate::sys::credentials::{self, CapabilityState};
use crate::sys::{descriptor, process};

/// Users and groups; `None`: they stay unchanged.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Option<Vec<u32>>,
}

/// The capabilities of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapabilityPlan {
    /// The capabilities stay unchanged.
    Inherit,
    /// These and no others.
    Set {
        /// The bounding set; `None`: it stays unchanged because it cannot be changed and nothing
        /// can be gained from it.
        bounding: Option<CapabilitySet>,
        /// Effective and permitted.
        permitted: CapabilitySet,
        /// Inheritable and ambient: only if they were requested.
        ambient: CapabilitySet,
    },
}

/// The device number of /dev/null: major 1, minor 3.
const NULL_DEVICE: u64 = 1 << 8 | 3;

impl Image {
    pub(super) fn drop_bounding_set(&self) -> Result<(), Failure> {
        let CapabilityPlan::Set {
            bounding: Some(keep),
            ..
        } = self.capabilities
        else {
            return Ok(());
        };
        for capability in CapabilitySet::from_bits(u64::MAX).iter() {
            if keep.contains(capability) {
                continue;
            }
            match credentials::drop_from_bounding_set(capability) {
                Ok(()) => {}
                // The number is above the kernel's last capability.
                Err(Errno::EINVAL) => break,
                Err(errno) => {
                    let detail = capability.number().into();
                    return Err(Failure {
                        step: Step::BoundingSet,
                        errno,
                        detail,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn change_credentials(&self) -> Result<(), Failure> {
        let at = |step| move |errno| Failure::new(step, errno);
        let keep = self.loads_as_admin() || self.capabilities != CapabilityPlan::Inherit;
        if keep {
            credentials::set_keep_capabilities(true).map_err(at(Step::Capabilities))?;
        }
        if self.own_standard {
            self.own_standard_descriptors()?;
        }
        let wanted = &self.credentials;
        if let Some(groups) = &wanted.groups {
            credentials::set_groups(groups).map_err(at(Step::Groups))?;
        }
        if let Some(gid) = wanted.gid {
            credentials::set_gid(gid).map_err(at(Step::Gid))?;
        }
        if let Some(uid) = wanted.uid {
            credentials::set_uid(uid).map_err(at(Step::Uid))?;
        }
        if keep {
            credentials::set_keep_capabilities(false).map_err(at(Step::Capabilities))?;
        }
        process::set_undumpable().map_err(at(Step::Dumpable))
    }

    /// Gives 0, 1 and 2 to the program's user, except /dev/null. Recognises /dev/null by its device
    /// number, never by a path in the target (CVE-2025-31133).
    fn own_standard_descriptors(&self) -> Result<(), Failure> {
        for fd in 0..=2 {
            let standard = descriptor::standard(fd);
            let failed = |errno| Failure::new(Step::StandardOwner, errno);
            let stat = fstat(standard).map_err(failed)?;
            let device = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
            if device && stat.st_rdev == NULL_DEVICE {
                continue;
            }
            let uid = self.credentials.uid.map(Into::into);
            let gid = self.credentials.gid.map(Into::into);
            nix::unistd::fchown(standard, uid, gid).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn set_capabilities(&self) -> Result<(), Failure> {
        let failed = |errno| Failure::new(Step::Capabilities, errno);
        let CapabilityPlan::Set {
            permitted, ambient, ..
        } = self.capabilities
        else {
            return self.raise_admin_for_loading().map_err(failed);
        };
        credentials::clear_ambient_set().map_err(failed)?;
        let held = self.held(permitted).map_err(failed)?;
        let root = nix::unistd::geteuid().is_root();
        let effective = self.effective(permitted, ambient, root);
        let effective = effective.map_err(failed)?;
        credentials::set_capabilities(CapabilityState {
            effective,
            permitted: held,
            inheritable: ambient,
        })
        .map_err(failed)?;
        for capability in ambient.iter() {
            credentials::raise_ambient(capability).map_err(failed)?;
        }
        process::set_undumpable().map_err(|e| Failure::new(Step::Dumpable, e))
    }

    /// The capabilities that the child holds until execve.
    pub(super) fn held(&self, permitted: CapabilitySet) -> Result<CapabilitySet, Errno> {
        if !self.loads_as_admin() {
            return Ok(permitted);
        }
        // Without no_new_privs, loading the layers below requires CAP_SYS_ADMIN. execve removes it
        // because it is in neither the bounding nor the ambient set.
        let now = credentials::capabilities()?;
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        Ok(permitted.union(admin.intersection(now.permitted)))
    }

    /// From here on, the kernel resolves or refuses a path as it does for the program: execve gives
    /// root its permitted set, and another user the ambient set. Loading the layers needs no
    /// capability over files.
    pub(super) fn effective(
        &self,
        permitted: CapabilitySet,
        ambient: CapabilitySet,
        is_root: bool,
    ) -> Result<CapabilitySet, Errno> {
        let programs = if is_root { permitted } else { ambient };
        if !self.loads_as_admin() {
            return Ok(programs);
        }
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        Ok(programs.union(admin.intersection(self.held(permitted)?)))
    }

    /// If the program keeps the caller's capabilities: a change from root to another user has
    /// emptied the effective set, which the layers below need. execve empties both sets again.
    fn raise_admin_for_loading(&self) -> Result<(), Errno> {
        if !self.loads_as_admin() {
            return Ok(());
        }
        let now = credentials::capabilities()?;
        let admin = CapabilitySet::EMPTY.with(Capability::SYS_ADMIN);
        let effective = now.effective.union(admin.intersection(now.permitted));
        credentials::set_capabilities(CapabilityState { effective, ..now })
    }

    fn loads_as_admin(&self) -> bool {
        !self.no_new_privs && (self.layers.landlock.is_some() || !self.layers.seccomp.is_empty())
    }
}
