//! initConfig -> [`Image`].

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use super::child::Child;
use super::init_pipe::Received;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::plan::attributes::{Attributes, OomScoreAdj};
use crate::plan::environment::{self, Variables};
use crate::plan::opened::Accounts;
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::layered::Layered;
use crate::policy::needs;
use crate::prepare::clean;
use crate::prepare::filters;
use crate::prepare::preserved::Preserved;
use crate::seccomp::compile::compile;
use crate::seccomp::libcontainer;
use crate::seccomp::program::Program;
use crate::seccomp::table::is_known_somewhere;
use crate::stage::compat_program;
use crate::stage::exec::{CapabilityPlan, Credentials, Image, WorkDir};
use crate::stage::exec_label::ExecLabel;
use crate::stage::explain::Audited;
use crate::stage::own_files::OwnFiles;
use crate::standard_error::warn;
use crate::sys::credentials;
use crate::sys::exec::StringArray;
use crate::target::RootFile;
use crate::userdb::{self, Identity};
use crate::wire::init_config::{self, InitConfig};
use nsexec_text::json::printable;

impl Child {
    pub(super) fn prepare(
        self,
        received: Received,
        own_files: OwnFiles,
    ) -> Result<(Image, String)> {
        let config = parse(&received)?;
        let preserved = self.passed_files(config.passed_files)?;
        let has = |capability| config.capabilities.contains(capability);
        // A runtime gives CAP_SYS_ADMIN to containers that it trusts with the host.
        if self.has_power_over_callers_network
            && has(Capability::NET_ADMIN)
            && !has(Capability::SYS_ADMIN)
        {
            clean::refuse_callers_network(ErrorKind::Protocol)?;
        }
        let identity = Self::identity(self.accounts, &config)?;
        let variables = variables(&config, &identity);
        let first = config.args.first().cloned().unwrap_or_default();
        let candidates = environment::candidates(&first, &variables)?;
        let mut seccomp: Vec<Program> = self.workload.ready.seccomp.into_iter().collect();
        if let Some(filter) = &config.seccomp {
            seccomp.push(own_filter(filter)?);
        }
        let oom_score_adj = oom_score_adj(
            own_files.oom_score_adj,
            &self.oom_score_adj,
            config.oom_score_adj,
        )?;
        let exec_label = exec_label(own_files.directory, &config)?;
        let image = Image {
            attributes: Attributes {
                rlimits: config.rlimits,
                oom_score_adj,
                ..Attributes::of_policy(&self.process)
            },
            root: self.root.for_chroot(),
            work_dir: config.cwd.map_or(WorkDir::Keep, WorkDir::Path),
            credentials: Credentials {
                uid: Some(identity.uid),
                gid: Some(identity.gid),
                groups: Some(identity.groups),
            },
            own_standard: true,
            capabilities: capabilities(config.capabilities)?,
            exec_label,
            no_new_privs: self.process.no_new_privs,
            refuses_32_bit: self.ceiling_refuses_32_bit || compat_program::refused(seccomp.iter()),
            layers: Layered {
                seccomp,
                landlock: self.workload.ready.landlock,
            },
            audited: Audited::KernelDefault,
            listening: None,
            preserved,
            signals: self.signals,
            candidates,
            argv: StringArray::new(config.args),
            envp: StringArray::new(variables.into_strings()),
        };
        Ok((image, first.to_string_lossy().into_owned()))
    }

    /// Descriptors 3 to 3 + N - 1 are the caller's. A descriptor that was not open at the helper's
    /// start would be one of the helper's own.
    fn passed_files(&self, count: u32) -> Result<Preserved> {
        Preserved::counted(count, self.handed_over).ok_or_else(|| {
            let wrong = format!(
                "passed_files_count {count}: descriptor {} was not passed",
                3 + self.handed_over
            );
            Error::new(ErrorKind::Protocol, wrong)
                .with_hint("count the files that were passed, from descriptor 3 on")
        })
    }

    /// The user, from the passwd and group files of the program's root.
    fn identity(accounts: Accounts, config: &InitConfig) -> Result<Identity> {
        for warning in accounts.warnings() {
            warn(warning);
        }
        let [needs_passwd, needs_group] = userdb::needs(&config.user, &config.additional_groups);
        let read = |file: RootFile, needed: bool| match file.read(userdb::MAX_FILE) {
            Err(error) if !needed => {
                warn(&error.to_string());
                Ok(Vec::new())
            }
            other => other,
        };
        // If the user does not need it, passwd serves only to find HOME.
        let passwd = read(accounts.passwd, needs_passwd)?;
        let group = match needs_group {
            true => read(accounts.group, true)?,
            false => Vec::new(),
        };
        let (uid, gid) = (
            nix::unistd::getuid().as_raw(),
            nix::unistd::getgid().as_raw(),
        );
        let mut identity = userdb::resolve(&config.user, &passwd, &group, uid, gid)
            .map_err(|fault| Error::new(ErrorKind::Protocol, fault.reason.to_string()))?;
        identity
            .add_groups(&config.additional_groups, &group)
            .map_err(|fault| Error::new(ErrorKind::Protocol, fault.reason.to_string()))?;
        for warning in &identity.warnings {
            warn(&warning.to_string());
        }
        Ok(identity)
    }
}

fn parse(received: &Received) -> Result<InitConfig> {
    if !received.whole {
        let wrong = format!(
            "initConfig is longer than {} bytes",
            init_config::MAX_INIT_CONFIG
        );
        return Err(Error::new(ErrorKind::Protocol, wrong));
    }
    init_config::parse(&received.text)
        .map_err(|fault| Error::new(ErrorKind::Protocol, format!("initConfig: {fault}")))
}

/// The environment of initConfig, with HOME from passwd if it is not set.
fn variables(config: &InitConfig, identity: &Identity) -> Variables {
    let pairs = config.env.iter();
    let pairs = pairs.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let mut variables = Variables::from_pairs(pairs);
    if variables.value(b"HOME").is_none_or(<[u8]>::is_empty) {
        variables.set(b"HOME", identity.home.as_bytes().to_vec());
    }
    variables
}

/// The capabilities that initConfig gives the program, exactly. The kernel refuses to set more than
/// the helper has.
fn capabilities(wanted: CapabilitySet) -> Result<CapabilityPlan> {
    let now =
        credentials::capabilities().context("the capabilities of the helper cannot be read")?;
    let bounding = now
        .effective
        .contains(Capability::SETPCAP)
        .then_some(wanted);
    let ambient = CapabilitySet::EMPTY;
    Ok(CapabilityPlan::Set {
        bounding,
        permitted: wanted,
        ambient,
    })
}

/// The filter of initConfig. Skips calls that this architecture does not have, as libcontainer
/// does.
fn own_filter(config: &libcontainer::Config) -> Result<Program> {
    let failed = |what: String| Error::new(ErrorKind::Protocol, format!("seccomp: {what}"));
    let arch = filters::native()?;
    let resolved = libcontainer::resolve_libcontainer_2015(config, arch)
        .map_err(|reason| failed(reason.to_string()))?;
    if let Some(warning) = skipped_warning(&resolved.skipped) {
        warn(&warning);
    }
    if let Some(call) = needs::denied_to_workload(&resolved.profile, arch) {
        return Err(failed(format!(
            "it denies {call}, without which nothing can be executed"
        )));
    }
    compile(&resolved.profile, arch).map_err(|fault| failed(fault.to_string()))
}

/// One line for all names that no architecture has; none for those of other architectures, which
/// cannot be called here. An engine's profile has a hundred of those, and standard error belongs to
/// the program.
fn skipped_warning(skipped: &[String]) -> Option<String> {
    /// How many names the line lists.
    const NAMED: usize = 3;
    let unknown = skipped.iter().filter(|name| !is_known_somewhere(name));
    let unknown: BTreeSet<&String> = unknown.collect();
    let count = unknown.len();
    let named: Vec<String> = unknown
        .into_iter()
        .take(NAMED)
        .map(|name| printable(name))
        .collect();
    let named = named.join(", ");
    match count {
        0 => None,
        1 => Some(format!(
            "seccomp: {named} is not a system call, and is ignored"
        )),
        _ => {
            let more = if count > NAMED { ", ..." } else { "" };
            Some(format!(
                "seccomp: {count} names are not system calls and are ignored: {named}{more}"
            ))
        }
    }
}

/// The adjustment to write; `None`: it has the value already.
fn oom_score_adj(file: Option<OwnedFd>, now: &[u8], wanted: i16) -> Result<Option<OomScoreAdj>> {
    let value = wanted.to_string().into_bytes();
    if now.trim_ascii() == value.as_slice() {
        return Ok(None);
    }
    let file = file.ok_or_else(|| {
        let wrong = format!("cannot set oom_score_adj to {wanted}");
        Error::new(ErrorKind::Unsupported, wrong).with_hint(
            "/proc/PID/oom_score_adj belongs to root: run the runtime as root, or leave it unset",
        )
    })?;
    Ok(Some(OomScoreAdj { file, value }))
}

fn exec_label(directory: Option<OwnedFd>, config: &InitConfig) -> Result<Option<ExecLabel>> {
    let directory = || {
        directory.ok_or_else(|| {
            let wrong = "cannot set the security label of the program";
            Error::new(ErrorKind::Unsupported, wrong)
                .with_hint("this requires CAP_SYS_ADMIN: run the runtime as root, or set none")
        })
    };
    match (&config.apparmor_profile, &config.process_label) {
        (None, None) => Ok(None),
        (Some(profile), None) => {
            let label = ExecLabel::apparmor(directory()?, profile.as_bytes());
            Ok(Some(label))
        }
        (None, Some(context)) => {
            let label = ExecLabel::selinux(directory()?, context.as_bytes().to_vec());
            Ok(Some(label))
        }
        (Some(_), Some(_)) => {
            let wrong = "initConfig has both an AppArmor profile and an SELinux label";
            Err(Error::new(ErrorKind::Protocol, wrong)
                .with_hint("a kernel runs with one of the two: leave the other empty"))
        }
    }
}
