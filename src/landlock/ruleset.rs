//! A domain on the program's root: a ruleset, and flags for entering it.
//!
//! Rules name inodes. So they are built on descriptors of the target's root before the join, and
//! are valid after it (landlock(7); tested).

use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use nix::errno::Errno;

use super::place::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{LandlockRules, Require};
use crate::policy::right::{self, Kind, LogFlag, NEWEST_ABI, Right};
use crate::sys::landlock::{Support, restrict_self};
use crate::target::PathResolver;

/// A domain that is ready to be entered.
#[derive(Debug)]
pub(crate) struct Domain {
    ruleset: OwnedFd,
    /// LANDLOCK_RESTRICT_SELF_*
    flags: u32,
    /// The kernel's ABI version.
    kernel: u32,
}

impl Domain {
    /// Enters it permanently: one system call.
    ///
    /// # Errors
    /// EPERM: neither no_new_privs nor CAP_SYS_ADMIN. E2BIG: 16 domains deep.
    pub(crate) fn enter(&self) -> std::result::Result<(), Errno> {
        restrict_self(self.ruleset.as_fd(), self.flags)
    }

    /// Makes the kernel log the program's denials and silences none, independent of the policy, if
    /// the kernel logs.
    pub(crate) fn log_all(&mut self, status: &mut DomainStatus) {
        if self.kernel >= u32::from(LogFlag::ABI) {
            status.log = vec![LogFlag::NewExecOn];
            self.flags = flags(&status.log);
        }
    }
}

/// The result of a layer's rules.
#[derive(Debug)]
pub(crate) enum Built {
    Domain(Domain, DomainStatus),
    /// The kernel is too old, and the policy permits that the layer is dropped there.
    Dropped {
        reason: String,
    },
}

/// The rights and flags that a domain handles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainStatus {
    /// The rights in force.
    pub(crate) handled: Vec<Right>,
    /// Best-effort rights that the kernel does not know, with the policy's reason.
    pub(crate) dropped: Vec<(Right, String)>,
    /// The log flags in force.
    pub(crate) log: Vec<LogFlag>,
    /// Log flags that the kernel does not know, with the policy's reason.
    pub(crate) dropped_log: Vec<(LogFlag, String)>,
    /// Paths of rules that do not exist: nothing is granted for them.
    pub(crate) absent: Vec<String>,
    /// Paths of rules with another file than their name means, and its kind: nothing is granted for
    /// them either.
    pub(crate) not_granted: Vec<(String, String)>,
}

/// Builds the ruleset of `rules` on `root`. The caller has called [`require`] before.
///
/// # Errors
/// `LockDown`: the kernel refuses the ruleset.
pub(crate) fn build(
    rules: &LandlockRules,
    root: &OwnedFd,
    resolver: PathResolver<'_>,
    kernel: Support,
) -> Result<Built> {
    let abi = kernel.abi().min(NEWEST_ABI.into());
    if abi < u32::from(Right::Refer.abi())
        && let Require::BestEffort { reason } = &rules.require
    {
        let reason = format!(
            "{}; the policy marks it best_effort: {reason}",
            describe_support(kernel)
        );
        return Ok(Built::Dropped { reason });
    }
    let mut status = known(rules, abi);
    let mut ruleset = create(&status.handled)?;
    for rule in &rules.beneath {
        let wanted = rule
            .rights
            .iter()
            .filter(|right| status.handled.contains(right));
        let name = || rule.path.display().to_string();
        match Place::open(root, &rule.path, resolver)? {
            Place::Found { path, is_directory } => {
                ruleset = grant(ruleset, path, is_directory, wanted.copied())?;
            }
            Place::Absent => status.absent.push(name()),
            Place::Other(reason) => status.not_granted.push((name(), reason)),
        }
    }
    for rule in &rules.ports {
        let rights = rule.rights.iter().copied();
        let rights = rights.filter(|right| status.handled.contains(right));
        let rights = BitFlags::<AccessNet>::from_bits(bits(rights, Kind::Net)).map_err(unknown)?;
        if !rights.is_empty() {
            ruleset = ruleset
                .add_rule(NetPort::new(rule.port, rights))
                .map_err(refused)?;
        }
    }
    let domain = Domain {
        ruleset: descriptor(ruleset)?,
        flags: flags(&status.log),
        kernel: abi,
    };
    Ok(Built::Domain(domain, status))
}

/// For landlock_restrict_self(2).
fn flags(log: &[LogFlag]) -> u32 {
    log.iter().fold(0, |flags, flag| flags | flag.bit())
}

/// The part of `rules` that a kernel with this ABI version knows.
fn known(rules: &LandlockRules, kernel: u32) -> DomainStatus {
    let mut status = DomainStatus::default();
    for handled in &rules.handled {
        let right = handled.right;
        match &handled.require {
            _ if u32::from(right.abi()) <= kernel => status.handled.push(right),
            Require::BestEffort { reason } => status.dropped.push((right, reason.clone())),
            // `require` refuses these.
            Require::Full => {}
        }
    }
    for requested in &rules.log {
        match &requested.require {
            _ if u32::from(LogFlag::ABI) <= kernel => status.log.push(requested.flag),
            Require::BestEffort { reason } => {
                status.dropped_log.push((requested.flag, reason.clone()));
            }
            Require::Full => {}
        }
    }
    status
}

/// Refuses a policy that requires features that this kernel lacks, and names all of them.
///
/// # Errors
/// `Unsupported`: the kernel lacks a required layer, right or log flag.
pub(crate) fn require<'a>(
    layers: impl Iterator<Item = &'a LandlockRules>,
    kernel: Support,
) -> Result<()> {
    let abi = kernel.abi();
    let mut missing: Vec<(u32, &'static str)> = Vec::new();
    let mut add = |since: u8, what: &'static str| {
        let lacked = (u32::from(since), what);
        if lacked.0 > abi && !missing.contains(&lacked) {
            missing.push(lacked);
        }
    };
    for rules in layers {
        let dropped = abi < u32::from(Right::Refer.abi()) && rules.require != Require::Full;
        if dropped {
            continue;
        }
        // A domain without it forbids every rename and link across directories.
        add(Right::Refer.abi(), Right::Refer.name());
        for handled in rules.handled.iter().filter(|h| h.require == Require::Full) {
            add(handled.right.abi(), handled.right.name());
        }
        for requested in rules
            .log
            .iter()
            .filter(|requested| requested.require == Require::Full)
        {
            add(LogFlag::ABI, requested.flag.name());
        }
    }
    missing.sort_unstable();
    let Some((newest, _)) = missing.last() else {
        return Ok(());
    };
    let linux = right::linux(*newest);
    let list: Vec<String> = missing
        .iter()
        .map(|(since, what)| format!("{what} (Linux {})", right::linux(*since)))
        .collect();
    let wrong = format!(
        "the policy requires these Landlock features: {}; {}",
        list.join(", "),
        describe_support(kernel)
    );
    let right = match kernel {
        Support::Abi(_) => format!("use Linux {linux} or later"),
        Support::SwitchedOff => {
            format!("add landlock to lsm= of the kernel's command line, on Linux {linux} or later")
        }
        Support::NotBuilt => {
            format!("use Linux {linux} or later with CONFIG_SECURITY_LANDLOCK")
        }
    };
    Err(Error::new(ErrorKind::Unsupported, wrong)
        .with_hint(format!("{right}, or a policy that marks it best_effort")))
}

/// The kernel's Landlock, in words.
fn describe_support(kernel: Support) -> String {
    match kernel {
        Support::Abi(version) => {
            let linux = right::linux(version);
            format!("this kernel has Landlock ABI {version} (Linux {linux})")
        }
        Support::SwitchedOff => {
            "this kernel has Landlock and does not use it: lsm= does not name it".to_owned()
        }
        Support::NotBuilt => "this kernel has no Landlock".to_owned(),
    }
}

/// The supervisor's ruleset: it handles every right that the kernel knows and grants none. It lacks
/// the signal scope, which would keep the supervisor from signalling its child.
pub(crate) fn deny_all(kernel: Support) -> Result<Option<Domain>> {
    let kernel = kernel.abi().min(NEWEST_ABI.into());
    if kernel < 1 {
        return Ok(None);
    }
    let known = |right: &Right| u32::from(right.abi()) <= kernel && *right != Right::ScopeSignal;
    let all: Vec<Right> = Right::ALL.into_iter().filter(known).collect();
    let ruleset = descriptor(create(&all)?)?;
    let flags = 0;
    Ok(Some(Domain {
        ruleset,
        flags,
        kernel,
    }))
}

fn descriptor(ruleset: RulesetCreated) -> Result<OwnedFd> {
    let descriptor: Option<OwnedFd> = ruleset.into();
    descriptor.ok_or_else(|| {
        Error::new(
            ErrorKind::LockDown,
            "the kernel gave no descriptor of the Landlock ruleset",
        )
    })
}

/// An empty ruleset that handles these rights, all of which the kernel has.
fn create(rights: &[Right]) -> Result<RulesetCreated> {
    let bits = |kind| bits(rights.iter().copied(), kind);
    let fs = BitFlags::<AccessFs>::from_bits(bits(Kind::Fs)).map_err(unknown)?;
    let net = BitFlags::<AccessNet>::from_bits(bits(Kind::Net)).map_err(unknown)?;
    let scopes = BitFlags::<Scope>::from_bits(bits(Kind::Scope)).map_err(unknown)?;
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
    is_directory: bool,
    rights: impl Iterator<Item = Right>,
) -> Result<RulesetCreated> {
    let rights = rights.filter(|right| is_directory || right.applies_to_file());
    let rights = BitFlags::<AccessFs>::from_bits(bits(rights, Kind::Fs)).map_err(unknown)?;
    if rights.is_empty() {
        return Ok(ruleset);
    }
    ruleset
        .add_rule(PathBeneath::new(path, rights))
        .map_err(refused)
}

/// The bits of the rights of this kind.
fn bits(rights: impl Iterator<Item = Right>, kind: Kind) -> u64 {
    let rights = rights.filter(|right| right.kind() == kind);
    rights.fold(0, |bits, right| bits | right.bit())
}

fn unknown(bits: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::LockDown,
        "the landlock library lacks a right of the policy",
    )
    .with_source(bits.to_string())
}

fn refused(error: RulesetError) -> Error {
    Error::new(
        ErrorKind::LockDown,
        "the kernel refuses the Landlock ruleset",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests;
