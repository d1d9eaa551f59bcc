//! The plan of an exec, made before any step: Request + Target + policy -> [`Plan`].
//!
//! Preparing a plan opens and reads; it changes nothing. Applying a plan consumes it.

pub(crate) mod credentials;
pub(crate) mod environment;
pub(crate) mod layers;
pub(crate) mod report;

use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::CapabilitySet;
use crate::policy::resolved::{Capabilities, Environment, ResolvedPolicy};
use crate::prepare::cannot_clone::clone_error;
use crate::prepare::filters;
use crate::prepare::own_file::OwnFile;
use crate::prepare::policy_origin::Origin;
use crate::prepare::preserved::Preserved;
use crate::prepare::seccomp_fd::AddedFilters;
use crate::prepare::status::StatusLines;
use crate::request::{Namespace, Request, Selection};
use crate::sys::signal::CallersSignals;
use crate::target::directory::{self, ProgramRoot};
use crate::target::{Finder, Memberships, PathResolver, Procfs, RootFile, Target, cgroup, label};
use layers::Layers;

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
    pub(crate) root: ProgramRoot,
    pub(crate) work_dir: Option<OwnedFd>,
    /// `None` until the root can be opened (see [`ProgramRoot::AfterJoin`]).
    pub(crate) layers: Option<Layers>,
    /// For lookups at that time.
    pub(crate) finder: Option<Finder>,
    /// passwd(5) and group(5) of the program's root.
    pub(crate) accounts: Accounts,
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
        if !request.preserve_fds.is_empty() && !policy.preserve_fds {
            let wrong = format!(
                "--preserve-fds, --preserve-fd: the policy {} hands no descriptors over",
                policy.name
            );
            return Err(
                Error::new(ErrorKind::Policy, wrong).with_hint("use one with [fds] preserve")
            );
        }
        let target = request
            .target
            .map(|id| Target::pin(&procfs, id))
            .transpose()?;
        let memberships = Memberships::open(
            &request.namespaces,
            request.user_parent,
            request.no_fork,
            target.as_ref(),
            &procfs,
        )?;
        let in_target = memberships.is_targets(Namespace::Mnt);
        let own = procfs.own_directory()?;
        // The finder makes the lookups. If a mount namespace is named as a file, it makes them
        // after the helper's join.
        let joins_later = memberships.joins(Namespace::Mnt) && !in_target;
        let mounts = || match &target {
            Some(target) if in_target => target.read("mountinfo"),
            _ if joins_later => own.mounts(),
            _ => procfs.own_directory()?.mounts(),
        };
        let mut kept = vec![procfs.as_fd(), own.as_fd()];
        kept.extend(target.as_ref().map(Target::directory));
        let cannot_clone = clone_error("the process that looks files up");
        let filter = filters::finder()?;
        let finder = Finder::start(&filter, &kept, &procfs, &mounts, cannot_clone)?;
        let root = ProgramRoot::open(&request, target.as_ref(), &memberships, &finder)?;
        let work_dir =
            directory::open_work_dir(&request, target.as_ref(), &memberships, &root, &finder)?;
        let (layers, accounts) = match root.directory() {
            None => (None, Accounts::UNNEEDED),
            Some(root) => (
                Some(Layers::build(&policy, root, PathResolver::Finder(&finder))?),
                Accounts::open(root, &request, &policy, &finder)?,
            ),
        };
        let target_environment = match (&target, request.target_environment) {
            (Some(target), true) => Some(target.open_file("environ")?),
            _ => None,
        };
        let cgroups = cgroup::decide(
            request.join_cgroup,
            &policy.process.cgroup,
            target.as_ref(),
            &procfs,
            &finder,
        )?;
        // Lookups after the join need the finder as well.
        let finder = layers.is_none().then_some(finder);
        let label = label::decide(&policy.process.label, target.as_ref(), &procfs)?;
        let joins_user = memberships.joins(Namespace::User);
        if request.keep_caps && !joins_user {
            let wrong = "--keep-caps: no user namespace is joined, and the caller's own \
                         capabilities are not handed to another user";
            return Err(Error::new(ErrorKind::Usage, wrong)
                .with_hint("leave it out, or join a user namespace with -U"));
        }
        if request.keep_caps
            && policy.process.capabilities == Capabilities::Keep(CapabilitySet::EMPTY)
        {
            let wrong = format!(
                "--keep-caps: the policy {} names no capability",
                policy.name
            );
            return Err(Error::new(ErrorKind::Policy, wrong)
                .with_hint("leave it out, or use a --policy with capabilities"));
        }
        let credentials =
            credentials::Choice::make(&request, &policy.process, &memberships, target.as_ref())?;
        let context = match (&target, request.follow_context) {
            (Some(target), true) => security_context(target)?,
            _ => None,
        };
        if let Some(target) = &target {
            target.still_there()?;
        }
        Ok(Self {
            request,
            policy,
            own_file,
            procfs,
            target,
            memberships,
            root,
            work_dir,
            layers,
            finder,
            accounts,
            target_environment,
            cgroups,
            credentials,
            context,
            label,
            explains: None,
            added_filters: AddedFilters::none(),
            preserved: Preserved::none(),
            lines: None,
            signals: None,
        })
    }
}

/// The files that describe users and groups, as far as they are needed.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) passwd: RootFile,
    pub(crate) group: RootFile,
}

impl Accounts {
    /// No file is needed, or the root cannot be opened yet.
    const UNNEEDED: Self = Self {
        passwd: RootFile::Unneeded,
        group: RootFile::Unneeded,
    };

    /// Opens the files that `request` and `policy` need: for HOME, USER and SHELL, and in protocol
    /// A for the user that initConfig will name.
    pub(crate) fn open(
        root: &OwnedFd,
        request: &Request,
        policy: &ResolvedPolicy,
        finder: &Finder,
    ) -> Result<Self> {
        let open = |path| RootFile::open(finder, root, path);
        if matches!(request.namespaces, Selection::ProtocolA) {
            return Ok(Self {
                passwd: open(c"etc/passwd")?,
                group: open(c"etc/group")?,
            });
        }
        match &policy.process.environment {
            Environment::Login { .. } if !request.target_environment => Ok(Self {
                passwd: open(c"etc/passwd")?,
                group: RootFile::Unneeded,
            }),
            _ => Ok(Self::UNNEEDED),
        }
    }

    /// Warnings about them.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &str> {
        [&self.passwd, &self.group]
            .into_iter()
            .filter_map(|file| file.warning())
    }
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
