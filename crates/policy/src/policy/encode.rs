//! Resolved policies as bytes: for the constants in this binary, and for the
//! pipe from the unprivileged process that reads policy files.
//!
//! The input is untrusted: [`decode`] returns only policies that
//! [`crate::policy::resolve::compile`] could have built.

use std::fmt;

use crate::policy::landlock_file::{MAX_PLACES, is_plain_absolute};
use crate::policy::manifest::{MAX_PASS, is_pass_pattern, is_reason};
use crate::policy::resolved::{
    Capabilities, Environment, Follow, LandlockRules, Layer, Layers, Process, Require,
    ResolvedPolicy, Right,
};
use nsexec_kernel_text::capability::Capability;

/// Two programs of the kernel's maximum length need 170 kB.
pub const MAX_ENCODED: usize = 512 * 1024;

/// The name of a policy is shown in reports; a file's path is the longest.
pub const MAX_NAME: usize = 4095;

/// Why bytes are no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeFault {
    /// More than [`MAX_ENCODED`].
    TooLong(usize),
    /// Not in the format that [`encode`] writes.
    Json(String),
    /// A policy that could not have been compiled.
    Invariant(Invariant),
}

/// An invariant of resolved policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// The name has 1 to [`MAX_NAME`] bytes, none of them a control character.
    Name,
    /// A layer or right that is left out or optional has a reason.
    Reason,
    /// A domain handles rights, each once.
    Handled,
    /// A domain requests a log flag at most once.
    Log,
    /// Only rights newer than ABI 2 can be optional.
    BestEffort(Right),
    /// A rule grants handled rights of its kind, each once, and at least one.
    Granted,
    /// A path is absolute and plain, a port or path has one rule, and there are
    /// at most [`MAX_PLACES`] of each.
    Place,
    /// A capability has a name.
    Capability(u8),
    /// A resource is 0 to 15, has one limit, the soft at most the hard.
    Rlimit(u8),
    /// A umask is at most 0777.
    Umask(u32),
    /// An OOM score adjustment is -1000 to 1000.
    OomScoreAdj(i16),
    /// A passed name is the name of a variable, or a prefix and `*`; names are
    /// unique, and there are at most [`MAX_PASS`].
    Pass,
}

/// Encodes the policy for [`decode`].
///
/// # Errors
/// The policy breaks an invariant or is too long: see [`DecodeFault`].
pub fn encode(policy: &ResolvedPolicy) -> Result<Vec<u8>, DecodeFault> {
    check(policy).map_err(DecodeFault::Invariant)?;
    let bytes = serde_json::to_vec(policy).map_err(|e| DecodeFault::Json(e.to_string()))?;
    if bytes.len() > MAX_ENCODED {
        return Err(DecodeFault::TooLong(bytes.len()));
    }
    Ok(bytes)
}

/// Decodes a policy.
///
/// # Errors
/// They are not in the format of [`encode`], or the policy breaks an invariant.
pub fn decode(bytes: &[u8]) -> Result<ResolvedPolicy, DecodeFault> {
    if bytes.len() > MAX_ENCODED {
        return Err(DecodeFault::TooLong(bytes.len()));
    }
    let policy = serde_json::from_slice(bytes).map_err(|e| DecodeFault::Json(e.to_string()))?;
    check(&policy).map_err(DecodeFault::Invariant)?;
    Ok(policy)
}

/// Checks the invariants of `policy`.
pub(super) fn check(policy: &ResolvedPolicy) -> Result<(), Invariant> {
    let name = &policy.name;
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
        return Err(Invariant::Name);
    }
    check_layers(&policy.ceiling)?;
    check_layers(&policy.workload)?;
    check_process(&policy.process)
}

fn check_layers(layers: &Layers) -> Result<(), Invariant> {
    if let Layer::None { reason } = &layers.seccomp {
        check_reason(reason)?;
    }
    match &layers.landlock {
        Layer::None { reason } => check_reason(reason),
        Layer::Enforce(rules) => check_landlock(rules),
    }
}

fn check_landlock(rules: &LandlockRules) -> Result<(), Invariant> {
    check_require(&rules.require)?;
    let mut handled = Vec::new();
    for known in &rules.handled {
        check_require(&known.require)?;
        if handled.contains(&known.right) {
            return Err(Invariant::Handled);
        }
        if known.require != Require::Full && known.right.abi() <= 2 {
            return Err(Invariant::BestEffort(known.right));
        }
        handled.push(known.right);
    }
    if handled.is_empty() {
        return Err(Invariant::Handled);
    }
    let mut flags = Vec::new();
    for known in &rules.log {
        check_require(&known.require)?;
        if flags.contains(&known.flag) {
            return Err(Invariant::Log);
        }
        flags.push(known.flag);
    }
    if rules.beneath.len() > MAX_PLACES || rules.ports.len() > MAX_PLACES {
        return Err(Invariant::Place);
    }
    for rule in &rules.beneath {
        check_granted(&rule.rights, &handled, Right::is_fs)?;
        if !rule.path.to_str().is_some_and(is_plain_absolute) {
            return Err(Invariant::Place);
        }
    }
    for rule in &rules.ports {
        check_granted(&rule.rights, &handled, Right::is_net)?;
    }
    let paths: Vec<_> = rules.beneath.iter().map(|rule| &rule.path).collect();
    let ports: Vec<_> = rules.ports.iter().map(|rule| rule.port).collect();
    if repeats(&paths) || repeats(&ports) {
        return Err(Invariant::Place);
    }
    Ok(())
}

fn check_require(require: &Require) -> Result<(), Invariant> {
    match require {
        Require::Full => Ok(()),
        Require::BestEffort { reason } => check_reason(reason),
    }
}

fn check_reason(reason: &str) -> Result<(), Invariant> {
    if is_reason(reason) {
        Ok(())
    } else {
        Err(Invariant::Reason)
    }
}

fn check_granted(
    rights: &[Right],
    handled: &[Right],
    kind: fn(Right) -> bool,
) -> Result<(), Invariant> {
    let fits = |right: &Right| handled.contains(right) && kind(*right);
    if rights.is_empty() || rights.len() > handled.len() || repeats(rights) {
        return Err(Invariant::Granted);
    }
    if !rights.iter().all(fits) {
        return Err(Invariant::Granted);
    }
    Ok(())
}

fn check_process(process: &Process) -> Result<(), Invariant> {
    for follow in [&process.cgroup, &process.label] {
        if let Follow::Target(require) = follow {
            check_require(require)?;
        }
    }
    if let Capabilities::Keep(set) = process.capabilities {
        for capability in set.iter() {
            check_capability(capability)?;
        }
    }
    for (at, rlimit) in process.rlimits.iter().enumerate() {
        // Ends at the 17th at the latest: there are 16 resources.
        let before = process.rlimits.iter().take(at);
        let again = before
            .clone()
            .any(|other| other.resource == rlimit.resource);
        if rlimit.resource > 15 || rlimit.soft > rlimit.hard || again {
            return Err(Invariant::Rlimit(rlimit.resource));
        }
    }
    match process.umask {
        Some(umask) if umask > 0o777 => return Err(Invariant::Umask(umask)),
        _ => {}
    }
    match process.oom_score_adj {
        Some(score) if !(-1000..=1000).contains(&score) => {
            return Err(Invariant::OomScoreAdj(score));
        }
        _ => {}
    }
    match &process.environment {
        Environment::Login { pass }
            if pass.len() > MAX_PASS
                || repeats(pass)
                || !pass.iter().all(|name| is_pass_pattern(name)) =>
        {
            Err(Invariant::Pass)
        }
        _ => Ok(()),
    }
}

fn check_capability(capability: Capability) -> Result<(), Invariant> {
    // A capability without a name prints as a number, which does not parse.
    match Capability::from_name(&capability.to_string()) {
        Some(_) => Ok(()),
        None => Err(Invariant::Capability(capability.number())),
    }
}

fn repeats<T: PartialEq>(all: &[T]) -> bool {
    all.iter()
        .enumerate()
        .any(|(at, one)| all.iter().take(at).any(|other| other == one))
}

impl fmt::Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(
                f,
                "a compiled policy has at most {MAX_ENCODED} bytes, this one {length}"
            ),
            Self::Json(message) => write!(f, "no compiled policy: {message}"),
            Self::Invariant(invariant) => write!(f, "no compiled policy: {invariant}"),
        }
    }
}

impl std::error::Error for DecodeFault {}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "a name has 1 to {MAX_NAME} bytes and no control character"
            ),
            Self::Reason => write!(f, "a layer or right that is left out has a reason"),
            Self::Handled => write!(f, "a Landlock domain handles rights, each once"),
            Self::Log => write!(f, "a Landlock domain requests a log flag once"),
            Self::BestEffort(right) => {
                write!(
                    f,
                    "{:?} cannot be optional: each kernel with the layer has it",
                    right.name()
                )
            }
            Self::Granted => write!(f, "a rule grants rights that are handled, each once"),
            Self::Place => write!(f, "a path is absolute and plain, and has one rule"),
            Self::Capability(number) => write!(f, "no capability has number {number}"),
            Self::Rlimit(resource) => write!(
                f,
                "the limit of resource {resource} is invalid, or is there twice"
            ),
            Self::Umask(umask) => write!(f, "{umask:#o} is not a umask"),
            Self::OomScoreAdj(score) => write!(f, "{score} is not an OOM score adjustment"),
            Self::Pass => write!(f, "a passed name is the name of a variable"),
        }
    }
}

#[cfg(test)]
mod tests;
