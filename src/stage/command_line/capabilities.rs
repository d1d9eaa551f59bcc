//! The capabilities and groups of the program.

use crate::error::{Context, Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::resolved::{Capabilities, ResolvedPolicy};
use crate::stage::exec::CapabilityPlan;
use crate::sys::credentials;

/// The capabilities that the policy grants and the helper has.
///
/// # Errors
/// `LockDown`: the bounding set would keep more, and the program could gain it.
pub(super) fn decide(policy: &ResolvedPolicy, keep_as_ambient: bool) -> Result<CapabilityPlan> {
    let wanted = policy.process.capabilities;
    let now =
        credentials::capabilities().context("the capabilities of the helper cannot be read")?;
    let set = match wanted {
        Capabilities::Inherit if keep_as_ambient => now.permitted,
        Capabilities::Inherit => return Ok(CapabilityPlan::Inherit),
        Capabilities::Keep(set) => set,
        Capabilities::InitConfig => {
            let wrong = format!("the policy {} names no capabilities", policy.name);
            return Err(Error::new(ErrorKind::Policy, wrong));
        }
    };
    let permitted = set.intersection(now.permitted);
    let ambient = if keep_as_ambient {
        permitted
    } else {
        CapabilitySet::EMPTY
    };
    let bounding = match wanted {
        Capabilities::Keep(_) => bounding(set, now.effective, policy.process.no_new_privs)?,
        _ => None,
    };
    Ok(CapabilityPlan::Set {
        bounding,
        permitted,
        ambient,
    })
}

/// The bounding set after the exec; `None`: it stays unchanged because nothing can be gained from
/// it.
fn bounding(
    keep: CapabilitySet,
    effective: CapabilitySet,
    no_new_privs: bool,
) -> Result<Option<CapabilitySet>> {
    if effective.contains(Capability::SETPCAP) {
        return Ok(Some(keep));
    }
    let outside = CapabilitySet::from_bits(u64::MAX)
        .iter()
        .filter(|capability| !keep.contains(*capability))
        .any(|capability| credentials::is_in_bounding_set(capability) == Ok(true));
    if outside && !no_new_privs {
        let wrong = "cannot reduce the capability bounding set";
        return Err(Error::new(ErrorKind::LockDown, wrong)
            .with_hint("this requires CAP_SETPCAP, or a policy with no_new_privs"));
    }
    Ok(None)
}

/// The groups to set; `None`: there are no groups to drop.
pub(super) fn groups_to_set(drop_groups: bool) -> Result<Option<Vec<u32>>> {
    let count = credentials::group_count().map_err(|errno| {
        Error::new(ErrorKind::System, "cannot read the groups of the helper").with_source(errno)
    })?;
    Ok((drop_groups && count != 0).then(Vec::new))
}
