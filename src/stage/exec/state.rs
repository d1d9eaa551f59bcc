//! The state of the child once everything but its last filters is prepared: for the verifier, and,
//! where there is none, for the child itself.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::Image;
use super::credentials::CapabilityPlan;
use super::directories::WorkDir;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::stage::failure::{Failure, Step};
use crate::stage::verifier::expected::{Capabilities, Directory, Expected, Groups, Id, Place};
use crate::sys::{credentials, process, statx};

impl Image {
    /// The child compares the parts of its own state that no outside process can read: ids, groups,
    /// capabilities and no_new_privs. No process counts the filters that it loads next.
    pub(super) fn read_back(&self) -> Result<(), Failure> {
        let verify = |errno| Failure::new(Step::Verify, errno);
        let uids = nix::unistd::getresuid().map_err(verify)?;
        let gids = nix::unistd::getresgid().map_err(verify)?;
        let all =
            |ids: [u32; 3], wanted: Option<u32>| wanted.is_none_or(|wanted| ids == [wanted; 3]);
        let uids = [uids.real, uids.effective, uids.saved].map(nix::unistd::Uid::as_raw);
        let gids = [gids.real, gids.effective, gids.saved].map(nix::unistd::Gid::as_raw);
        let wanted = &self.credentials;
        let mut right = all(uids, wanted.uid) && all(gids, wanted.gid);
        if let Some(groups) = &wanted.groups {
            let mut groups = groups.clone();
            groups.sort_unstable();
            right &= credentials::groups().map_err(verify)? == groups;
        }
        if let CapabilityPlan::Set {
            permitted,
            ambient,
            bounding,
        } = self.capabilities
        {
            right &= only_in(ambient, credentials::is_ambient).map_err(verify)?;
            if let Some(keep) = bounding {
                right &= only_in(keep, credentials::is_in_bounding_set).map_err(verify)?;
            }
            let held = self.held(permitted).map_err(verify)?;
            let root = nix::unistd::geteuid().is_root();
            let effective = self.effective(permitted, ambient, root).map_err(verify)?;
            let now = credentials::capabilities().map_err(verify)?;
            right &=
                now.permitted == held && now.effective == effective && now.inheritable == ambient;
        }
        if self.no_new_privs {
            right &= process::no_new_privs().map_err(verify)?;
        }
        if right {
            Ok(())
        } else {
            Err(verify(Errno::EBADE))
        }
    }

    /// The state of the child once it is ready, for the verifier.
    pub(crate) fn expected(
        &self,
        groups: Groups,
        filters: u32,
        root: Place,
    ) -> Result<Expected, Errno> {
        let id = |id: Option<u32>| id.map_or(Id::Unchanged, Id::Is);
        let uid = self.credentials.uid;
        let is_root = uid.map_or_else(|| nix::unistd::geteuid().is_root(), |uid| uid == 0);
        let capabilities = match self.capabilities {
            CapabilityPlan::Inherit => Capabilities::Inherited,
            CapabilityPlan::Set {
                bounding,
                permitted,
                ambient,
            } => Capabilities::Exactly {
                permitted: self.held(permitted)?.bits(),
                effective: self.effective(permitted, ambient, is_root)?.bits(),
                inheritable: ambient.bits(),
                ambient: ambient.bits(),
                bounding: bounding.map(CapabilitySet::bits),
            },
        };
        let cwd = match &self.work_dir {
            WorkDir::Opened(directory) => {
                let known = statx::identify(directory.as_fd())?;
                Directory::Is(Place::from(known))
            }
            _ => Directory::Undecided,
        };
        Ok(Expected {
            uid: id(self.credentials.uid),
            gid: id(self.credentials.gid),
            groups,
            capabilities,
            no_new_privs: self.no_new_privs,
            filters,
            root: Directory::Is(root),
            root_mount: Some(root.mount()),
            cwd,
        })
    }
}

/// Whether `has` is true of no capability outside `set`.
fn only_in(
    set: CapabilitySet,
    has: impl Fn(Capability) -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    for capability in CapabilitySet::from_bits(u64::MAX).iter() {
        match has(capability) {
            Ok(has) if has && !set.contains(capability) => return Ok(false),
            Ok(_) => {}
            // The number is above the kernel's last capability.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}
