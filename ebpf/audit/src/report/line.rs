//! The lines, as far as the page tells of them. What they may be is held to the
//! schema before.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A namespace: inode number and ns_id.
pub(super) type Id = (u64, u64);
/// Slots by their names.
pub(super) type Slots = BTreeMap<String, Id>;

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    Start(Start),
    #[serde(alias = "ns_create", alias = "ns_denied", alias = "ns_noop")]
    NsJoin(Box<Namespace>),
    NsGap(Box<Gap>),
    Fork(Box<Lineage>),
    Exec(Box<Lineage>),
    Exit(Box<Lineage>),
    Lost(Lost),
    Missed(Missed),
    Alert(Alert),
    Health(Health),
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Start {
    pub version: String,
    pub boot_id: String,
    pub node: String,
    pub ts_wall_ms: i64,
    pub host: Slots,
}

/// When.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Time {
    #[serde(rename = "ts_boot_ns")]
    pub boot_ns: u64,
    #[serde(rename = "ts_wall_ms")]
    pub wall_ms: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub exec_id: String,
    pub tgid: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Actor {
    pub exec_id: String,
    pub tgid: u64,
    pub tid: u64,
    pub ns_tgid: u64,
    pub comm: String,
    pub exe: Option<String>,
    pub exe_file: String,
    pub uid: u64,
    pub gid: u64,
    pub euid: u64,
    pub loginuid: Option<u64>,
    pub caps_eff: String,
    pub no_new_privs: bool,
    pub seccomp_mode: u8,
    pub cgroup_id: u64,
    pub nsexec: Option<Claimed>,
    pub container: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Claimed {
    pub policy: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Op {
    pub syscall: String,
    pub abi: String,
    pub flags_raw: u64,
    pub flags: Vec<String>,
    pub fd: Option<i64>,
    pub target: Option<Target>,
    pub ret: i64,
    pub errno: Option<String>,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub source: String,
    pub ns_type: Option<String>,
    pub ns: Option<Id>,
    pub pid: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Namespaces {
    pub after: Slots,
    #[serde(default)]
    pub before: Slots,
    pub changed: Vec<String>,
    pub host: Vec<String>,
    pub effective_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Namespace {
    #[serde(flatten)]
    pub time: Time,
    pub class: String,
    pub actor: Actor,
    pub parent: Named,
    pub op: Op,
    pub child: Option<Named>,
    pub ns: Namespaces,
    /// Which container the actor is in, where that is told.
    pub container: Option<Value>,
    /// Which border was crossed, where that is told.
    pub crossed: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Gap {
    #[serde(flatten)]
    pub time: Time,
    pub exec_id: String,
    pub tgid: u64,
    pub tid: u64,
    pub found_at: String,
    pub ns: Namespaces,
}

#[derive(Debug, Deserialize)]
pub(super) struct Lineage {
    #[serde(flatten)]
    pub time: Time,
    pub actor: Actor,
    pub parent: Option<Named>,
    pub child: Option<Named>,
    pub path: Option<String>,
    pub argv: Option<Vec<String>>,
    pub status: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Lost {
    #[serde(flatten)]
    pub time: Time,
    pub cpu: u64,
    pub ring: String,
    pub count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Missed {
    #[serde(flatten)]
    pub time: Time,
    pub backend: String,
    pub why: String,
    pub count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    #[serde(flatten)]
    pub time: Time,
    pub rule: String,
    pub severity: String,
    pub mitre: String,
    pub about: String,
    pub exec_id: String,
    pub tgid: u64,
}

/// Counters by the names of hooks; and of rings, by processor.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    #[serde(flatten)]
    pub time: Time,
    pub backend: String,
    /// Nothing was written after it.
    pub ended: bool,
    /// Sums that do not agree.
    pub broken: Vec<String>,
    /// How often the kernel did not run a program.
    pub missed: BTreeMap<String, u64>,
    pub hooks: BTreeMap<String, Map<String, Value>>,
    pub rings: BTreeMap<String, Vec<Map<String, Value>>>,
}
