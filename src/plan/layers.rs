//! The layers of a policy on this kernel and this root: their construction and status.

use std::os::fd::OwnedFd;

use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::{self, Built, Domain, DomainStatus};
use crate::policy::layered::Layered;
use crate::policy::resolved::{self, LandlockRules, Layer, ResolvedPolicy};
use crate::seccomp::program::Program;
use crate::sys::landlock::{self as kernel, Support};
use crate::target::PathResolver;

/// The sandbox layers, ready to be enforced.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) ceiling: BuiltLayers,
    pub(crate) workload: BuiltLayers,
    /// Handles all, grants nothing; `None`: the kernel has no Landlock.
    pub(crate) supervisor: Option<Domain>,
}

/// The layers of the ceiling or of the workload.
#[derive(Debug)]
pub(crate) struct BuiltLayers {
    pub(crate) ready: Ready,
    pub(crate) status: LayersStatus,
}

/// Layers that are ready to be enforced; `None`: the layer is left out or dropped.
pub(crate) type Ready = Layered<Option<Program>, Option<Domain>>;

/// The status of the layers of the ceiling or of the workload.
pub(crate) type LayersStatus = Layered<Status<usize>, Status<DomainStatus>>;

/// The status of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status<T> {
    /// It is in force.
    InForce(T),
    /// The policy leaves it out.
    None { reason: String },
    /// The policy requests it only if the kernel supports it, and this kernel does not.
    Dropped { reason: String },
}

impl Layers {
    /// Builds every layer of `policy` on `root`.
    pub(crate) fn build(
        policy: &ResolvedPolicy,
        root: &OwnedFd,
        resolver: PathResolver<'_>,
    ) -> Result<Self> {
        let kernel = support()?;
        let layers = [&policy.ceiling.landlock, &policy.workload.landlock];
        ruleset::require(layers.into_iter().filter_map(Layer::enforced), kernel)?;
        Ok(Self {
            ceiling: BuiltLayers::build(&policy.ceiling, root, resolver, kernel)?,
            workload: BuiltLayers::build(&policy.workload, root, resolver, kernel)?,
            supervisor: ruleset::deny_all(kernel)?,
        })
    }

    /// Builds the ceiling of `policy` alone.
    pub(crate) fn build_ceiling(
        policy: &ResolvedPolicy,
        root: &OwnedFd,
        resolver: PathResolver<'_>,
    ) -> Result<BuiltLayers> {
        let kernel = support()?;
        ruleset::require(policy.ceiling.landlock.enforced().into_iter(), kernel)?;
        BuiltLayers::build(&policy.ceiling, root, resolver, kernel)
    }
}

fn support() -> Result<Support> {
    kernel::support().map_err(|errno| {
        Error::new(
            ErrorKind::LockDown,
            "cannot read the Landlock version of the kernel",
        )
        .with_source(errno)
    })
}

impl Layers {
    /// The parts of the policy that it requests and that this kernel lacks, as a list for people;
    /// `None`: there are none.
    pub(crate) fn dropped_parts(&self) -> Option<String> {
        let layer_sets = [
            ("the ceiling", &self.ceiling),
            ("the program", &self.workload),
        ];
        let all: Vec<String> = layer_sets
            .into_iter()
            .filter_map(|(name, layer_set)| dropped_parts(name, &layer_set.status.landlock))
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn dropped_parts(layer_set: &str, landlock: &Status<DomainStatus>) -> Option<String> {
    match landlock {
        Status::Dropped { .. } => Some(format!("{layer_set} has no Landlock domain")),
        Status::InForce(domain) => {
            let rights = domain.dropped.iter().map(|(right, _)| right.name());
            let flags = domain.dropped_log.iter().map(|(flag, _)| flag.name());
            let names: Vec<&str> = rights.chain(flags).collect();
            let text = format!("{layer_set}'s Landlock domain lacks {}", names.join(", "));
            (!names.is_empty()).then_some(text)
        }
        Status::None { .. } => None,
    }
}

impl BuiltLayers {
    /// Audit receives all denials of the domain, independent of the policy.
    pub(crate) fn log_all(&mut self) {
        if let (Some(domain), Status::InForce(status)) =
            (&mut self.ready.landlock, &mut self.status.landlock)
        {
            domain.log_all(status);
        }
    }

    fn build(
        layers: &resolved::Layers,
        root: &OwnedFd,
        resolver: PathResolver<'_>,
        kernel: Support,
    ) -> Result<Self> {
        let (program, seccomp) = match &layers.seccomp {
            Layer::Enforce(program) => (
                Some(program.clone()),
                Status::InForce(program.instructions().len()),
            ),
            Layer::None { reason } => (
                None,
                Status::None {
                    reason: reason.clone(),
                },
            ),
        };
        let (domain, landlock) = build_landlock(&layers.landlock, root, resolver, kernel)?;
        Ok(Self {
            ready: Ready {
                seccomp: program,
                landlock: domain,
            },
            status: LayersStatus { seccomp, landlock },
        })
    }
}

fn build_landlock(
    layer: &Layer<LandlockRules>,
    root: &OwnedFd,
    resolver: PathResolver<'_>,
    kernel: Support,
) -> Result<(Option<Domain>, Status<DomainStatus>)> {
    let rules = match layer {
        Layer::Enforce(rules) => rules,
        Layer::None { reason } => {
            return Ok((
                None,
                Status::None {
                    reason: reason.clone(),
                },
            ));
        }
    };
    Ok(match ruleset::build(rules, root, resolver, kernel)? {
        Built::Domain(domain, status) => (Some(domain), Status::InForce(status)),
        Built::Dropped { reason } => (None, Status::Dropped { reason }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::resolved::{LogFlag, Right};

    #[test]
    fn dropped_parts_of_a_policy_are_named() {
        let reason = || "a test".to_owned();
        let dropped = Status::Dropped { reason: reason() };
        let nothing = Some("the program has no Landlock domain");
        assert_eq!(dropped_parts("the program", &dropped).as_deref(), nothing);
        let partly = Status::InForce(DomainStatus {
            dropped: vec![(Right::IoctlDev, reason())],
            dropped_log: vec![(LogFlag::NewExecOn, reason())],
            ..DomainStatus::default()
        });
        assert_eq!(
            dropped_parts("the ceiling", &partly).as_deref(),
            Some("the ceiling's Landlock domain lacks ioctl_dev, new_exec_on")
        );
        for whole in [
            Status::InForce(DomainStatus::default()),
            Status::None { reason: reason() },
        ] {
            assert_eq!(dropped_parts("the program", &whole), None);
        }
    }
}
