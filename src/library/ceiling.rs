//! The ceiling, if a runtime requests it.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::layers::Layers;
use crate::policy::resolved::ResolvedPolicy;
use crate::stage::ceiling::Ceiling;
use crate::stage::explain::Audited;
use crate::stage::verifier::expected::Expected;
use crate::target::PathResolver;

/// The policy of the ceiling: under it a runtime can set ids, capabilities and labels, and load
/// filters of its own.
const POLICY: &str = "libcontainer";

/// Enforces it for this process and all of its descendants, on the current root. A child has the
/// [`expected`] state from then on.
pub(super) fn enforce() -> Result<()> {
    let policy = policy()?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(c"/", flags, Mode::empty()).map_err(|errno| {
        Error::new(ErrorKind::System, "cannot open the root directory").with_source(errno)
    })?;
    let stage = Layers::build_ceiling(&policy, &root, PathResolver::OwnProcess(&unknown_mounts))?;
    let ceiling = Ceiling {
        no_new_privs: policy.process.no_new_privs,
        layers: stage.ready,
        audited: Audited::KernelDefault,
    };
    ceiling.enforce()
}

/// The state of a child of a process that is under it.
pub(super) fn expected() -> Result<Expected> {
    let policy = policy()?;
    let filters = u32::from(policy.ceiling.seccomp.enforced().is_some());
    Ok(Expected::confined(policy.process.no_new_privs, filters))
}

fn policy() -> Result<ResolvedPolicy> {
    nsexec_shipped_policies::builtin(POLICY)
        .ok_or_else(|| Error::new(ErrorKind::Policy, POLICY))?
        .map_err(|fault| Error::new(ErrorKind::Policy, POLICY).with_source(fault))
}

/// The ceiling grants rights beneath the root alone, which needs no list of mounts.
fn unknown_mounts() -> Result<Vec<u8>> {
    let wrong = "the mounts of the target are not known after the join";
    Err(Error::new(ErrorKind::System, wrong))
}
