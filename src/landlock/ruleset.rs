//! A domain on the program's root: a ruleset, and flags for entering it.
//!
//! Rules name inodes, so that they are built on descriptors of the target's
//! root before it is joined, and hold after (landlock(7); tested).

use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

use super::abi::{self, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{LandlockRules, LogFlag, Require, Right};
use crate::sys::landlock::restrict_self;
use crate::target::directory;

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
    /// Enters it, for good: one system call.
    ///
    /// # Errors
    /// EPERM: neither no_new_privs nor CAP_SYS_ADMIN. E2BIG: 16 domains deep.
    pub(crate) fn enter(&self) -> std::result::Result<(), Errno> {
        restrict_self(self.ruleset.as_fd(), self.flags)
    }

    /// Has the program's denials logged and silences nothing, whatever the policy
    /// says, where the kernel logs.
    pub(crate) fn log_all(&mut self, status: &mut DomainStatus) {
        if self.kernel >= u32::from(LogFlag::ABI) {
            status.log = vec![LogFlag::NewExecOn];
            self.flags = flags(&status.log);
        }
    }
}

/// What became of a layer's rules.
#[derive(Debug)]
pub(crate) enum Built {
    Domain(Domain, DomainStatus),
    /// The kernel is too old, and the policy lets the layer go there.
    Dropped {
        reason: String,
    },
}

/// What a domain handles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainStatus {
    /// The rights in force.
    pub(crate) handled: Vec<Right>,
    /// Best-effort rights that the kernel does not know, with the policy's
    /// reason.
    pub(crate) dropped: Vec<(Right, String)>,
    /// The log flags in force.
    pub(crate) log: Vec<LogFlag>,
    /// The same of log flags as of rights.
    pub(crate) dropped_log: Vec<(LogFlag, String)>,
    /// Paths of rules that are not there: nothing is granted for them.
    pub(crate) absent: Vec<String>,
}

/// Builds the ruleset of `rules` on `root`, for a kernel with this ABI version.
///
/// # Errors
/// `Unsupported`: the kernel lacks a right that the policy requires.
pub(crate) fn build(rules: &LandlockRules, root: &OwnedFd, kernel: u32) -> Result<Built> {
    if kernel < u32::from(Right::Refer.abi()) {
        return match &rules.require {
            Require::BestEffort { reason } => Ok(Built::Dropped {
                reason: reason.clone(),
            }),
            Require::Full => Err(lacks("Landlock", u32::from(Right::Refer.abi()), kernel)),
        };
    }
    let mut status = known(rules, kernel)?;
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
    let domain = Domain {
        ruleset: descriptor(ruleset)?,
        flags: flags(&status.log),
        kernel,
    };
    Ok(Built::Domain(domain, status))
}

/// For landlock_restrict_self(2).
fn flags(log: &[LogFlag]) -> u32 {
    log.iter().fold(0, |flags, flag| flags | abi::bit(*flag))
}

/// What of `rules` a kernel with this ABI version knows.
fn known(rules: &LandlockRules, kernel: u32) -> Result<DomainStatus> {
    let mut status = DomainStatus::default();
    for handled in &rules.handled {
        let right = handled.right;
        match &handled.require {
            _ if u32::from(right.abi()) <= kernel => status.handled.push(right),
            Require::BestEffort { reason } => status.dropped.push((right, reason.clone())),
            Require::Full => return Err(lacks(right.name(), u32::from(right.abi()), kernel)),
        }
    }
    for asked in &rules.log {
        let (flag, since) = (asked.flag, u32::from(LogFlag::ABI));
        match &asked.require {
            _ if since <= kernel => status.log.push(flag),
            Require::BestEffort { reason } => status.dropped_log.push((flag, reason.clone())),
            Require::Full => return Err(lacks(flag.name(), since, kernel)),
        }
    }
    Ok(status)
}

/// A ruleset that handles every right the kernel knows and grants none: the
/// supervisor's. Without the signal scope, which would part it from its child.
pub(crate) fn deny_all(kernel: u32) -> Result<Option<Domain>> {
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

fn refused(error: RulesetError) -> Error {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::resolved::{AskedLogFlag, HandledRight};

    fn rules(require: &Require) -> LandlockRules {
        let asked = |flag| AskedLogFlag {
            flag,
            require: require.clone(),
        };
        LandlockRules {
            require: Require::Full,
            handled: vec![HandledRight {
                right: Right::Execute,
                require: Require::Full,
            }],
            log: vec![asked(LogFlag::NewExecOn), asked(LogFlag::SubdomainsOff)],
            beneath: Vec::new(),
            ports: Vec::new(),
        }
    }

    #[test]
    fn log_flags_are_in_force_refused_or_said_to_be_missing() {
        let reason = "a test".to_owned();
        let flags = [LogFlag::NewExecOn, LogFlag::SubdomainsOff];
        let best_effort = Require::BestEffort {
            reason: reason.clone(),
        };
        for require in [&Require::Full, &best_effort] {
            let status = known(&rules(require), 7).expect("known");
            assert_eq!(
                (status.log.as_slice(), status.dropped_log),
                (flags.as_slice(), vec![])
            );
        }
        let refused = known(&rules(&Require::Full), 6).expect_err("unknown");
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert_eq!(
            refused.to_string(),
            "the policy requires new_exec_on (Landlock ABI 7), this kernel has ABI 6; \
             use Linux 6.15 or later, or a policy that lets it go"
        );
        let status = known(&rules(&best_effort), 6).expect("lets them go");
        assert_eq!(status.log, []);
        assert_eq!(status.dropped_log, flags.map(|flag| (flag, reason.clone())));
        assert_eq!(status.handled, [Right::Execute], "nothing else is touched");
    }
}
