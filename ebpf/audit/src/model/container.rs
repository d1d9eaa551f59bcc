//! Containers and cgroups.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::names::{Name as _, names};

names! {
    /// The runtime that made a container.
    pub enum Runtime {
        /// runc
        Runc => "runc",
        /// crun
        Crun => "crun",
        /// containerd, by its CRI plugin or another client
        Containerd => "containerd",
        /// Docker
        Docker => "docker",
        /// Podman
        Podman => "podman",
        /// CRI-O
        Crio => "cri-o",
        /// systemd-nspawn
        Nspawn => "systemd-nspawn",
        /// One whose cgroup is named by its id alone.
        Unnamed => "container",
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Container {
    pub runtime: Runtime,
    /// As the runtime has it: 64 hexadecimal digits, or a name of at most
    /// [`MAX_NAME`] letters, digits and `+-._`.
    pub id: String,
    /// The uid of its Kubernetes pod, with hyphens.
    pub pod: Option<String>,
    /// The container's own cgroup: its processes can be in others below it.
    pub path: PathBuf,
}

impl Container {
    /// Its runtime and its id, which have no slash.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.runtime.name(), self.id)
    }

    /// The container of a name; its pod and its cgroup are not known.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (runtime, id) = name.split_once('/')?;
        Some(Self {
            runtime: Runtime::from_name(runtime)?,
            id: id.to_owned(),
            pod: None,
            path: PathBuf::new(),
        })
    }

    /// As much of its id as people need.
    #[must_use]
    pub fn short_id(&self) -> &str {
        let is_long = self.id.len() == ID_DIGITS;
        let short = self.id.get(..SHORT_ID).filter(|_| is_long);
        short.unwrap_or(&self.id)
    }
}

/// The place of a process, by its cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    Host,
    Container(Arc<Container>),
    /// Its cgroup was gone before it was looked up, or cannot be seen: it is never
    /// taken for the host's.
    #[default]
    Unknown,
}

/// Longest name of a container, in bytes: that of a directory, NAME_MAX.
pub const MAX_NAME: usize = 255;

/// Cgroups of this many hexadecimal digits are containers: the ids of Docker,
/// Podman, CRI-O and the CRI plugin of containerd have 256 bits.
pub(crate) const ID_DIGITS: usize = 64;

/// As much of a 256-bit id as is shown.
const SHORT_ID: usize = 12;

/// A cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    pub place: Place,
    /// Its path in its hierarchy; none: it is not known.
    pub path: Option<Arc<Path>>,
}

/// The JSON members of a cgroup; a cgroup of the host has none of them.
#[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
struct CgroupMembers {
    /// RUNTIME/ID, by the name of its cgroup, which any process that may make cgroups chooses.
    /// `unknown`: the cgroup was gone before it was looked up, or cannot be seen from the
    /// auditor. Left out: the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    /// The uid of its Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
}

impl Serialize for Cgroup {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (container, pod) = match &self.place {
            Place::Host => (None, None),
            Place::Unknown => (Some(UNKNOWN.to_owned()), None),
            Place::Container(container) => (Some(container.name()), container.pod.clone()),
        };
        CgroupMembers { container, pod }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Cgroup {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let CgroupMembers { container, pod } = CgroupMembers::deserialize(from)?;
        let place = match container.as_deref() {
            None => Place::Host,
            Some(UNKNOWN) => Place::Unknown,
            Some(name) => {
                let container = Container::from_name(name).ok_or_else(|| not_a_name(name))?;
                Place::Container(Arc::new(Container { pod, ..container }))
            }
        };
        Ok(Self { place, path: None })
    }
}

impl JsonSchema for Cgroup {
    fn schema_name() -> Cow<'static, str> {
        CgroupMembers::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CgroupMembers::json_schema(generator)
    }
}

/// In the place of a container's name.
const UNKNOWN: &str = "unknown";

fn not_a_name<E: de::Error>(name: &str) -> E {
    E::custom(format!(
        "{name:?} is not the name of a container, RUNTIME/ID"
    ))
}

/// `#[serde(with)]` for a container that is its name in JSON.
pub(super) mod by_name {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{Container, not_a_name};

    pub(crate) fn serialize<S: Serializer>(
        container: &Option<Arc<Container>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        container.as_ref().map(|one| one.name()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<Container>>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let container = Container::from_name(&name).ok_or_else(|| not_a_name(&name))?;
        Ok(Some(Arc::new(container)))
    }
}
