//! Steps 1 to 3, the same for the command line and protocol A: Request -> [`Plan`].

use super::Plan;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::resolved::{Capabilities, Follow, Process, ResolvedPolicy};
use crate::prepare::policy_choice::{self, Frontend};
use crate::prepare::preserved::Declared;
use crate::prepare::status::StatusLines;
use crate::prepare::{clean, own_file};
use crate::request::{Explain, Request};
use crate::sys::signal::CallersSignals;
use crate::target::Procfs;

impl Plan {
    /// Opens all objects that the request names and decides how to do the exec. Changes only this
    /// process: descriptors above 2 become CLOEXEC, the process becomes undumpable and takes the
    /// policy's oom_score_adj, it ignores SIGPIPE but not SIGCHLD, and it unblocks SIGHUP, SIGINT
    /// and SIGTERM. The program gets the caller's signals back.
    ///
    /// # Errors
    /// Any [`ErrorKind`] but `NotFound`, `NotExecutable` and `Join`; `Safety` if
    /// [`crate::protect_own_file`] was not called.
    pub fn prepare(request: Request) -> Result<Self> {
        Self::prepare_for(request, Frontend::CommandLine)
    }

    /// The same for a frontend, whose policy is used if the request names none.
    pub(crate) fn prepare_for(request: Request, frontend: Frontend) -> Result<Self> {
        let declared = Declared::take(&request)?;
        let mut lines = request.status_fd.map(StatusLines::open).transpose()?;
        let signals = CallersSignals::take().map_err(|errno| {
            Error::new(ErrorKind::System, "cannot block the signals of the helper")
                .with_source(errno)
        })?;
        match Self::open(request, declared, frontend) {
            Ok(plan) => Ok(Self {
                lines,
                signals: Some(signals),
                ..plan
            }),
            Err(error) => {
                lines.iter_mut().for_each(|lines| lines.failed(&error));
                Err(error)
            }
        }
    }

    fn open(request: Request, declared: Declared, frontend: Frontend) -> Result<Self> {
        let Declared {
            preserved,
            programs,
        } = declared;
        let procfs = Procfs::open()?;
        let own_file = own_file::status(&procfs)?;
        clean::prepare_process(&procfs)?;
        let programs = programs.read()?;
        let loaded = policy_choice::load(&request.policy, frontend)?;
        let policy = loaded.policy;
        require_suitable(&policy, frontend)?;
        let added_filters = programs.checked_against(&policy)?;
        // In protocol A the runtime names the adjustment, in initConfig.
        if let (Some(adjust), Frontend::CommandLine) = (policy.process.oom_score_adj, frontend) {
            adjust_oom_score(adjust)?;
        }
        clean::set_undumpable()?;
        let explains = (request.explain != Explain::No).then_some(loaded.origin);
        Ok(Self {
            explains,
            added_filters,
            preserved,
            ..Self::of(request, policy, own_file, procfs)?
        })
    }
}

/// In protocol A the runtime names the capabilities, and moves the program to its cgroup and label.
fn require_suitable(policy: &ResolvedPolicy, frontend: Frontend) -> Result<()> {
    let Process {
        cgroup,
        label,
        capabilities,
        ..
    } = &policy.process;
    match frontend {
        Frontend::CommandLine if *capabilities == Capabilities::InitConfig => {
            let wrong = format!("the policy {} is for protocol A", policy.name);
            Err(Error::new(ErrorKind::Policy, wrong)
                .with_hint("use a policy with a list of capabilities"))
        }
        Frontend::ProtocolA if *cgroup != Follow::Caller || *label != Follow::Caller => {
            let wrong = format!(
                "the policy {} follows the target's cgroup or label",
                policy.name
            );
            Err(Error::new(ErrorKind::Policy, wrong)
                .with_hint("in this protocol the runtime does: use one with \"caller\" for both"))
        }
        _ => Ok(()),
    }
}

/// Before the helper becomes undumpable: until then its user owns its files in /proc.
fn adjust_oom_score(adjust: i16) -> Result<()> {
    let value = adjust.to_string();
    let now = std::fs::read("/proc/self/oom_score_adj").unwrap_or_default();
    if now.trim_ascii() == value.as_bytes() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj");
    file.and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|error| {
            Error::new(
                ErrorKind::Policy,
                format!("oom_score_adj {value} cannot be set"),
            )
            .with_source(error)
            .with_hint("lowering it requires CAP_SYS_RESOURCE")
        })
}
