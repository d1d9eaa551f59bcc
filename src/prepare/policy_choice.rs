//! Step 2: the choice of the policy that binds this exec.
//!
//! Built-in policies are constants. A process without rights parses and compiles a policy from a
//! file ([`super::policy_child`]).

use std::path::Path;

use serde::Deserialize;

use super::policy_origin::{Loaded, Origin};
use super::{policy_child, trusted_file};
use crate::error::{Error, ErrorKind, Result};
use crate::request::PolicyChoice;
use crate::target::procfs_root::read_all;
use nsexec_shipped_policies::BUILTIN_NAMES;

/// The interface that started the helper: each has a default policy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    CommandLine,
    ProtocolA,
}

/// The chosen policy.
///
/// # Errors
/// `Policy`: there is none of this name, or it is wrong.
pub(crate) fn load(choice: &PolicyChoice, frontend: Frontend) -> Result<Loaded> {
    let chosen = match choice {
        PolicyChoice::Configured => &configured(frontend)?,
        given => given,
    };
    match chosen {
        PolicyChoice::Named(name) => builtin(name),
        PolicyChoice::File(path) => policy_child::compile(path),
        PolicyChoice::Configured => builtin(frontend.default_policy()),
    }
}

impl Frontend {
    fn default_policy(self) -> &'static str {
        match self {
            Self::CommandLine => "default",
            Self::ProtocolA => "libcontainer",
        }
    }
}

fn builtin(name: &str) -> Result<Loaded> {
    match nsexec_shipped_policies::builtin(name) {
        Some(Ok(policy)) => Ok(Loaded {
            policy,
            origin: Origin::Ships(name.to_owned()),
        }),
        Some(Err(fault)) => Err(Error::new(
            ErrorKind::Policy,
            format!("the built-in policy {name}"),
        )
        .with_source(fault)),
        None => {
            let wrong = format!("there is no policy {name:?}");
            let right = format!("give one of {}, or a file", BUILTIN_NAMES.join(", "));
            Err(Error::new(ErrorKind::Policy, wrong).with_hint(right))
        }
    }
}

/// The administrator's choice: the only file that nsexec reads from /etc.
const CONFIGURATION: &str = "/etc/nsexec.toml";
/// The file has two keys.
const MAX_CONFIGURATION: usize = 4096;

/// /etc/nsexec.toml: the name of a policy, or the absolute path of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// For the command line.
    policy: Option<String>,
    /// For protocol A.
    libcontainer_policy: Option<String>,
}

/// The choice of the configuration; [`PolicyChoice::Configured`]: there is none.
fn configured(frontend: Frontend) -> Result<PolicyChoice> {
    let file = Path::new(CONFIGURATION);
    let Some(file) = trusted_file::open_if_there(file)? else {
        return Ok(PolicyChoice::Configured);
    };
    let text = read_all(file, MAX_CONFIGURATION, &CONFIGURATION)?;
    let wrong = || Error::new(ErrorKind::Policy, CONFIGURATION);
    let text = String::from_utf8(text).map_err(|error| wrong().with_source(error))?;
    let configuration: Configuration =
        toml::from_str(&text).map_err(|error| wrong().with_source(error))?;
    let (key, value) = match frontend {
        Frontend::CommandLine => ("policy", configuration.policy),
        Frontend::ProtocolA => ("libcontainer_policy", configuration.libcontainer_policy),
    };
    let Some(value) = value else {
        return Ok(PolicyChoice::Configured);
    };
    match PolicyChoice::read(value.as_bytes()) {
        // A relative path would name another file in each directory.
        Some(PolicyChoice::File(path)) if !path.is_absolute() => {
            let wrong = format!("{CONFIGURATION}: {key} = {value:?} is a relative path");
            Err(Error::new(ErrorKind::Policy, wrong).with_hint("give an absolute path"))
        }
        Some(choice) => Ok(choice),
        None => {
            let wrong = format!("{CONFIGURATION}: {key} = {value:?} is not a policy");
            Err(Error::new(ErrorKind::Policy, wrong)
                .with_hint("give a name in a-z, 0-9 and -, or an absolute path"))
        }
    }
}
