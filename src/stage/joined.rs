//! Steps 3a to 5 of an exec, the same for the command line and protocol A: a [`Plan`] becomes a
//! [`Joined`] helper, and that a [`Confined`] one.

use std::os::fd::OwnedFd;

use super::ceiling::Ceiling;
use super::exec_label::ExecLabel;
use super::explain::{Audited, Explained, Explainer};
use super::join::Inside;
use super::joining::Joining;
use super::verifier::Verifier;
use super::{compat_program, keyring};
use crate::error::{Error, ErrorKind, Result};
use crate::landlock::ruleset::Domain;
use crate::plan::layers::{BuiltLayers, Layers, LayersStatus};
use crate::plan::opened::Opened;
use crate::plan::{Plan, credentials};
use crate::policy::resolved::ResolvedPolicy;
use crate::prepare::preserved::{self, Preserved};
use crate::prepare::seccomp_fd::AddedFilters;
use crate::request::{Namespace, Request};
use crate::seccomp::program::Program;
use crate::target::Procfs;
use crate::target::label::{self, Label};

/// The parts of a plan that the joins do not change.
#[derive(Debug)]
pub(crate) struct UnjoinedParts {
    pub(crate) request: Request,
    pub(crate) policy: ResolvedPolicy,
    pub(crate) credentials: credentials::Choice,
    pub(crate) target_environment: Option<OwnedFd>,
    pub(crate) added_filters: AddedFilters,
    pub(crate) preserved: Preserved,
    /// The program has the SELinux context of `-Z`.
    pub(crate) labelled: bool,
    pub(crate) enters_mounts: bool,
    /// It joins a network namespace and keeps the caller's user namespace: its capabilities also
    /// count in the caller's network.
    pub(crate) has_power_over_callers_network: bool,
}

/// The helper has joined all namespaces, and no layer is in force.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) unjoined: UnjoinedParts,
    pub(crate) opened: Opened,
    pub(crate) layers: Layers,
    verifier: Verifier,
    explained: Option<Explained>,
}

/// The helper is under the ceiling.
#[derive(Debug)]
pub(crate) struct Confined {
    pub(crate) unjoined: UnjoinedParts,
    pub(crate) opened: Opened,
    pub(crate) verifier: Verifier,
    /// The number of filters of the ceiling.
    pub(crate) filters: u32,
    pub(crate) ceiling: LayersStatus,
    pub(crate) workload: BuiltLayers,
    pub(crate) supervisor: Option<Domain>,
    pub(crate) audited: Audited,
    /// The explainer, and the filter that is loaded last, with a listener.
    pub(crate) explainer: Option<(Explainer, Program)>,
    /// The ceiling's filter refuses 32-bit programs.
    pub(crate) refuses_32_bit: bool,
}

impl Plan {
    /// Starts the verifier and, on request, the explainer; joins; opens what could not be opened
    /// before. `sends_files`: the child receives its own files from the verifier.
    ///
    /// # Errors
    /// Those of [`Joining`], and of the objects opened after the joins.
    pub(crate) fn join(self, sends_files: bool) -> Result<Joined> {
        preserved::close_helpers_own(&self.request)?;
        let labelled = self.context.is_some();
        label_next_execve(&self.procfs, self.context, self.label)?;
        let enters_mounts = self.memberships.joins(Namespace::Mnt);
        let joins_network = self.memberships.joins(Namespace::Net);
        let has_power_over_callers_network =
            joins_network && !self.memberships.joins(Namespace::User);
        let inside = if self.request.preserve_credentials {
            Inside::Same
        } else {
            Inside::Root
        };
        let joining = Joining::start(
            self.procfs,
            self.memberships,
            self.target,
            self.cgroups,
            self.request.no_fork,
            sends_files,
        )?;
        let (request, policy) = (self.request, self.policy);
        let mut explained = self
            .explains
            .map(|origin| Explained::start(request.explain, &policy, origin))
            .transpose()?;
        keyring::renew(policy.process.keyring)?;
        let verifier = joining.join(inside)?;
        if let (Some(explained), true) = (&mut explained, joins_network) {
            explained.explainer.renew()?;
        }
        let (opened, layers) = match (self.layers, self.finder) {
            (Some(layers), _) => (self.opened, layers),
            // The root is that of a mount namespace that was given as a file.
            (None, Some(finder)) => self.opened.after_join(&request, &policy, &finder)?,
            (None, None) => {
                let wrong = "the program's root is missing from the plan";
                return Err(Error::new(ErrorKind::System, wrong));
            }
        };
        Ok(Joined {
            unjoined: UnjoinedParts {
                request,
                policy,
                credentials: self.credentials,
                target_environment: self.target_environment,
                added_filters: self.added_filters,
                preserved: self.preserved,
                labelled,
                enters_mounts,
                has_power_over_callers_network,
            },
            opened,
            layers,
            verifier,
            explained,
        })
    }
}

impl Joined {
    /// Puts the ceiling in force, for this process and all that it creates.
    ///
    /// # Errors
    /// `LockDown`: a layer could not be put in force. The process must then end.
    pub(crate) fn confine(self) -> Result<Confined> {
        let Layers {
            mut ceiling,
            mut workload,
            supervisor,
        } = self.layers;
        let policy = &self.unjoined.policy;
        let refuses_32_bit = compat_program::refused(ceiling.ready.seccomp.iter());
        let mut audited = Audited::KernelDefault;
        let explainer = self.explained.map(|Explained { explainer, filters }| {
            audited = Audited::Whole;
            ceiling.log_all();
            workload.log_all();
            ceiling.ready.seccomp = filters.ceiling;
            workload.ready.seccomp = filters.workload;
            (explainer, filters.last)
        });
        let filters = u32::from(ceiling.ready.seccomp.is_some());
        let status = ceiling.status;
        let ceiling = Ceiling {
            no_new_privs: policy.process.no_new_privs,
            layers: ceiling.ready,
            audited,
        };
        ceiling.enforce()?;
        Ok(Confined {
            unjoined: self.unjoined,
            opened: self.opened,
            verifier: self.verifier,
            filters,
            ceiling: status,
            workload,
            supervisor,
            audited,
            explainer,
            refuses_32_bit,
        })
    }
}

/// The label applies to the next execve, by a child of this process, which inherits it. It is
/// written before the joins because the target may have mounted its own /proc.
fn label_next_execve(
    procfs: &Procfs,
    context: Option<Vec<u8>>,
    label: label::Decision,
) -> Result<()> {
    let write = |label| {
        let directory = procfs.open_directory(c"thread-self").map_err(|errno| {
            Error::new(ErrorKind::System, "/proc/thread-self").with_source(errno)
        })?;
        let label = match label {
            Label::AppArmor(profile) => ExecLabel::apparmor(directory, &profile),
            Label::Selinux(context) => ExecLabel::selinux(directory, context),
        };
        label.write().map_err(|failure| failure.into_error("-Z"))
    };
    match (context, label) {
        (Some(context), _) => write(Label::Selinux(context)),
        (None, label::Decision::Follow(label)) => {
            let text = label.to_text();
            write(label).map_err(|error| {
                let wrong = format!("the program cannot have the target's label {text:?}");
                Error::new(ErrorKind::LockDown, wrong)
                    .with_source(error)
                    .with_hint(
                        "use a policy with label = \"caller\", such as admin, to leave it out",
                    )
            })
        }
        (None, label::Decision::NotRequested | label::Decision::NothingToFollow) => Ok(()),
    }
}
