//! A ruleset on the program's root.
//!
//! Rules name inodes, so that they are built on descriptors of the target's
//! root before it is joined, and hold after (landlock(7); tested).

use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use nix::sys::stat::{SFlag, fstat};

use super::abi::{self, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{LandlockRules, Require, Right};
use crate::target::directory;

/// A domain that is ready to be entered, or the reason why there is none.
#[derive(Debug)]
pub(crate) enum Domain {
    /// Entering it is one system call.
    Ready {
        ruleset: OwnedFd,
        status: DomainStatus,
    },
    /// The kernel is too old, and the policy lets the layer go there.
    Dropped { reason: String },
}

/// What a domain handles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainStatus {
    /// The rights in force.
    pub(crate) handled: Vec<Right>,
    /// Best-effort rights that the kernel does not know, with the policy's
    /// reason.
    pub(crate) dropped: Vec<(Right, String)>,
    /// Paths of rules that are not there: nothing is granted for them.
    pub(crate) absent: Vec<String>,
}

/// Builds the ruleset of `rules` on `root`, for a kernel with this ABI version.
///
/// # Errors
/// `Unsupported`: the kernel lacks a right that the policy requires.
pub(crate) fn build(rules: &LandlockRules, root: &OwnedFd, kernel: u32) -> Result<Domain> {
    if kernel < u32::from(Right::Refer.abi()) {
        return match &rules.require {
            Require::BestEffort { reason } => Ok(Domain::Dropped {
                reason: reason.clone(),
            }),
            Require::Full => Err(lacks("Landlock", u32::from(Right::Refer.abi()), kernel)),
        };
    }
    let mut status = DomainStatus::default();
    for handled in &rules.handled {
        let right = handled.right;
        match &handled.require {
            _ if u32::from(right.abi()) <= kernel => status.handled.push(right),
            Require::BestEffort { reason } => status.dropped.push((right, reason.clone())),
            Require::Full => return Err(lacks(right.name(), u32::from(right.abi()), kernel)),
        }
    }
    let mut ruleset = create(&status.handled)?;
    for rule in &rules.beneath {
        let wanted = rule
            .rights
            .iter()
            .filter(|right| status.handled.contains(right));
        let found = directory::handle(root, &rule.path).map_err(|errno| {
            Error::new(ErrorKind::LockDown, rule.path.display().to_string()).because(errno)
        })?;
        match found {
            Some(path) => ruleset = grant(ruleset, path, wanted.copied())?,
            None => status.absent.push(rule.path.display().to_string()),
        }
    }
    for rule in &rules.ports {
        let rights: BitFlags<AccessNet> = rule
            .rights
            .iter()
            .filter(|right| status.handled.contains(right))
            .filter_map(|right| match abi::kind(*right) {
                Kind::Net(right) => Some(right),
                _ => None,
            })
            .collect();
        if !rights.is_empty() {
            ruleset = ruleset
                .add_rule(NetPort::new(rule.port, rights))
                .map_err(refused)?;
        }
    }
    let ruleset: Option<OwnedFd> = ruleset.into();
    let ruleset = ruleset.ok_or_else(|| {
        Error::new(
            ErrorKind::LockDown,
            "the kernel gave no descriptor of the Landlock ruleset",
        )
    })?;
    Ok(Domain::Ready { ruleset, status })
}

/// A ruleset that handles every right the kernel knows and grants none: the
/// supervisor's. Without the signal scope, which would part it from its child.
pub(crate) fn deny_all(kernel: u32) -> Result<Option<OwnedFd>> {
    if kernel < 1 {
        return Ok(None);
    }
    let known = |right: &Right| u32::from(right.abi()) <= kernel && *right != Right::ScopeSignal;
    let all: Vec<Right> = Right::ALL.into_iter().filter(known).collect();
    Ok(create(&all)?.into())
}

/// An empty ruleset that handles these rights, all of which the kernel has.
fn create(rights: &[Right]) -> Result<RulesetCreated> {
    let mut fs = BitFlags::<AccessFs>::EMPTY;
    let mut net = BitFlags::<AccessNet>::EMPTY;
    let mut scopes = BitFlags::<Scope>::EMPTY;
    for right in rights {
        match abi::kind(*right) {
            Kind::Fs(right) => fs |= right,
            Kind::Net(right) => net |= right,
            Kind::Scope(scope) => scopes |= scope,
        }
    }
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if !fs.is_empty() {
        ruleset = ruleset.handle_access(fs).map_err(refused)?;
    }
    if !net.is_empty() {
        ruleset = ruleset.handle_access(net).map_err(refused)?;
    }
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes).map_err(refused)?;
    }
    let ruleset = ruleset.create().map_err(refused)?;
    Ok(ruleset.set_compatibility(CompatLevel::HardRequirement))
}

fn grant(
    ruleset: RulesetCreated,
    path: OwnedFd,
    rights: impl Iterator<Item = Right>,
) -> Result<RulesetCreated> {
    let stat = fstat(path.as_fd())
        .map_err(|errno| Error::new(ErrorKind::LockDown, "a path of a rule").because(errno))?;
    let directory = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let rights: BitFlags<AccessFs> = rights
        .filter(|right| directory || abi::applies_to_file(*right))
        .filter_map(|right| match abi::kind(right) {
            Kind::Fs(right) => Some(right),
            _ => None,
        })
        .collect();
    if rights.is_empty() {
        return Ok(ruleset);
    }
    ruleset
        .add_rule(PathBeneath::new(path, rights))
        .map_err(refused)
}

fn refused(error: landlock::RulesetError) -> Error {
    Error::new(
        ErrorKind::LockDown,
        "the kernel refuses the Landlock ruleset",
    )
    .because(error)
}

fn lacks(what: &str, since: u32, kernel: u32) -> Error {
    let wrong =
        format!("the policy requires {what} (Landlock ABI {since}), this kernel has ABI {kernel}");
    let right = format!(
        "use Linux {} or later, or a policy that lets it go",
        abi::kernel(since)
    );
    Error::new(ErrorKind::Unsupported, wrong).right(right)
}
