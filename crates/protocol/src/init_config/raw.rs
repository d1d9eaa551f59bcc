//! initConfig as written: Go's field names and types (runc 4c5eb45862,
//! libcontainer/init_linux.go and libcontainer/configs).
//!
//! Optional fields are those whose zero value Go would use; libcontainer writes
//! every key.

use serde::Deserialize;
use serde::de::IgnoredAny;

use nsexec_policy_engine::seccomp::libcontainer;
use nsexec_text::json::Object;

/// The message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInitConfig {
    pub(super) args: Vec<String>,
    pub(super) env: Option<Vec<String>>,
    #[serde(default)]
    pub(super) cwd: String,
    pub(super) capabilities: Option<Vec<String>>,
    #[serde(default)]
    pub(super) user: String,
    #[serde(deserialize_with = "object")]
    pub(super) config: Config,
    /// For the creation of a container.
    #[serde(default, rename = "console")]
    _console: IgnoredAny,
    /// For the creation of a container.
    #[serde(default, rename = "network")]
    _network: IgnoredAny,
    #[serde(default)]
    pub(super) passed_files_count: i64,
}

/// The part of the container's configuration that a joining process needs.
#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) rlimits: Option<Vec<Object<Rlimit>>>,
    #[serde(default)]
    pub(super) oom_score_adj: i64,
    pub(super) seccomp: Option<Object<libcontainer::Config>>,
    pub(super) additional_groups: Option<Vec<String>>,
    #[serde(default)]
    pub(super) apparmor_profile: String,
    #[serde(default)]
    pub(super) process_label: String,
}

impl Config {
    /// The keys that are read.
    pub(super) const KEYS: [&str; 7] = [
        "capabilities",
        "rlimits",
        "oom_score_adj",
        "seccomp",
        "additional_groups",
        "apparmor_profile",
        "process_label",
    ];
}

/// `configs.Rlimit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rlimit {
    #[serde(rename = "type")]
    pub(super) resource: i64,
    pub(super) hard: u64,
    pub(super) soft: u64,
}

fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let Object(value) = Object::deserialize(deserializer)?;
    Ok(value)
}
