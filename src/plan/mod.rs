//! The plan of an exec, made before any step: Request + Target + policy -> [`Plan`].
//!
//! Preparing a plan opens and reads; it changes nothing. Applying a plan consumes it.

pub(crate) mod attributes;
pub(crate) mod credentials;
pub(crate) mod environment;
pub(crate) mod layers;
pub(crate) mod opened;
mod prepare;
pub(crate) mod report;

use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::CapabilitySet;
use crate::policy::resolved::{Capabilities, Process, ResolvedPolicy};
use crate::prepare::cannot_clone::clone_error;
use crate::prepare::filters;
use crate::prepare::own_file::OwnFile;
use crate::prepare::policy_origin::Origin;
use crate::prepare::preserved::Preserved;
use crate::prepare::seccomp_fd::AddedFilters;
use crate::prepare::status::StatusLines;
use crate::request::{Namespace, Request};
use crate::sys::signal::CallersSignals;
use crate::target::{Finder, Memberships, Procfs, Target, cgroup, label, socket};
use layers::Layers;
use opened::Opened;

/// Everything that an exec needs, opened and decided.
///
/// [`Plan::prepare`] makes it, [`Plan::to_json`] shows it, [`Plan::execute`] applies it.
#[derive(Debug)]
pub struct Plan {
    pub(crate) request: Request,
    pub(crate) policy: ResolvedPolicy,
    pub(crate) own_file: OwnFile,
    pub(crate) procfs: Procfs,
    pub(crate) target: Option<Target>,
    pub(crate) memberships: Memberships,
    pub(crate) opened: Opened,
    /// `None` until the root can be opened (see [`ProgramRoot::AfterJoin`]).
    pub(crate) layers: Option<Layers>,
    /// For lookups at that time.
    pub(crate) finder: Option<Finder>,
    pub(crate) target_environment: Option<OwnedFd>,
    pub(crate) cgroups: cgroup::Decision,
    pub(crate) credentials: credentials::Choice,
    /// The SELinux context of `-Z`.
    pub(crate) context: Option<Vec<u8>>,
    /// The policy's decision.
    pub(crate) label: label::Decision,
    /// The source of the policy, if its refusals are to be explained.
    pub(crate) explains: Option<Origin>,
    /// In addition to the policy's filters.
    pub(crate) added_filters: AddedFilters,
    pub(crate) preserved: Preserved,
    /// The lines of `--status-fd`.
    pub(crate) lines: Option<StatusLines>,
    /// The caller's signals; `None`: not taken yet.
    pub(crate) signals: Option<CallersSignals>,
}

impl Plan {
    /// Opens the objects that the request names, and decides how to do the exec.
    ///
    /// # Errors
    /// Any [`ErrorKind`] but `NotFound`, `NotExecutable` and `Join`.
    pub(crate) fn of(
        request: Request,
        policy: ResolvedPolicy,
        own_file: OwnFile,
        procfs: Procfs,
    ) -> Result<Self> {
        require_descriptors(&request, &policy)?;
        let target = request.target.map(|id| Target::pin(&procfs, id));
        let target = target.transpose()?;
        let pinned = target.as_ref();
        let network = open_network_of_socket(&request, pinned)?;
        let memberships = Memberships::open(
            &request.namespaces,
            request.user_parent,
            request.no_fork,
            pinned,
            network.as_ref(),
            &procfs,
        )?;
        let finder = start_finder(pinned, &memberships, &procfs)?;
        let (opened, layers) =
            Opened::before_join(&request, &policy, pinned, &memberships, &finder)?;
        let Process { cgroup, label, .. } = &policy.process;
        let cgroups = cgroup::decide(request.join_cgroup, cgroup, pinned, &procfs, &finder)?;
        // Lookups after the join need the finder as well.
        let finder = layers.is_none().then_some(finder);
        let label = label::decide(label, pinned, &procfs)?;
        let joins_user = memberships.joins(Namespace::User);
        require_capabilities_to_keep(&request, &policy, joins_user)?;
        let credentials =
            credentials::Choice::make(&request, &policy.process, &memberships, pinned, &procfs)?;
        let of_target = |wanted: bool| pinned.filter(|_| wanted);
        let context = of_target(request.follow_context).map(security_context);
        let environment = of_target(request.target_environment);
        let environment = environment.map(|target| target.open_file("environ"));
        pinned.map_or(Ok(()), Target::still_there)?;
        Ok(Self {
            request,
            policy,
            own_file,
            procfs,
            target,
            memberships,
            opened,
            layers,
            finder,
            target_environment: environment.transpose()?,
            cgroups,
            credentials,
            context: context.transpose()?.flatten(),
            label,
            explains: None,
            added_filters: AddedFilters::none(),
            preserved: Preserved::none(),
            lines: None,
            signals: None,
        })
    }
}

/// The network namespace of the socket that the request names.
fn open_network_of_socket(request: &Request, target: Option<&Target>) -> Result<Option<OwnedFd>> {
    let (Some(target), Some(number)) = (target, request.namespaces.socket()) else {
        return Ok(None);
    };
    let cannot_clone = clone_error("the process that takes a socket");
    let filter = filters::socket_taker()?;
    socket::network_namespace(target, number, &filter, cannot_clone).map(Some)
}

fn require_descriptors(request: &Request, policy: &ResolvedPolicy) -> Result<()> {
    if request.preserve_fds.is_empty() || policy.preserve_fds {
        return Ok(());
    }
    let wrong = format!(
        "--preserve-fds, --preserve-fd: the policy {} hands no descriptors over",
        policy.name
    );
    Err(Error::new(ErrorKind::Policy, wrong).with_hint("use one with [fds] preserve"))
}

fn require_capabilities_to_keep(
    request: &Request,
    policy: &ResolvedPolicy,
    joins_user: bool,
) -> Result<()> {
    if !request.keep_caps {
        return Ok(());
    }
    if !joins_user {
        let wrong = "--keep-caps: no user namespace is joined, and the caller's own \
                     capabilities are not handed to another user";
        return Err(Error::new(ErrorKind::Usage, wrong)
            .with_hint("leave it out, or join a user namespace with -U"));
    }
    if policy.process.capabilities == Capabilities::Keep(CapabilitySet::EMPTY) {
        let wrong = format!(
            "--keep-caps: the policy {} names no capability",
            policy.name
        );
        return Err(Error::new(ErrorKind::Policy, wrong)
            .with_hint("leave it out, or use a --policy with capabilities"));
    }
    Ok(())
}

/// The finder makes the lookups. If a mount namespace is named as a file, it makes them after the
/// helper's join.
fn start_finder(
    target: Option<&Target>,
    memberships: &Memberships,
    procfs: &Procfs,
) -> Result<Finder> {
    let in_target = memberships.is_targets(Namespace::Mnt);
    let own = procfs.own_directory()?;
    let joins_later = memberships.joins(Namespace::Mnt) && !in_target;
    let mounts = || match target {
        Some(target) if in_target => target.read("mountinfo"),
        _ if joins_later => own.mounts(),
        _ => procfs.own_directory()?.mounts(),
    };
    let mut kept = vec![procfs.as_fd(), own.as_fd()];
    kept.extend(target.map(Target::directory));
    let cannot_clone = clone_error("the finder, the process that looks up files,");
    let filter = filters::finder()?;
    Finder::start(&filter, &kept, procfs, &mounts, cannot_clone)
}

/// The target's SELinux context, for the program; `None`: SELinux is not active on this kernel.
fn security_context(target: &Target) -> Result<Option<Vec<u8>>> {
    let unsupported = |error: Error| {
        Error::new(
            ErrorKind::Unsupported,
            "-Z: no security context can be followed here",
        )
        .with_source(error)
        .with_hint("leave -Z out: this kernel runs without SELinux")
    };
    let enabled = std::path::Path::new("/sys/fs/selinux/enforce").exists();
    if !enabled {
        return Ok(None);
    }
    let context = target.read("attr/current").map_err(unsupported)?;
    let context = context.strip_suffix(&[0]).unwrap_or(&context);
    Ok(Some(context.to_vec()))
}
