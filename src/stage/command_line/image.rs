//! The image of the program: a confined helper and its request -> [`Image`].

use nix::unistd::geteuid;

use super::capabilities::groups_to_set;
use super::environment::Words;
use super::work_dir::{named_directory, work_dir};
use crate::error::{Context, Result};
use crate::landlock::ruleset::Domain;
use crate::plan::attributes::Attributes;
use crate::plan::credentials::Choice;
use crate::plan::layers::Ready;
use crate::policy::layered::Layered;
use crate::prepare::seccomp_fd::AddedFilters;
use crate::seccomp::program::Program;
use crate::stage::compat_program;
use crate::stage::exec::{CapabilityPlan, Credentials, Image, Listening};
use crate::stage::explain::Explainer;
use crate::stage::joined::{Confined, UnjoinedParts};
use crate::stage::verifier::Verifier;
use crate::stage::verifier::expected::{Expected, Groups, Place};
use crate::sys::signal::CallersSignals;
use crate::target::directory::{self, ProgramRoot};

/// Everything is decided: the helper can start the program.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) image: Image,
    /// Its name, for messages.
    pub(super) program: String,
    /// The working directory that was requested, for messages.
    pub(super) directory: Option<String>,
    /// The state that the child must have before it is released.
    pub(super) expected: Expected,
    pub(super) verifier: Verifier,
    pub(super) supervisor: Option<Domain>,
    pub(super) explainer: Option<Explainer>,
}

impl Prepared {
    pub(super) fn new(
        confined: Confined,
        capabilities: CapabilityPlan,
        signals: CallersSignals,
    ) -> Result<Self> {
        let Confined {
            mut unjoined,
            mut opened,
            workload,
            ..
        } = confined;
        let uid = unjoined
            .credentials
            .uid
            .unwrap_or_else(|| geteuid().as_raw());
        let words = Words::compose(&mut unjoined, &mut opened, uid)?;
        let (explainer, listening) = listening(confined.explainer)?;
        let place = place(&opened.root)?;
        let drops_groups = unjoined.credentials.drop_groups;
        let directory = named_directory(&unjoined.request);
        let refuses_32_bit = confined.refuses_32_bit || refuses_32_bit(&unjoined);
        let process = unjoined.policy.process;
        let image = Image {
            attributes: Attributes::new(&unjoined.request, &process),
            work_dir: work_dir(
                unjoined.request.work_dir,
                opened.work_dir,
                &opened.root,
                unjoined.enters_mounts,
            )?,
            root: opened.root.for_chroot(),
            credentials: ids(unjoined.credentials)?,
            own_standard: false,
            capabilities,
            exec_label: None,
            no_new_privs: process.no_new_privs,
            layers: layers(unjoined.added_filters, workload.ready),
            refuses_32_bit,
            audited: confined.audited,
            listening,
            preserved: unjoined.preserved,
            signals,
            candidates: words.candidates,
            argv: words.argv,
            envp: words.envp,
        };
        let expected = image
            .expected(groups(drops_groups), confined.filters, place)
            .context("the capabilities of the helper cannot be read")?;
        Ok(Self {
            image,
            program: words.program,
            directory,
            expected,
            verifier: confined.verifier,
            supervisor: confined.supervisor,
            explainer,
        })
    }
}

fn ids(choice: Choice) -> Result<Credentials> {
    Ok(Credentials {
        uid: choice.uid,
        gid: choice.gid,
        groups: groups_to_set(choice.drop_groups)?,
    })
}

/// The policy's own filter is the last one. A check has shown that the added filters do not prevent
/// its loading.
fn layers(added: AddedFilters, workload: Ready) -> Layered<Vec<Program>, Option<Domain>> {
    let Ready { seccomp, landlock } = workload;
    Layered {
        seccomp: added.into_programs().chain(seccomp).collect(),
        landlock,
    }
}

fn groups(dropped: bool) -> Groups {
    match dropped {
        true => Groups::None,
        false => Groups::Unchanged,
    }
}

fn place(root: &ProgramRoot) -> Result<Place> {
    match root {
        ProgramRoot::Own(root) | ProgramRoot::Other(root) => Place::of(root),
        ProgramRoot::AfterJoin => Place::of(&directory::own_root()?),
    }
}

fn listening(
    explained: Option<(Explainer, Program)>,
) -> Result<(Option<Explainer>, Option<Listening>)> {
    let Some((explainer, filter)) = explained else {
        return Ok((None, None));
    };
    let control = explainer.control()?;
    Ok((Some(explainer), Some(Listening { filter, control })))
}

/// Whether a filter of the program refuses 32-bit programs.
fn refuses_32_bit(unjoined: &UnjoinedParts) -> bool {
    let workload = unjoined.policy.workload.seccomp.enforced();
    compat_program::refused(
        workload
            .into_iter()
            .chain(unjoined.added_filters.programs()),
    )
}
